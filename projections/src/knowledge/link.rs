//! Links between notes, those that are made and those that bodies name: where they lead, and what they make of the notes
//! of a workspace together.
//!
//! A wiki link leads to the oldest note of the first name that it may mean, and keeps to it whatever that comes to be called, until a note
//! gets a name that comes before. While no note has any of the names it dangles, and so does every link to a note that is purged.

mod link_change;
mod link_graph;
mod projection;
#[cfg(test)]
mod properties;
mod query;

pub use projection::Links;
pub use query::{Edge, Graph, Link, Node, exists, graph, list};

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::knowledge::names::{self, Candidate};
use domain::knowledge::wiki::Reference;
use serde::{Deserialize, Serialize};
use store::Position;
use uuid::Uuid;

/// A row of `links`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct LinkRow {
    id: Uuid,
    product_id: Uuid,
    workspace_id: Uuid,
    source_id: Uuid,
    #[serde(flatten)]
    kind: Kind,
    /// None: a wiki link that dangles.
    target_id: Option<Uuid>,
    /// There is no such note.
    dangling: bool,
    /// Names under which a note would take the place of its target: of a wiki link that dangles, all that it may mean.
    awaits: Vec<Uuid>,
    created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind {
    Typed {
        relation: String,
    },
    Wiki {
        title_id: Uuid,
        text: String,
        /// All names that it may mean, the first before all others.
        name_ids: Vec<Uuid>,
        /// Where the text has a number sign: the heading or block that it leads to by each of the names.
        anchors: Option<Vec<Option<String>>>,
    },
}

/// A row of `note_titles`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct NoteTitle {
    id: Uuid,
    product_id: Uuid,
    workspace_id: Uuid,
    title: String,
    aliases: BTreeSet<String>,
    /// Of the file that it was made of.
    path: Option<String>,
    /// All names under which links find it.
    name_ids: Vec<Uuid>,
    position: Position,
}

impl NoteTitle {
    /// Takes over what a revision changes of its names.
    fn rename(
        &mut self,
        title: Option<String>,
        aliases: Option<BTreeSet<String>>,
        path: Option<String>,
    ) {
        if let Some(title) = title {
            self.title = title;
        }
        if let Some(aliases) = aliases {
            self.aliases = aliases;
        }
        if path.is_some() {
            self.path = path;
        }
        self.name_ids = names::name_ids(
            self.workspace_id,
            &self.title,
            &self.aliases,
            self.path.as_deref(),
        );
    }

    /// The references of its body that are links, each with the names that it may mean.
    fn candidates(&self, references: Vec<Reference>) -> Vec<(Reference, Vec<Candidate>)> {
        let path = self.path.as_deref();
        references
            .into_iter()
            .filter(|reference| path.is_some() || matches!(reference, Reference::Title(_)))
            .map(|reference| {
                let names = names::candidates(self.workspace_id, &reference, path);
                (reference, names)
            })
            .collect()
    }
}
