//! Files become notes: one `POST /v1/notes` each, several at a time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use super::cast::Cast;
use super::error::DemoError;
use super::files::{self, Found, LeftOut, Text};
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
    pub notes: usize,
    pub left_out: usize,
}

pub async fn run(cast: &Cast, root: &Path, found: Found) -> Result<Imported, DemoError> {
    let phase = Phase::start("import", found.files.len());
    let mut imported = Imported {
        files: found.files.len(),
        ..Imported::default()
    };
    for (path, reason) in found.left_out {
        phase.warn(&format!("{} is left out: {reason}", name(root, &path)));
    }
    let mut outcomes = stream::iter(found.files)
        .map(|path| import(cast, root, path, &phase))
        .buffer_unordered(AT_ONCE);
    while let Some(became_a_note) = outcomes.next().await {
        if became_a_note? {
            imported.notes += 1;
        } else {
            imported.left_out += 1;
        }
        phase.step();
    }
    phase.finish(&count(imported.notes, "note"));
    Ok(imported)
}

/// Whether the file is a note now. What is wrong with one file does not stop the others.
async fn import(cast: &Cast, root: &Path, path: PathBuf, phase: &Phase) -> Result<bool, DemoError> {
    let name = name(root, &path);
    let text = match read(path).await {
        Ok(text) => text,
        Err(reason) => {
            phase.warn(&format!("{name} is left out: {reason}"));
            return Ok(false);
        }
    };
    if let Some(trouble) = text.trouble {
        phase.warn(&format!("{name}: {trouble}"));
    }
    let note = note(cast, text.text);
    // Two files may have the same text, and are two notes all the same.
    let sent = cast
        .author
        .post("/v1/notes", note)
        .on(&name)
        .send::<Value>();
    match sent.await {
        Ok(_) => Ok(true),
        Err(DemoError::Refused { problem, .. }) if matches!(problem.status, 400 | 413 | 422) => {
            phase.warn(&format!("{name} is left out: {}", problem.detail));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Of a file, as far as it differs from others'.
fn name(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Files are read on a thread that may wait for a disk.
async fn read(path: PathBuf) -> Result<Text, LeftOut> {
    tokio::task::spawn_blocking(move || files::read(&path))
        .await
        .map_err(std::io::Error::other)?
}

/// A file's text is the note's body, all of it. Title and tags are those that the text itself names.
fn note(cast: &Cast, body: String) -> Value {
    let outline = Outline::of(&body);
    let title = outline.front_matter.title.or(outline.title);
    let tags: BTreeSet<String> = outline
        .front_matter
        .tags
        .into_iter()
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
