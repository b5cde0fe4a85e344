//! Turns files into notes: plans the work for each file and sends the commands.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::composed;
use domain::knowledge::note::SourceFile;
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::AT_ONCE;
use super::error::FolderError;
use super::find::LeftOut;
use super::import::{Folder, Imported};
use super::page::{self, Page};
use super::record::{self, Note};
use super::style::Style;
use crate::client::{Answer, ClientError};
use crate::progress::{Phase, count, print};

/// The work for one file.
enum Task {
    Create,
    /// Revise an existing note.
    Revise {
        id: Uuid,
        version: i64,
        changes: Value,
    },
    Nothing(Uuid),
}

#[derive(Deserialize)]
struct Created {
    id: Uuid,
}

impl Folder<'_> {
    /// Creates a note for each page, or revises the existing one.
    pub(super) async fn write(
        &self,
        style: &Style,
        pages: &[Page],
        imported: &mut Imported,
    ) -> Result<(), FolderError> {
        let known = record::notes(self.client, self.workspace_id).await?;
        let matched = matches(pages, &known);
        let mut work = Vec::new();
        for page in pages {
            match self.plan(page, matched.get(page.path.as_str()).copied(), style) {
                Ok(task) => work.push((page, task)),
                Err(reason) => imported.leave_out(&page.path, &reason),
            }
        }
        if self.dry_run {
            for (page, task) in work {
                match task {
                    Task::Create => {
                        print(&format!("create {}: {:?}", page.path, page.fields.title))
                    }
                    Task::Revise { .. } => print(&format!("revise {}", page.path)),
                    Task::Nothing(_) => {}
                }
                imported.count(page, &task, task.note_id());
            }
            return Ok(());
        }
        let phase = Phase::start("import", work.len());
        let mut refused = Vec::new();
        let mut results = stream::iter(work)
            .map(async |(page, task)| (page, self.carry_out(page, &task).await, task))
            .buffer_unordered(AT_ONCE);
        while let Some((page, result, task)) = results.next().await {
            phase.step();
            match result {
                Ok(id) => imported.count(page, &task, id),
                Err(ClientError::Refused { problem, .. })
                    if matches!(problem.status, 400 | 409 | 412 | 413 | 422) =>
                {
                    refused.push((page, LeftOut::Refused(problem.detail)));
                }
                Err(error) => return Err(error.into()),
            }
        }
        phase.finish(&count(imported.notes.len(), "note"));
        for (page, reason) in refused {
            imported.leave_out(&page.path, &reason);
        }
        Ok(())
    }

    fn plan(&self, page: &Page, known: Option<&Note>, style: &Style) -> Result<Task, LeftOut> {
        let Some((note, file)) = known.and_then(|note| Some((note, note.file.as_ref()?))) else {
            return Ok(Task::Create);
        };
        if composed(&file.path) == composed(&page.path) && file.sha256 == page.sha256 {
            return Ok(Task::Nothing(note.id));
        }
        if note.status != "active" {
            let status = &note.status;
            return Err(LeftOut::Refused(format!(
                "its note is {status} in Daybook; restore that to import it again"
            )));
        }
        let untouched = page::digest(&note.body, file.byte_order_mark) == file.sha256;
        let same_text = file.sha256 == page.sha256;
        if !untouched && !same_text && !self.overwrite {
            return Err(LeftOut::Refused(
                "both the file and its note in Daybook have changed; --overwrite takes the file, `daybook export` shows the note".into(),
            ));
        }
        // Only the file's own changes are applied, so that other changes in Daybook stay.
        let before = page::fields(&file.path, &note.body, style).unwrap_or_default();
        let now = &page.fields;
        let mut changes = json!({"file": self.source(page)});
        if !same_text {
            changes["body"] = page.body.clone().into();
        }
        if before.title != now.title {
            changes["title"] = now.title.clone().into();
        }
        if before.tags != now.tags {
            changes["tags"] = json!(&(&note.tags - &before.tags) | &now.tags);
        }
        if before.aliases != now.aliases {
            changes["aliases"] = json!(&(&note.aliases - &before.aliases) | &now.aliases);
        }
        Ok(Task::Revise {
            id: note.id,
            version: note.version,
            changes,
        })
    }

    async fn carry_out(&self, page: &Page, task: &Task) -> Result<Uuid, ClientError> {
        match task {
            Task::Nothing(id) => Ok(*id),
            Task::Revise {
                id,
                version,
                changes,
            } => {
                let revise = self
                    .client
                    .patch(format!("/v1/notes/{id}"), changes.clone());
                let revise = revise
                    .on(format!("{} at {version}", page.path))
                    .at_version(*version);
                revise.send::<Value>().await?;
                Ok(*id)
            }
            Task::Create => self.create(page).await,
        }
    }

    async fn create(&self, page: &Page) -> Result<Uuid, ClientError> {
        let note = json!({
            "workspace_id": self.workspace_id,
            "title": page.fields.title,
            "body": page.body,
            "tags": page.fields.tags,
            "aliases": page.fields.aliases,
            "file": self.source(page),
        });
        let mut occasion = page.path.clone();
        loop {
            let create = self.client.post("/v1/notes", note.clone()).on(&occasion);
            let Answer { body, replayed } = create.answer::<Created>().await?;
            if !replayed {
                return Ok(body.id);
            }
            // An earlier import's replayed answer may name a note that was purged since.
            let path = format!("/v1/notes/{}", body.id);
            match self.client.get::<Value>(&path).await {
                Err(ClientError::Refused { problem, .. }) if problem.status == 404 => {
                    occasion = format!("{} instead of {}", page.path, body.id);
                }
                result => return result.map(|_| body.id),
            }
        }
    }

    fn source(&self, page: &Page) -> SourceFile {
        let metadata = std::fs::metadata(self.root.join(&page.path));
        let changed = metadata.and_then(|metadata| metadata.modified());
        SourceFile {
            path: page.path.clone(),
            sha256: page.sha256.clone(),
            byte_order_mark: page.byte_order_mark,
            created_at: page.fields.created_at,
            modified_at: page
                .fields
                .modified_at
                .or_else(|| changed.ok().map(DateTime::<Utc>::from)),
        }
    }
}

