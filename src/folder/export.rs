//! `daybook export workspace ID DIR`: writes notes and their files into a folder, byte for byte if nothing has changed.

use std::collections::HashSet;
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use clap::{Args, Subcommand};
use domain::folded;
use domain::knowledge::place;
use futures::{StreamExt, stream};
use serde::Deserialize;
use uuid::Uuid;

use super::AT_ONCE;
use super::front_matter;
use super::page::{self, Fields};
use super::record::{self, Artifact, Note};
use super::style::Style;
use crate::client::{Client, ClientError};
use crate::progress::{Phase, count, print, warn};

#[derive(Subcommand)]
pub enum Export {
    /// Write the notes and files of a workspace into a folder
    Workspace(Workspace),
}

#[derive(Args)]
pub struct Workspace {
    /// Workspace to write
    id: Uuid,
    /// Folder to write into; created if missing
    dir: PathBuf,
    /// Base URL of the server
    #[arg(long, env = "DAYBOOK_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// API key of a member of the workspace
    #[arg(long, env = "DAYBOOK_KEY", hide_env_values = true)]
    key: String,
    /// Replace existing files that have other contents
    #[arg(long)]
    overwrite: bool,
}

#[derive(Deserialize)]
struct Download {
    url: String,
}

/// The result of writing one file.
enum Written {
    New,
    Unchanged,
    /// Another file at the same path was kept.
    Kept,
}

impl Export {
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        let Self::Workspace(workspace) = self;
        workspace.run().await
    }
}

impl Workspace {
    async fn run(self) -> Result<(), Box<dyn Error>> {
        let client = Client::new(&self.server, &self.key);
        client.catch_up().await?;
        let mut notes = record::notes(&client, self.id).await?;
        notes.retain(|note| note.status != "trashed");
        // The oldest note keeps its path if several have the same.
        notes.sort_by_key(|note| note.id);
        let artifacts = record::artifacts(&client, self.id).await?;
        fs::create_dir_all(&self.dir)?;
        let (mut written, mut kept) = (0, 0);
        let mut taken = HashSet::new();
        let phase = Phase::start("export", notes.len());
        for note in &notes {
            let path = path_of(note, &mut taken);
            let bytes = page::bytes(
                &text(note, &path),
                note.file.as_ref().is_some_and(|file| file.byte_order_mark),
            );
            self.count(&path, self.write(&path, &bytes)?, &mut written, &mut kept);
            phase.step();
        }
        let files: Vec<(String, Uuid)> = files(&artifacts, &mut taken);
        let mut contents = stream::iter(&files)
            .map(async |(path, file_id)| (path, download(&client, *file_id).await))
            .buffer_unordered(AT_ONCE / 8);
        while let Some((path, bytes)) = contents.next().await {
            self.count(path, self.write(path, &bytes?)?, &mut written, &mut kept);
        }
        phase.finish(&count(written, "file"));
        print(&format!(
            "{} and {} in {}",
            count(notes.len(), "note"),
            count(files.len(), "attached file"),
            self.dir.display()
        ));
        match kept {
            0 => Ok(()),
            kept => Err(format!(
                "{} kept as they were; --overwrite replaces them",
                count(kept, "file")
            )
            .into()),
        }
    }

