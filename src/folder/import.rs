//! `daybook import DIR --workspace ID`: files become notes and artifacts of a workspace. A file is known again by its path, so that a second
//! import, from any machine, changes only what has changed.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Args;
use domain::knowledge::task_line::task_lines;
use serde::Deserialize;
use uuid::Uuid;

use super::attach::Attached;
use super::error::FolderError;
use super::find::{self, Found, LeftOut};
use super::page::Page;
use super::style::Style;
use crate::client::{Client, ClientError};
use crate::progress::{count, print, warn};

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

/// A folder whose files become notes and artifacts of a workspace.
pub struct Folder<'a> {
    pub client: &'a Client,
    pub workspace_id: Uuid,
    pub root: &'a Path,
    /// Print what would be done, and do nothing.
    pub dry_run: bool,
    /// Where a note has changed both here and in Daybook, take the file's text.
    pub overwrite: bool,
}

/// The results of an import.
#[derive(Default)]
pub struct Imported {
    /// Files of every kind that the folder has.
    pub files: usize,
    pub created: usize,
    pub revised: usize,
    pub unchanged: usize,
    pub left_out: usize,
    /// The notes of the files that are notes now, by their paths.
    pub notes: HashMap<String, Uuid>,
    pages: Vec<Page>,
    attached: Attached,
}

/// A link that leads nowhere.
#[derive(Deserialize)]
struct Link {
    text: Option<String>,
    source_id: Uuid,
}

impl Import {
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        let client = Client::new(&self.server, &self.key);
        let folder = Folder {
            client: &client,
            workspace_id: self.workspace,
            root: &self.dir,
            dry_run: self.dry_run,
            overwrite: self.overwrite,
        };
        let imported = folder.import(&find::find(&self.dir)?).await?;
        print(&format!(
            "{}{} created, {} revised, {} unchanged; {} attached, {} unchanged",
            if self.dry_run { "would be: " } else { "" },
            count(imported.created, "note"),
            imported.revised,
            imported.unchanged,
            count(imported.attached.new, "file"),
            imported.attached.unchanged,
        ));
        for (path, target) in &imported.attached.missing {
            print(&format!("no such file: {path}: {target}"));
        }
        if !self.dry_run {
            for (path, text) in folder.dangling(&imported).await? {
                print(&format!("no such note: {path}: {text}"));
            }
        }
        match imported.left_out {
            0 => Ok(()),
            left_out => {
                Err(format!("{} left out; the warnings say why", count(left_out, "file")).into())
            }
        }
    }
}

impl Folder<'_> {
    /// Makes notes and artifacts of what was found in the folder. A file that cannot be either is left out, with a warning.
    pub async fn import(&self, found: &Found) -> Result<Imported, FolderError> {
        // An import that was interrupted has left notes behind.
        self.client.catch_up().await?;
        let style = Style::of(self.root);
        let mut imported = Imported {
            files: found.notes.len() + found.others.len() + found.left_out.len(),
            ..Imported::default()
        };
        for (path, reason) in &found.left_out {
            imported.leave_out(path, reason);
        }
        let mut pages = Vec::new();
        for path in &found.notes {
            match self.read(path, &style) {
                Ok(page) => pages.push(page),
                Err(reason) => imported.leave_out(path, &reason),
            }
        }
        self.write(&style, &pages, &mut imported).await?;
        let attached = self.attach(&found.others, &pages, &imported.notes).await?;
        for (path, reason) in &attached.left_out {
            imported.leave_out(path, reason);
        }
        Ok(Imported {
            pages,
            attached,
            ..imported
        })
    }

    fn read(&self, path: &str, style: &Style) -> Result<Page, LeftOut> {
        let bytes = find::read(&self.root.join(path), find::MAX_NOTE, LeftOut::TooLarge)?;
        Page::new(path, &bytes, style)
    }

    /// The links of imported notes that lead nowhere: what they name does not exist.
    async fn dangling(
        &self,
        imported: &Imported,
    ) -> Result<BTreeSet<(String, String)>, ClientError> {
        let paths: HashMap<Uuid, &str> = imported
            .notes
            .iter()
            .map(|(path, note_id)| (*note_id, path.as_str()))
            .collect();
        let path = format!(
            "/v1/links?workspace_id={}&dangling=true&limit=200",
            self.workspace_id
        );
        let links = self.client.list::<Link>(&path).await?.into_iter();
        let named =
            links.filter_map(|link| Some(((*paths.get(&link.source_id)?).to_owned(), link.text?)));
        Ok(named.collect())
    }
}

impl Imported {
    pub(super) fn leave_out(&mut self, path: &str, reason: &LeftOut) {
        self.left_out += 1;
        warn(&format!("{path} is left out: {reason}"));
    }

    /// The number of artifacts that the folder's files are.
    pub const fn artifacts(&self) -> usize {
        self.attached.new + self.attached.unchanged
    }

    /// The number of lines in the notes that are tasks.
    pub fn task_lines(&self) -> usize {
        let pages = self.pages.iter();
        let imported = pages.filter(|page| self.notes.contains_key(&page.path));
        imported.map(|page| task_lines(&page.body).len()).sum()
    }
}
