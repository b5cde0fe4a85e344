//! `daybook import DIR --workspace ID`: files become notes and artifacts of a workspace. A file is known again by its path, so that a second
//! import, from any machine, changes only what has changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::Args;
use domain::knowledge::note::SourceFile;
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use super::AT_ONCE;
use super::attach;
use super::find::{self, LeftOut};
use super::page::{self, Page};
use super::record::{self, Note};
use super::style::Style;
use crate::demo::{Client, DemoError, Phase, count, print, warn};

#[derive(Args)]
pub struct Import {
    /// Folder of Markdown files, as Obsidian, Logseq, Foam or Notion keep or export it
    dir: PathBuf,
    /// Workspace that gets the notes
    #[arg(long)]
    workspace: Uuid,
    /// Base URL of the server
    #[arg(long, env = "DAYBOOK_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// API key of an editor of the workspace
    #[arg(long, env = "DAYBOOK_KEY", hide_env_values = true)]
    key: String,
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Where a note has changed both here and in Daybook, take the file's text
    #[arg(long)]
    overwrite: bool,
}

/// Work for one file.
enum Task {
    Create,
    /// Changes of a note that is there already.
    Revise {
        id: Uuid,
        version: i64,
        changes: Value,
    },
    Nothing(Uuid),
}

/// A link that leads nowhere.
#[derive(Deserialize)]
struct Link {
    text: Option<String>,
    source_id: Uuid,
}

#[derive(Deserialize)]
struct Created {
    id: Uuid,
}

/// The results of an import.
#[derive(Default)]
struct Outcome {
    created: usize,
    revised: usize,
    unchanged: usize,
    left_out: usize,
}