    fn count(&self, path: &str, outcome: Written, written: &mut usize, kept: &mut usize) {
        match outcome {
            Written::New => *written += 1,
            Written::Unchanged => {}
            Written::Kept => {
                *kept += 1;
                warn(&format!(
                    "{path} is kept: it says something else than the note in Daybook"
                ));
            }
        }
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<Written> {
        let target = below(&self.dir, path)?;
        match fs::read(&target) {
            Ok(there) if there == bytes => return Ok(Written::Unchanged),
            Ok(_) if !self.overwrite => return Ok(Written::Kept),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // Readers see either the complete new file or the old one.
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".daybook-part");
        let part = target.with_file_name(name);
        fs::write(&part, bytes)?;
        fs::rename(&part, &target)?;
        Ok(Written::New)
    }
}

/// Returns a path below a folder, after creating its directories; refuses links that lead out of the folder.
fn below(root: &Path, path: &str) -> io::Result<PathBuf> {
    let outside = || io::Error::other(format!("{path} leads out of the folder"));
    if !place::is_path(path) {
        return Err(outside());
    }
    let target = root.join(path);
    if target.components().any(|part| part == Component::ParentDir)
        && !root.components().any(|part| part == Component::ParentDir)
    {
        return Err(outside());
    }
    let directory = target.parent().unwrap_or(root);
    // Only the nearest existing directory needs the check; directories created below it are not links.
    let mut there = directory;
    while !there.exists() {
        there = there.parent().ok_or_else(outside)?;
    }
    if !there.canonicalize()?.starts_with(root.canonicalize()?) {
        return Err(outside());
    }
    fs::create_dir_all(directory)?;
    let is_link = fs::symlink_metadata(&target).is_ok_and(|metadata| metadata.is_symlink());
    if is_link { Err(outside()) } else { Ok(target) }
}

/// Returns the path of a note's file; a note without a file is named after its title.
fn path_of(note: &Note, taken: &mut HashSet<String>) -> String {
    let path = note.file.as_ref().map(|file| file.path.clone());
    let path = path.unwrap_or_else(|| format!("{}.md", file_name(&note.title)));
    free(path, taken)
}

/// Returns the files of artifacts, each path once.
fn files(artifacts: &[Artifact], taken: &mut HashSet<String>) -> Vec<(String, Uuid)> {
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    for artifact in artifacts {
        let Some(file_id) = artifact.file_id else {
            continue;
        };
        // Several notes may have the same file.
        let key = (artifact.path.clone(), file_id);
        if !seen.insert(key) {
            continue;
        }
        let path = artifact.path.clone();
        let path = path.unwrap_or_else(|| format!("Attachments/{}", file_name(&artifact.name)));
        files.push((free(path, taken), file_id));
    }
    files
}

/// Returns an unused path, because some systems ignore case and Unicode composition in names.
fn free(path: String, taken: &mut HashSet<String>) -> String {
    let (stem, ending) = match path.rsplit_once('.') {
        Some((stem, ending)) if !ending.contains('/') => (stem, format!(".{ending}")),
        Some(_) | None => (path.as_str(), String::new()),
    };
    let mut candidate = path.clone();
    let mut number = 2;
    while !taken.insert(folded(&candidate)) {
        candidate = format!("{stem} {number}{ending}");
        number += 1;
    }
    candidate
}

/// Turns a title into a file name without reserved characters.
fn file_name(title: &str) -> String {
    let allowed = |c: char| {
        if c.is_control() || "/\\:*?\"<>|#^[]".contains(c) {
            '-'
        } else {
            c
        }
    };
    let name: String = title.chars().map(allowed).take(100).collect();
    let name = name.trim().trim_matches('.').trim();
    if name.is_empty() {
        "Untitled".into()
    } else {
        name.to_owned()
    }
}

/// Returns the text of a note's file: the body unchanged, unless the note's fields differ from those in the text.
fn text(note: &Note, path: &str) -> String {
    let styles = [Style::Plain, Style::logseq()];
    let read = |style: &Style| page::fields(path, &note.body, style).ok();
    let imported_as_is = note.version == 1 && note.file.is_some();
    if imported_as_is
        || styles
            .iter()
            .filter_map(read)
            .any(|fields| says(&fields, note))
    {
        return note.body.clone();
    }
    // Inline tags stay in the text.
    let fields = read(&Style::Plain).unwrap_or_default();
    let bare = front_matter::with_fields(&note.body, &[(&TAGS, None)]);
    let inline = page::fields(path, &bare, &Style::Plain)
        .unwrap_or_default()
        .tags;
    let mut changes: Vec<(&[&str], Option<String>)> = Vec::new();
    if fields.title != note.title {
        changes.push((&["title"], front_matter::yaml(&note.title)));
    }
    if fields.tags != note.tags {
        let tags = &note.tags - &inline;
        let tags = (!tags.is_empty())
            .then(|| front_matter::yaml(&tags))
            .flatten();
        changes.push((&TAGS, tags));
    }
    if fields.aliases != note.aliases {
        let aliases = (!note.aliases.is_empty())
            .then(|| front_matter::yaml(&note.aliases))
            .flatten();
        changes.push((&["aliases", "alias"], aliases));
    }
    front_matter::with_fields(&note.body, &changes)
}

const TAGS: [&str; 2] = ["tags", "tag"];

fn says(fields: &Fields, note: &Note) -> bool {
    fields.title == note.title && fields.tags == note.tags && fields.aliases == note.aliases
}

async fn download(client: &Client, file_id: Uuid) -> Result<Vec<u8>, ClientError> {
    let Download { url } = client.get(&format!("/v1/files/{file_id}/download")).await?;
    client.bytes(&url).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_only_below_the_folder() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), root.path().join("out")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("x"), root.path().join("x.md")).unwrap();
        assert_eq!(
            below(root.path(), "a/b.md").unwrap(),
            root.path().join("a/b.md")
        );
        for path in ["../x.md", "/etc/x", "out/x.md", "x.md"] {
            assert!(below(root.path(), path).is_err(), "{path}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn every_note_gets_a_path_of_its_own() {
        let mut taken = HashSet::new();
        let paths =
            ["Té.md", "te\u{301}.md", "a.b/c", "A.b/C"].map(|path| free(path.into(), &mut taken));
        assert_eq!(paths, ["Té.md", "te\u{301} 2.md", "a.b/c", "A.b/C 2"]);
        assert_eq!(file_name("What is a/b: \"x\"?"), "What is a-b- -x--");
        assert_eq!(file_name(".."), "Untitled");
    }

    #[test]
    fn a_text_is_rewritten_only_where_its_fields_have_changed() {
        let note = |title: &str, tags: &[&str]| Note {
            id: Uuid::nil(),
            version: 2,
            title: title.into(),
            body: "---\nx: 1\ntags: [a]\n---\nText #b\n".into(),
            tags: tags.iter().map(ToString::to_string).collect(),
            aliases: [].into(),
            status: "active".into(),
            file: None,
        };
        let as_it_is = note("Tea", &["a", "b"]);
        assert_eq!(text(&as_it_is, "Tea.md"), as_it_is.body);
        assert_eq!(
            text(&note("Green", &["b", "c"]), "Tea.md"),
            "---\nx: 1\ntitle: \"Green\"\ntags: [\"c\"]\n---\nText #b\n"
        );
    }
}
