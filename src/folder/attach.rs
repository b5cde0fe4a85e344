//! Turns non-Markdown files into artifacts of the notes that show them or link to them; an unreferenced file belongs to a note beside it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use axum::body::Bytes;
use domain::knowledge::place;
use domain::{composed, folded};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::error::FolderError;
use super::find::{self, LeftOut};
use super::import::Folder;
use super::page::{Page, Target};
use super::record::{self, Artifact};
use crate::client::{Answer, ClientError, Upload};
use crate::progress::{Phase, count, print};

/// Number of concurrent uploads, each held in memory.
const AT_ONCE: usize = 4;

#[derive(Default)]
pub struct Attached {
    pub new: usize,
    pub unchanged: usize,
    pub left_out: Vec<(String, LeftOut)>,
    /// Files that notes refer to but that do not exist.
    pub missing: BTreeSet<(String, String)>,
}

/// A requested file, for which the server reserves space.
#[derive(Deserialize)]
struct Requested {
    id: Uuid,
    upload: Upload,
}

/// A file and the notes that it is attached to.
type Home<'a> = (&'a str, BTreeSet<Uuid>);

impl Folder<'_> {
    /// Attaches files to their notes.
    pub(super) async fn attach(
        &self,
        files: &[String],
        pages: &[Page],
        notes: &HashMap<String, Uuid>,
    ) -> Result<Attached, FolderError> {
        let mut attached = Attached::default();
        let known = record::artifacts(self.client, self.workspace_id).await?;
        let homes = homes(files, pages, notes, &mut attached);
        let phase = Phase::start("attach", homes.len());
        // Identical contents are uploaded only once.
        let mut contents: BTreeMap<String, Vec<Home<'_>>> = BTreeMap::new();
        for (path, notes) in homes {
            match self.read_attachment(path) {
                Ok(bytes) => {
                    let sha256 = hex::encode(Sha256::digest(&bytes));
                    contents.entry(sha256).or_default().push((path, notes));
                }
                Err(reason) => attached.left_out.push((path.to_owned(), reason)),
            }
        }
        let mut results = stream::iter(contents)
            .map(async |(sha256, homes)| {
                let result = self.attach_content(&sha256, &homes, &known).await;
                (homes, result)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((homes, result)) = results.next().await {
            phase.step();
            match result {
                Ok((new, unchanged)) => {
                    attached.new += new;
                    attached.unchanged += unchanged;
                }
                Err(FolderError::Client(ClientError::Refused { problem, .. }))
                    if matches!(problem.status, 400 | 403 | 409 | 413 | 415 | 422) =>
                {
                    for (path, _) in homes {
                        let reason = LeftOut::Refused(problem.detail.clone());
                        attached.left_out.push((path.to_owned(), reason));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if !self.dry_run {
            phase.finish(&count(attached.new, "artifact"));
        }
        Ok(attached)
    }

    fn read_attachment(&self, path: &str) -> Result<Vec<u8>, LeftOut> {
        find::read(
            &self.root.join(path),
            find::MAX_ATTACHMENT,
            LeftOut::TooLargeToAttach,
        )
    }

    /// Attaches files with identical contents; returns the number of new and of unchanged artifacts.
    async fn attach_content(
        &self,
        sha256: &str,
        homes: &[Home<'_>],
        known: &[Artifact],
    ) -> Result<(usize, usize), FolderError> {
        let is_same = |artifact: &&Artifact| artifact.sha256.as_deref() == Some(sha256);
        let mut file_id = known
            .iter()
            .filter(is_same)
            .find_map(|artifact| artifact.file_id);
        let there: HashSet<(Uuid, String)> = known
            .iter()
            .filter(is_same)
            .filter_map(|artifact| Some((artifact.note_id, composed(artifact.path.as_ref()?))))
            .collect();
        let (mut new, mut unchanged) = (0, 0);
        for (path, notes) in homes {
            let place = composed(path);
            for note_id in notes {
                if there.contains(&(*note_id, place.clone())) {
                    unchanged += 1;
                    continue;
                }
                new += 1;
                if self.dry_run {
                    print(&format!("attach {path}"));
                    continue;
                }
                let id = match file_id {
                    Some(id) => id,
                    None => self.upload(path, sha256).await?,
                };
                file_id = Some(id);
                let is_older = |artifact: &&Artifact| {
                    artifact.note_id == *note_id
                        && artifact.path.as_deref().map(composed).as_ref() == Some(&place)
                };
                let older: Vec<&Artifact> = known.iter().filter(is_older).collect();
                // A file that returns after it was replaced is attached anew.
                let occasion = older.iter().map(|artifact| artifact.id.to_string());
                let attachment = json!({"file_id": id, "name": name(path), "path": path});
                let attach = self
                    .client
                    .post(format!("/v1/notes/{note_id}/artifacts"), attachment);
                attach
                    .on(occasion.collect::<String>())
                    .send::<Value>()
                    .await?;
                for older in older {
                    let detach = self.client.delete(format!("/v1/artifacts/{}", older.id));
                    detach.send::<Value>().await?;
                }
            }
        }
        Ok((new, unchanged))
    }

    async fn upload(&self, path: &str, sha256: &str) -> Result<Uuid, FolderError> {
        let unreadable = |reason| FolderError::File {
            path: path.to_owned(),
            reason,
        };
        let bytes = self.read_attachment(path).map_err(unreadable)?;
        let media_type = mime_guess::from_path(path).first_or_octet_stream();
        let request = json!({
            "container": "attachments",
            "name": name(path),
            "media_type": media_type.essence_str(),
            "size": bytes.len(),
            "sha256": sha256,
            "workspace_id": self.workspace_id,
        });
        let bytes = Bytes::from(bytes);
        let mut occasion = path.to_owned();
        loop {
            let request = self.client.post("/v1/files", request.clone());
            let Answer { body, replayed } = request.on(&occasion).answer().await?;
            let Requested { id, upload } = body;
            match self.client.upload(&upload, bytes.clone()).await {
                // The URL from an earlier import has expired.
                Err(ClientError::Refused { .. }) if replayed => {
                    occasion = format!("{path} instead of {id}");
                }
                result => {
                    result?;
                    return Ok(id);
                }
            }
        }
    }
}

fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Returns each file with the notes that it belongs to.
fn homes<'a>(
    files: &'a [String],
    pages: &[Page],
    notes: &HashMap<String, Uuid>,
    attached: &mut Attached,
) -> Vec<Home<'a>> {
    let mut by_path: HashMap<String, &'a str> = HashMap::new();
    let mut by_name: HashMap<String, Vec<(String, &'a str)>> = HashMap::new();
    for file in files {
        let path = folded(file);
        let ending = format!("/{path}");
        let same_name = by_name.entry(folded(name(file))).or_default();
        same_name.push((ending, file.as_str()));
        by_path.insert(path, file);
    }
    let find = |folder: &str, target: &Target| -> Option<&'a str> {
        let (Target::Named(path) | Target::At(path)) = target;
        let at = |folder: &str| {
            let place = place::resolve(folder, path)?;
            // Two names may differ only in case.
            let exact = files.binary_search(&place).ok();
            let exact = exact.map(|at| files[at].as_str());
            exact.or_else(|| by_path.get(&folded(&place)).copied())
        };
        let named = || {
            let ending = format!("/{}", folded(path));
            let named = by_name.get(&folded(name(path)))?.iter();
            let mut named = named.filter(|(file, _)| file.ends_with(&ending));
            named.next().map(|(_, file)| *file)
        };
        at(folder).or_else(|| at("")).or_else(named)
    };
    let mut homes: BTreeMap<&str, BTreeSet<Uuid>> = BTreeMap::new();
    let mut by_folder: BTreeMap<&str, Uuid> = BTreeMap::new();
    for page in pages {
        let Some(note_id) = notes.get(&page.path).copied() else {
            continue;
        };
        let folder = place::folder(&page.path);
        by_folder.entry(folder).or_insert(note_id);
        for target in &page.targets {
            match find(folder, target) {
                Some(file) => {
                    homes.entry(file).or_default().insert(note_id);
                }
                None => {
                    let (Target::Named(path) | Target::At(path)) = target;
                    attached.missing.insert((page.path.clone(), path.clone()));
                }
            }
        }
    }
    let mut result = Vec::new();
    for file in files {
        let beside = || {
            let mut folder = place::folder(file);
            loop {
                match by_folder.get(folder) {
                    Some(note_id) => return Some(*note_id),
                    None if folder.is_empty() => return by_folder.values().next().copied(),
                    None => folder = place::folder(folder),
                }
            }
        };
        match homes.remove(file.as_str()) {
            Some(notes) => result.push((file.as_str(), notes)),
            None => match beside() {
                Some(note_id) => result.push((file.as_str(), BTreeSet::from([note_id]))),
                None => attached.left_out.push((file.clone(), LeftOut::NoNote)),
            },
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::super::style::Style;
    use super::*;

    #[test]
    fn a_file_is_found_however_its_name_is_composed_and_the_exact_one_first() {
        let files = ["Cafe\u{301}.png", "POT.png", "pot.png", "x/Stra\u{df}e.pdf"];
        let files = files.map(str::to_owned);
        let text = "![[caf\u{e9}.png]] ![](pot.png) ![[POT.png]] [[STRASSE.pdf]] ![[none.png]]";
        let page = Page::new("Tea.md", text.as_bytes(), &Style::Plain).unwrap();
        let notes = HashMap::from([("Tea.md".to_owned(), Uuid::from_u128(1))]);
        let mut attached = Attached::default();
        let homes = homes(&files, &[page], &notes, &mut attached);
        assert_eq!(homes.len(), files.len());
        let missing = ("Tea.md".to_owned(), "none.png".to_owned());
        assert_eq!(attached.missing, BTreeSet::from([missing]));
    }

    #[test]
    fn a_file_that_no_note_names_belongs_to_a_note_beside_or_above_it() {
        let files = ["a/b/x.png", "a/y.png", "c/z.png"].map(str::to_owned);
        let page =
            |path: &str, text: &str| Page::new(path, text.as_bytes(), &Style::Plain).unwrap();
        let pages = [
            page("a/1.md", "![](../c/z.png)"),
            page("c/2.md", "![](z.png)"),
        ];
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let notes = HashMap::from([("a/1.md".to_owned(), one), ("c/2.md".to_owned(), two)]);
        let mut attached = Attached::default();
        let homes = homes(&files, &pages, &notes, &mut attached);
        let expected = [
            ("a/b/x.png", BTreeSet::from([one])),
            ("a/y.png", BTreeSet::from([one])),
            ("c/z.png", BTreeSet::from([one, two])),
        ];
        assert_eq!(homes, expected);
    }
}
