//! `daybook import DIR --workspace ID`: turns files into notes and artifacts of a workspace. Files are identified by their paths, so a
//! second import, from any machine, changes only what has changed.

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
    /// Print the changes without making them
    #[arg(long)]
    dry_run: bool,
    /// Take the file's text if a note has changed both here and in Daybook
    #[arg(long)]
    overwrite: bool,
}

/// A folder whose files become notes and artifacts of a workspace.
pub struct Folder<'a> {
    pub client: &'a Client,
    pub workspace_id: Uuid,
    pub root: &'a Path,
    /// Prints the changes without making them.
    pub dry_run: bool,
    /// Takes the file's text if a note has changed both here and in Daybook.
    pub overwrite: bool,
}

/// The results of an import.
#[derive(Default)]
pub struct Imported {
    /// Number of files of every kind in the folder.
    pub files: usize,
    pub created: usize,
    pub revised: usize,
    pub unchanged: usize,
    pub left_out: usize,
    /// Notes by the paths of their files.
    pub notes: HashMap<String, Uuid>,
    pages: Vec<Page>,
    attached: Attached,
}

/// A link without a target.
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
    /// Turns the files into notes and artifacts. Skips a file that cannot be either, with a warning.
    pub async fn import(&self, found: &Found) -> Result<Imported, FolderError> {
        // Makes sure that notes of an interrupted import are visible.
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

    /// Returns the links of imported notes whose targets do not exist.
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

    /// Returns the number of artifacts made of the folder's files.
    pub const fn artifacts(&self) -> usize {
        self.attached.new + self.attached.unchanged
    }

    /// Returns the number of task lines in the notes.
    pub fn task_lines(&self) -> usize {
        let pages = self.pages.iter();
        let imported = pages.filter(|page| self.notes.contains_key(&page.path));
        imported.map(|page| task_lines(&page.body).len()).sum()
    }
}
