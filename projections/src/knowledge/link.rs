//! Links between notes, those that are made and those that bodies name: where they lead, and what they make of the notes
//! of a workspace together.
//!
//! A wiki link leads to the oldest note that has its title, and keeps to it whatever that comes to be called. While nobody
//! has the title it dangles, and so does every link to a note that is purged.

mod change;
mod posting;
#[cfg(test)]
mod properties;
mod query;
mod web;

pub use posting::Links;
pub use query::{Edge, Graph, Link, Node, exists, graph, list};

use chrono::{DateTime, Utc};
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
    created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Kind {
    Typed { relation: String },
    Wiki { title_id: Uuid, text: String },
}

/// A row of `note_titles`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct NoteTitle {
    id: Uuid,
    product_id: Uuid,
    workspace_id: Uuid,
    title: String,
    title_id: Uuid,
    position: Position,
}