impl Import {
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        let client = Client::new(&self.server, &self.key);
        let found = find::find(&self.dir).map_err(|source| DemoError::Directory {
            path: self.dir.clone(),
            source,
        })?;
        let style = Style::of(&self.dir);
        let known = record::notes(&client, self.workspace).await?;
        let mut outcome = Outcome::default();
        for (path, reason) in &found.left_out {
            outcome.leave_out(path, reason);
        }
        let mut pages = Vec::new();
        for path in &found.notes {
            match read(&self.dir, path, &style) {
                Ok(page) => pages.push(page),
                Err(reason) => outcome.leave_out(path, &reason),
            }
        }
        let notes = self
            .write(&client, &style, &pages, &known, &mut outcome)
            .await?;
        let files = attach::Files {
            client: &client,
            workspace_id: self.workspace,
            root: &self.dir,
            dry_run: self.dry_run,
        };
        let attached = files.attach(&found.others, &pages, &notes).await?;
        for (path, reason) in &attached.left_out {
            outcome.leave_out(path, reason);
        }
        print(&format!(
            "{}{} created, {} revised, {} unchanged; {} attached, {} unchanged",
            if self.dry_run { "would be: " } else { "" },
            count(outcome.created, "note"),
            outcome.revised,
            outcome.unchanged,
            count(attached.new, "file"),
            attached.unchanged,
        ));
        for (path, target) in &attached.missing {
            print(&format!("no such file: {path}: {target}"));
        }
        if !self.dry_run {
            self.list_dangling(&client, &pages, &notes).await?;
        }
        match outcome.left_out {
            0 => Ok(()),
            left_out => {
                Err(format!("{} left out; the warnings say why", count(left_out, "file")).into())
            }
        }
    }

    /// Makes a note of each page, or changes the one that it is already; returns the notes of the pages.
    async fn write(
        &self,
        client: &Client,
        style: &Style,
        pages: &[Page],
        known: &[Note],
        outcome: &mut Outcome,
    ) -> Result<HashMap<String, Uuid>, Box<dyn Error>> {
        let mut notes = HashMap::new();
        let matched = matches(pages, known);
        let phase = Phase::start("import", pages.len());
        let mut work = Vec::new();
        for page in pages {
            match self.plan(page, matched.get(page.path.as_str()).copied(), style) {
                Ok(task) => work.push((page, task)),
                Err(reason) => outcome.leave_out(&page.path, &reason),
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
                outcome.count(&task);
                notes.insert(page.path.clone(), task.note_id());
            }
            return Ok(notes);
        }
        let mut results = stream::iter(work)
            .map(async |(page, task)| (page, self.carry_out(client, page, &task).await, task))
            .buffer_unordered(AT_ONCE);
        while let Some((page, result, task)) = results.next().await {
            phase.step();
            match result {
                Ok(id) => {
                    notes.insert(page.path.clone(), id);
                    outcome.count(&task);
                }
                Err(DemoError::Refused { problem, .. })
                    if matches!(problem.status, 400 | 409 | 412 | 413 | 422) =>
                {
                    outcome.leave_out(&page.path, &LeftOut::Refused(problem.detail));
                }
                Err(error) => return Err(error.into()),
            }
        }
        phase.finish(&count(notes.len(), "note"));
        Ok(notes)
    }

    fn plan(&self, page: &Page, known: Option<&Note>, style: &Style) -> Result<Task, LeftOut> {
        let Some((note, file)) = known.and_then(|note| Some((note, note.file.as_ref()?))) else {
            return Ok(Task::Create);
        };
        if file.path == page.path && file.sha256 == page.sha256 {
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
        // The file says what it has changed: what was changed in Daybook besides stays.
        let before = page::fields(&file.path, &note.body, style).unwrap_or_default();
        let now = &page.fields;
        let mut changes = json!({"file": source(page, &self.dir)});
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

    async fn carry_out(
        &self,
        client: &Client,
        page: &Page,
        task: &Task,
    ) -> Result<Uuid, DemoError> {
        match task {
            Task::Nothing(id) => Ok(*id),
            Task::Revise {
                id,
                version,
                changes,
            } => {
                let revise = client.patch(format!("/v1/notes/{id}"), changes.clone());
                let revise = revise
                    .on(format!("{} at {version}", page.path))
                    .at_version(*version);
                revise.send::<Value>().await?;
                Ok(*id)
            }
            Task::Create => {
                let note = json!({
                    "workspace_id": self.workspace,
                    "title": page.fields.title,
                    "body": page.body,
                    "tags": page.fields.tags,
                    "aliases": page.fields.aliases,
                    "file": source(page, &self.dir),
                });
                let mut occasion = page.path.clone();
                loop {
                    let create = client.post("/v1/notes", note.clone()).on(&occasion);
                    let Created { id } = create.send().await?;
                    // The answer of an earlier import stands for a note that may have been purged since.
                    match client.get::<Value>(&format!("/v1/notes/{id}")).await {
                        Err(DemoError::Refused { problem, .. }) if problem.status == 404 => {
                            occasion = format!("{} instead of {id}", page.path);
                        }
                        result => return result.map(|_| id),
                    }
                }
            }
        }
    }

    /// Tells which links lead nowhere: what they name does not exist.
    async fn list_dangling(
        &self,
        client: &Client,
        pages: &[Page],
        notes: &HashMap<String, Uuid>,
    ) -> Result<(), DemoError> {
        let paths: HashMap<Uuid, &str> = pages
            .iter()
            .filter_map(|page| Some((*notes.get(&page.path)?, page.path.as_str())))
            .collect();
        let path = format!(
            "/v1/links?workspace_id={}&dangling=true&limit=200",
            self.workspace
        );
        let links: BTreeSet<(String, String)> = client
            .list::<Link>(&path)
            .await?
            .into_iter()
            .filter_map(|link| Some(((*paths.get(&link.source_id)?).to_owned(), link.text?)))
            .collect();
        for (path, text) in links {
            print(&format!("no such note: {path}: {text}"));
        }
        Ok(())
    }
}

impl Outcome {
    fn leave_out(&mut self, path: &str, reason: &LeftOut) {
        self.left_out += 1;
        warn(&format!("{path} is left out: {reason}"));
    }

    const fn count(&mut self, task: &Task) {
        match task {
            Task::Create => self.created += 1,
            Task::Revise { .. } => self.revised += 1,
            Task::Nothing(_) => self.unchanged += 1,
        }
    }
}

impl Task {
    /// The note; a new one has no id yet.
    fn note_id(&self) -> Uuid {
        match self {
            Self::Create => Uuid::nil(),
            Self::Revise { id, .. } | Self::Nothing(id) => *id,
        }
    }
}

fn read(root: &Path, path: &str, style: &Style) -> Result<Page, LeftOut> {
    let bytes = find::read(&root.join(path), find::MAX_NOTE, LeftOut::TooLarge)?;
    Page::new(path, &bytes, style)
}

fn source(page: &Page, root: &Path) -> SourceFile {
    let changed = std::fs::metadata(root.join(&page.path)).and_then(|metadata| metadata.modified());
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

/// The notes that pages are already: by their paths, or by their bytes where a file was moved.
fn matches<'a>(pages: &'a [Page], known: &'a [Note]) -> HashMap<&'a str, &'a Note> {
    let composed = |path: &str| path.nfc().collect::<String>();
    let by_path: BTreeMap<String, &Note> = known
        .iter()
        .filter_map(|note| Some((composed(&note.file.as_ref()?.path), note)))
        .collect();
    let here: BTreeSet<String> = pages.iter().map(|page| composed(&page.path)).collect();
    let mut moved: BTreeMap<&str, Vec<&Note>> = BTreeMap::new();
    for (path, note) in &by_path {
        if let Some(file) = note.file.as_ref().filter(|_| !here.contains(path)) {
            moved.entry(&file.sha256).or_default().push(note);
        }
    }
    let note_of = |page: &Page| {
        let note = by_path.get(&composed(&page.path)).copied();
        note.or_else(|| moved.get_mut(page.sha256.as_str())?.pop())
    };
    let mut matched = HashMap::new();
    let mut note_of = note_of;
    for page in pages {
        if let Some(note) = note_of(page) {
            matched.insert(page.path.as_str(), note);
        }
    }
    matched
}
