//! Files beside the notes become artifacts: each is uploaded to a signed address, and attached to the notes that refer to it. What no note
//! refers to is attached to the first note of its directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use domain::text::one_line;
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::cast::Cast;
use super::error::DemoError;
use super::files::{self, LeftOut, name};
use super::import::Page;
use super::progress::{Phase, count};

/// Files on their way at once, each of them in memory.
const AT_ONCE: usize = 4;

/// What became of the files beside the notes.
#[derive(Default)]
pub struct Attached {
    pub artifacts: usize,
    pub left_out: usize,
}

/// A file that the server keeps room for.
#[derive(Deserialize)]
struct Requested {
    id: Uuid,
    upload: Upload,
}

/// Where its bytes are to go; the address needs no key.
#[derive(Deserialize)]
pub struct Upload {
    pub url: String,
    pub headers: BTreeMap<String, String>,
}

pub async fn run(
    cast: &Cast,
    root: &Path,
    files: Vec<PathBuf>,
    pages: &[Page],
) -> Result<Attached, DemoError> {
    let phase = Phase::start("attach", files.len());
    let mut attached = Attached::default();
    let homes = homes(&files, pages);
    let mut outcomes = stream::iter(homes)
        .map(|(path, notes)| attach(cast, root, path, notes, &phase))
        .buffer_unordered(AT_ONCE);
    while let Some(artifacts) = outcomes.next().await {
        match artifacts? {
            0 => attached.left_out += 1,
            artifacts => attached.artifacts += artifacts,
        }
        phase.step();
    }
    phase.finish(&count(attached.artifacts, "artifact"));
    Ok(attached)
}

/// The notes that each file belongs to.
fn homes<'a>(files: &'a [PathBuf], pages: &[Page]) -> Vec<(&'a Path, BTreeSet<Uuid>)> {
    let mut by_target: BTreeMap<PathBuf, BTreeSet<Uuid>> = BTreeMap::new();
    let mut by_directory: BTreeMap<&Path, &Page> = BTreeMap::new();
    for page in pages {
        let Some(directory) = page.path.parent() else {
            continue;
        };
        for target in &page.targets {
            let file = normal(&directory.join(target));
            by_target.entry(file).or_default().insert(page.note_id);
        }
        let first = by_directory.entry(directory).or_insert(page);
        if page.path < first.path {
            *first = page;
        }
    }
    let home = |file: &'a PathBuf| {
        let referring = by_target.get(&normal(file)).cloned();
        let beside = file
            .parent()
            .and_then(|directory| by_directory.get(directory));
        let beside = || beside.map(|page| page.note_id).into_iter().collect();
        (file.as_path(), referring.unwrap_or_else(beside))
    };
    files.iter().map(home).collect()
}

/// Without `.` and, as far as it goes, `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                normal.push(component);
            }
        }
    }
    normal
}

/// How many artifacts it is now. What is wrong with one file does not stop the others.
async fn attach(
    cast: &Cast,
    root: &Path,
    path: &Path,
    notes: BTreeSet<Uuid>,
    phase: &Phase,
) -> Result<usize, DemoError> {
    let name = name(root, path);
    let left_out = |reason: &dyn std::fmt::Display| {
        phase.warn(&format!("{name} is left out: {reason}"));
        Ok(0)
    };
    if notes.is_empty() {
        return left_out(&"no note refers to it, and there is none beside it");
    }
    let bytes = match read(path.to_owned()).await {
        Ok(bytes) => bytes,
        Err(reason) => return left_out(&reason),
    };
    match upload_and_attach(cast, path, &name, bytes, &notes).await {
        Ok(()) => Ok(notes.len()),
        Err(DemoError::Refused { problem, .. })
            if matches!(problem.status, 400 | 403 | 409 | 413 | 415 | 422) =>
        {
            left_out(&problem.detail)
        }
        Err(error) => Err(error),
    }
}

async fn read(path: PathBuf) -> Result<Vec<u8>, LeftOut> {
    tokio::task::spawn_blocking(move || files::read_bytes(&path))
        .await
        .map_err(std::io::Error::other)?
}

async fn upload_and_attach(
    cast: &Cast,
    path: &Path,
    name: &str,
    bytes: Vec<u8>,
    notes: &BTreeSet<Uuid>,
) -> Result<(), DemoError> {
    let file_name = one_line(&path.file_name().unwrap_or_default().to_string_lossy());
    let media_type = mime_guess::from_path(path).first_or_octet_stream();
    let request = json!({
        "container": "attachments",
        "name": file_name,
        "media_type": media_type.essence_str(),
        "size": bytes.len(),
        "sha256": hex::encode(Sha256::digest(&bytes)),
        "workspace_id": cast.workspace_id,
    });
    // Two files may have the same name and the same bytes.
    let request = cast.author.post("/v1/files", request).on(name);
    let Requested { id, upload } = request.send().await?;
    cast.author.upload(&upload, bytes).await?;
    for note_id in notes {
        let path = format!("/v1/notes/{note_id}/artifacts");
        let attach = cast.author.post(path, json!({"file_id": id}));
        attach.send::<Value>().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u128, path: &str, targets: &[&str]) -> Page {
        Page {
            path: path.into(),
            note_id: Uuid::from_u128(number),
            targets: targets.iter().map(ToString::to_string).collect(),
            task_lines: 0,
        }
    }

    #[test]
    fn a_file_belongs_to_whoever_refers_to_it_or_else_to_the_first_note_beside_it() {
        let pages = [
            page(1, "docs/tea.md", &["img/pot.png", "../cup.png"]),
            page(2, "docs/img/b.md", &["./pot.png"]),
            page(3, "docs/img/a.md", &["https://example.com/pot.png"]),
        ];
        let files = ["docs/img/pot.png", "cup.png", "docs/img/lid.png", "x/y.png"];
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let homes: Vec<Vec<u128>> = homes(&files, &pages)
            .into_iter()
            .map(|(_, notes)| notes.iter().map(Uuid::as_u128).collect())
            .collect();
        assert_eq!(homes, [vec![1, 2], vec![1], vec![3], vec![]]);
    }
}
