//! Files become notes: one `POST /v1/notes` each, several at a time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use domain::knowledge::task_line::task_lines;
use domain::text::one_line;
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::cast::Cast;
use super::error::DemoError;
use super::files::{self, Found, LeftOut, Text, name};
use super::markdown::{Outline, shorten};
use super::progress::{Phase, count};

/// Requests on their way at once.
const AT_ONCE: usize = 32;

/// What the API allows in a note.
const MAX_TITLE: usize = 500;
const MAX_TAGS: usize = 64;
const MAX_TAG: usize = 64;

/// What became of the files.
#[derive(Default)]
pub struct Imported {
    pub files: usize,
    pub left_out: usize,
    /// In the order of their files.
    pub pages: Vec<Page>,
}

/// A file that is a note now.
pub struct Page {
    pub path: PathBuf,
    pub note_id: Uuid,
    /// Where its links and pictures lead.
    pub targets: BTreeSet<String>,
    /// How many of its lines are tasks.
    pub task_lines: usize,
}

#[derive(Deserialize)]
struct Note {
    id: Uuid,
}

pub async fn run(cast: &Cast, root: &Path, found: &mut Found) -> Result<Imported, DemoError> {
    let phase = Phase::start("import", found.files.len());
    let mut imported = Imported {
        files: found.files.len(),
        ..Imported::default()
    };
    for (path, reason) in &found.left_out {
        phase.warn(&format!("{} is left out: {reason}", name(root, path)));
    }
    let files = std::mem::take(&mut found.files);
    let mut outcomes = stream::iter(files)
        .map(|path| import(cast, root, path, &phase))
        .buffer_unordered(AT_ONCE);
    while let Some(page) = outcomes.next().await {
        match page? {
            Some(page) => imported.pages.push(page),
            None => imported.left_out += 1,
        }
        phase.step();
    }
    imported.pages.sort_by(|a, b| a.path.cmp(&b.path));
    phase.finish(&count(imported.pages.len(), "note"));
    Ok(imported)
}

/// The file as a note, if it can be one. What is wrong with one file does not stop the others.
async fn import(
    cast: &Cast,
    root: &Path,
    path: PathBuf,
    phase: &Phase,
) -> Result<Option<Page>, DemoError> {
    let name = name(root, &path);
    let text = match read(path.clone()).await {
        Ok(text) => text,
        Err(reason) => {
            phase.warn(&format!("{name} is left out: {reason}"));
            return Ok(None);
        }
    };
    if let Some(trouble) = text.trouble {
        phase.warn(&format!("{name}: {trouble}"));
    }
    let outline = Outline::of(&text.text);
    let targets = outline.targets.clone();
    let task_lines = task_lines(&text.text).len();
    let note = note(cast, outline, text.text);
    // Two files may have the same text, and are two notes all the same.
    let sent = cast.author.post("/v1/notes", note).on(&name).send::<Note>();
    match sent.await {
        Ok(Note { id }) => Ok(Some(Page {
            path,
            note_id: id,
            targets,
            task_lines,
        })),
        Err(DemoError::Refused { problem, .. }) if matches!(problem.status, 400 | 413 | 422) => {
            phase.warn(&format!("{name} is left out: {}", problem.detail));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Files are read on a thread that may wait for a disk.
async fn read(path: PathBuf) -> Result<Text, LeftOut> {
    tokio::task::spawn_blocking(move || files::read(&path))
        .await
        .map_err(std::io::Error::other)?
}

/// A file's text is the note's body, all of it. Title and tags are those that the text itself names.
fn note(cast: &Cast, outline: Outline, body: String) -> Value {
    let title = outline.front_matter.title.or(outline.title);
    let tags: BTreeSet<String> = outline
        .front_matter
        .tags
        .into_iter()
        .map(|tag| one_line(&tag))
        .filter(|tag| tag.chars().count() <= MAX_TAG)
        .take(MAX_TAGS)
        .collect();
    json!({
        "workspace_id": cast.workspace_id,
        "title": shorten(&title.unwrap_or_default(), MAX_TITLE),
        "body": body,
        "tags": tags,
    })
}