impl Imported {
    fn count(&mut self, page: &Page, task: &Task, note_id: Uuid) {
        match task {
            Task::Create => self.created += 1,
            Task::Revise { .. } => self.revised += 1,
            Task::Nothing(_) => self.unchanged += 1,
        }
        self.notes.insert(page.path.clone(), note_id);
    }
}

impl Task {
    /// Returns the note's id; a new note has none yet.
    fn note_id(&self) -> Uuid {
        match self {
            Self::Create => Uuid::nil(),
            Self::Revise { id, .. } | Self::Nothing(id) => *id,
        }
    }
}

/// Matches pages to existing notes: by path, or by digest if a file was moved.
fn matches<'a>(pages: &'a [Page], known: &'a [Note]) -> HashMap<&'a str, &'a Note> {
    let mut by_path: BTreeMap<&str, &Note> = BTreeMap::new();
    // Systems differ in how they compose Unicode file names.
    let mut by_composed: BTreeMap<String, &Note> = BTreeMap::new();
    let mut moved: BTreeMap<&str, Vec<&Note>> = BTreeMap::new();
    let here: BTreeSet<String> = pages.iter().map(|page| composed(&page.path)).collect();
    for note in known {
        let Some(file) = &note.file else { continue };
        by_path.insert(&file.path, note);
        let path = composed(&file.path);
        if !here.contains(&path) {
            moved.entry(&file.sha256).or_default().push(note);
        }
        by_composed.insert(path, note);
    }
    let mut matched = HashMap::new();
    for page in pages {
        let note = by_path.get(page.path.as_str());
        let note = note.or_else(|| by_composed.get(&composed(&page.path)));
        let moved = || moved.get_mut(page.sha256.as_str())?.pop();
        if let Some(note) = note.copied().or_else(moved) {
            matched.insert(page.path.as_str(), note);
        }
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(number: u128, path: &str) -> Note {
        let file = json!({"path": path, "sha256": page::digest(path, false)});
        Note {
            id: Uuid::from_u128(number),
            version: 1,
            title: String::new(),
            body: path.into(),
            tags: BTreeSet::new(),
            aliases: BTreeSet::new(),
            status: "active".into(),
            file: serde_json::from_value(file).unwrap(),
        }
    }

    #[test]
    fn a_file_is_known_by_its_path_however_that_is_composed_or_by_its_bytes() {
        let known = [
            note(1, "Caf\u{e9}.md"),
            note(2, "Tea.md"),
            note(3, "tea.md"),
            note(4, "old.md"),
        ];
        let pages = [
            ("Cafe\u{301}.md", "changed"),
            ("tea.md", "changed"),
            ("Tea.md", "changed"),
            ("new.md", "old.md"),
            ("other.md", "old.md"),
        ];
        let pages =
            pages.map(|(path, text)| Page::new(path, text.as_bytes(), &Style::Plain).unwrap());
        let matched = matches(&pages, &known);
        let found = pages.each_ref().map(|page| {
            matched
                .get(page.path.as_str())
                .map(|note| note.id.as_u128())
        });
        assert_eq!(found, [Some(1), Some(3), Some(2), Some(4), None]);
    }
}
