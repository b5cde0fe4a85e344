//! Links between notes, both typed links and wiki links in bodies: their targets, and the graph that they form in a workspace.
//!
//! A wiki link may match several names, in order of preference. It leads to the oldest note with the first name that any note has. It
//! keeps its
//! target when that is renamed, until a note gets a preferred name. A wiki link dangles while no note has any of its names; every
//! link to a purged note dangles.

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
    /// None: a dangling wiki link.
    target_id: Option<Uuid>,
    /// True if the target does not exist.
    dangling: bool,
    /// Names that would give the link a new target; for a dangling wiki link, all its names.
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
        /// All names that the link may match, in order of preference.
        name_ids: Vec<Uuid>,
        /// The heading or block behind the number sign of the text, for each of the names; none: there is no number sign.
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
    /// Path of the file that the note was imported from.
    path: Option<String>,
    /// All names by which links find the note.
    name_ids: Vec<Uuid>,
    position: Position,
}

impl NoteTitle {
    /// Applies the changes that a revision makes to the names.
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

    /// Returns the references of a body that are links, each with the names that it may match.
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
