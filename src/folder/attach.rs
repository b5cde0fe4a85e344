//! Files beside the notes become artifacts of the notes that show them or link to them; what no note names belongs to a note beside it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use domain::knowledge::place;
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::find::{self, LeftOut};
use super::page::{Page, Target};
use super::record::{self, Artifact};
use crate::demo::{Client, DemoError, Phase, Upload, count, print};

/// Files on their way at once, each of them in memory.
const AT_ONCE: usize = 4;

/// Attaches the files of a folder to its notes.
pub struct Files<'a> {
    pub client: &'a Client,
    pub workspace_id: Uuid,
    pub root: &'a Path,
    pub dry_run: bool,
}

#[derive(Default)]
pub struct Attached {
    pub new: usize,
    pub unchanged: usize,
    pub left_out: Vec<(String, LeftOut)>,
    /// Files that notes name and that are not there.
    pub missing: BTreeSet<(String, String)>,
}

/// A file that the server keeps room for.
#[derive(Deserialize)]
struct Requested {
    id: Uuid,
    upload: Upload,
}

/// A file and the notes that have it.
type Home<'a> = (&'a str, BTreeSet<Uuid>);

impl Files<'_> {
    pub async fn attach(
        &self,
        files: &[String],
        pages: &[Page],
        notes: &HashMap<String, Uuid>,
    ) -> Result<Attached, DemoError> {
        let mut attached = Attached::default();
        let known = record::artifacts(self.client, self.workspace_id).await?;
        let homes = homes(files, pages, notes, &mut attached);
        let phase = Phase::start("attach", homes.len());
        // What several files have in common is uploaded once.
        let mut contents: BTreeMap<String, Vec<Home<'_>>> = BTreeMap::new();
        for (path, notes) in homes {
            match self.read(path) {
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
                Err(DemoError::Refused { problem, .. })
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

    fn read(&self, path: &str) -> Result<Vec<u8>, LeftOut> {
        find::read(
            &self.root.join(path),
            find::MAX_ATTACHMENT,
            LeftOut::TooLargeToAttach,
        )
    }

    /// Attaches files that are the same, byte for byte; returns how many artifacts are new, and how many were there.
    async fn attach_content(
        &self,
        sha256: &str,
        homes: &[Home<'_>],
        known: &[Artifact],
    ) -> Result<(usize, usize), DemoError> {
        let is_same = |artifact: &&Artifact| artifact.sha256.as_deref() == Some(sha256);
        let mut file_id = known
            .iter()
            .filter(is_same)
            .find_map(|artifact| artifact.file_id);
        let there: HashSet<(Uuid, &str)> = known
            .iter()
            .filter(is_same)
            .filter_map(|artifact| Some((artifact.note_id, artifact.path.as_deref()?)))
            .collect();
        let (mut new, mut unchanged) = (0, 0);
        for (path, notes) in homes {
            for note_id in notes {
                if there.contains(&(*note_id, *path)) {
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
                    artifact.note_id == *note_id && artifact.path.as_deref() == Some(*path)
                };
                let older: Vec<&Artifact> = known.iter().filter(is_older).collect();
                // What comes back after something else was in its place is attached anew.
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

    async fn upload(&self, path: &str, sha256: &str) -> Result<Uuid, DemoError> {
        let unreadable = |reason: LeftOut| DemoError::Directory {
            path: self.root.join(path),
            source: std::io::Error::other(reason),
        };
        let bytes = self.read(path).map_err(unreadable)?;
        let media_type = mime_guess::from_path(path).first_or_octet_stream();
        let request = json!({
            "container": "attachments",
            "name": name(path),
            "media_type": media_type.essence_str(),
            "size": bytes.len(),
            "sha256": sha256,
            "workspace_id": self.workspace_id,
        });
        let request = self.client.post("/v1/files", request).on(path);
        let Requested { id, upload } = request.send().await?;
        self.client.upload(&upload, bytes).await?;
        Ok(id)
    }
}

fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The notes that have each file attached.
fn homes<'a>(
    files: &'a [String],
    pages: &[Page],
    notes: &HashMap<String, Uuid>,
    attached: &mut Attached,
) -> Vec<Home<'a>> {
    let by_path: HashMap<String, &'a str> = files
        .iter()
        .map(|file| (file.to_lowercase(), file.as_str()))
        .collect();
    let mut by_name: HashMap<String, Vec<&'a str>> = HashMap::new();
    for file in files {
        by_name
            .entry(name(file).to_lowercase())
            .or_default()
            .push(file);
    }
    let find = |folder: &str, target: &Target| -> Option<&'a str> {
        let (Target::Named(path) | Target::At(path)) = target;
        let at = |folder: &str| {
            by_path
                .get(&place::resolve(folder, path)?.to_lowercase())
                .copied()
        };
        let ending = format!("/{}", path.to_lowercase());
        let named = || {
            let named = by_name.get(&name(path).to_lowercase())?.iter();
            let mut named =
                named.filter(|file| format!("/{}", file.to_lowercase()).ends_with(&ending));
            named.next().copied()
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
