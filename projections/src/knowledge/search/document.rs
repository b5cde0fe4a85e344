//! Searchable documents, and the changes that events make to them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::Aggregate;
use domain::knowledge::artifact::{Artifact, ArtifactEvent};
use domain::knowledge::note::{Note, NoteEvent};
use domain::knowledge::task::{Draft, Status, Task, TaskEvent};
use serde::{Deserialize, Serialize};
use store::{Position, Recorded};
use uuid::Uuid;

use super::vector::{self, Text, Vectors};
use crate::ApplyError;

/// The categories that are searchable.
pub const CATEGORIES: &[&str] = &[Note::CATEGORY, Task::CATEGORY, Artifact::CATEGORY];

/// The change that an event makes to a document.
#[derive(Debug, Clone, PartialEq)]
pub enum DocumentChange {
    Begun(Box<Beginning>),
    /// A None leaves the value unchanged.
    Revised {
        title: Option<String>,
        body: Option<String>,
    },
    Tagged {
        added: BTreeSet<String>,
        removed: BTreeSet<String>,
    },
    /// The document has a new status.
    Moved(&'static str),
    /// A change to nothing that is searched.
    Touched,
    Gone,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Beginning {
    workspace_id: Uuid,
    note_id: Option<Uuid>,
    title: String,
    body: String,
    tags: BTreeSet<String>,
    status: &'static str,
}

impl DocumentChange {
    pub fn of(event: &Recorded) -> Result<Self, ApplyError> {
        let contract = |error| ApplyError::contract(event, &error);
        let category = event.stream.category.as_str();
        if category == Task::CATEGORY {
            event.decode().map(Self::of_task).map_err(contract)
        } else if category == Artifact::CATEGORY {
            event.decode().map(Self::of_artifact).map_err(contract)
        } else {
            event.decode().map(Self::of_note).map_err(contract)
        }
    }

    fn of_note(event: NoteEvent) -> Self {
        match event {
            NoteEvent::Created {
                workspace_id,
                title,
                body,
                tags,
                ..
            } => Self::Begun(Box::new(Beginning {
                workspace_id,
                note_id: None,
                title,
                body,
                tags,
                status: "active",
            })),
            NoteEvent::Revised { title, body, .. } => Self::Revised { title, body },
            NoteEvent::Tagged { added, removed } => Self::Tagged { added, removed },
            NoteEvent::Linked { .. } | NoteEvent::Unlinked { .. } => Self::Touched,
            NoteEvent::Archived {} => Self::Moved("archived"),
            NoteEvent::Trashed {} => Self::Moved("trashed"),
            NoteEvent::Restored {} => Self::Moved("active"),
            NoteEvent::Purged {} => Self::Gone,
        }
    }

    fn of_task(event: TaskEvent) -> Self {
        match event {
            TaskEvent::Created { draft } => Self::of_draft(draft, Status::Open),
            TaskEvent::Suggested { draft } => Self::of_draft(draft, Status::Suggested),
            TaskEvent::Accepted {} | TaskEvent::Reopened {} => Self::Moved(Status::Open.into()),
            TaskEvent::Completed {} => Self::Moved(Status::Done.into()),
            TaskEvent::Dismissed {} => Self::Moved(Status::Dismissed.into()),
            TaskEvent::Retitled { title } => Self::Revised {
                title: Some(title),
                body: None,
            },
            TaskEvent::Labelled { added, removed } => Self::Tagged { added, removed },
            TaskEvent::Assigned { .. } | TaskEvent::Scheduled { .. } | TaskEvent::Moved { .. } => {
                Self::Touched
            }
            TaskEvent::Removed {} => Self::Gone,
            TaskEvent::Restored { draft, status } => Self::of_draft(draft, status),
        }
    }

    fn of_artifact(event: ArtifactEvent) -> Self {
        match event {
            ArtifactEvent::Attached { attachment } => Self::Begun(Box::new(Beginning {
                workspace_id: attachment.workspace_id,
                note_id: Some(attachment.note_id),
                title: attachment.name,
                body: String::new(),
                tags: BTreeSet::new(),
                status: "attached",
            })),
            ArtifactEvent::Renamed { name } => Self::Revised {
                title: Some(name),
                body: None,
            },
            ArtifactEvent::Detached {} => Self::Moved("detached"),
            ArtifactEvent::Restored {} => Self::Moved("attached"),
            ArtifactEvent::Removed {} => Self::Gone,
        }
    }

    fn of_draft(draft: Draft, status: Status) -> Self {
        Self::Begun(Box::new(Beginning {
            workspace_id: draft.workspace_id,
            note_id: draft.note_id,
            title: draft.title,
            body: String::new(),
            tags: draft.labels,
            status: status.into(),
        }))
    }

    /// Returns true if the words change. The earlier document is needed then.
    pub const fn is_of_words(&self) -> bool {
        match self {
            Self::Begun(_)
            | Self::Revised { .. }
            | Self::Tagged { .. }
            // The document goes into the trash or leaves it.
            | Self::Moved(_)
            | Self::Gone => true,
            Self::Touched => false,
        }
    }
}

/// A row of `search_documents`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub id: Uuid,
    pub product_id: Uuid,
    pub workspace_id: Uuid,
    pub kind: String,
    pub note_id: Option<Uuid>,
    pub title: String,
    /// None: not loaded and not changed.
    pub body: Option<String>,
    pub tags: BTreeSet<String>,
    pub status: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub position: Position,
}

impl Document {
    /// Returns the document after one more event; none: there is no document.
    pub fn after(document: Option<Self>, change: DocumentChange, event: &Recorded) -> Option<Self> {
        if let DocumentChange::Begun(beginning) = change {
            return Some(Self::begun(*beginning, event));
        }
        let mut document = document?;
        match change {
            DocumentChange::Begun(_) | DocumentChange::Touched => {}
            DocumentChange::Revised { title, body } => {
                document.title = title.unwrap_or(document.title);
                document.body = body.or(document.body);
            }
            DocumentChange::Tagged { added, removed } => {
                document.tags.retain(|tag| !removed.contains(tag));
                document.tags.extend(added);
            }
            DocumentChange::Moved(status) => status.clone_into(&mut document.status),
            DocumentChange::Gone => return None,
        }
        document.updated_at = event.recorded_at;
        document.position = event.position;
        Some(document)
    }

    fn begun(beginning: Beginning, event: &Recorded) -> Self {
        Self {
            id: event.stream.id,
            product_id: event.product_id,
            workspace_id: beginning.workspace_id,
            kind: event.stream.category.clone(),
            note_id: beginning.note_id,
            title: beginning.title,
            body: Some(beginning.body),
            tags: beginning.tags,
            status: beginning.status.to_owned(),
            created_at: event.recorded_at,
            updated_at: event.recorded_at,
            position: event.position,
        }
    }

    /// Returns the workspace, the note and the creation time, which do not change later.
    pub const fn beginning(&self) -> (Uuid, Option<Uuid>, DateTime<Utc>) {
        (self.workspace_id, self.note_id, self.created_at)
    }

    /// Returns true if the words of the document count in the vocabulary.
    pub fn counts(&self) -> bool {
        !matches!(self.status.as_str(), "trashed" | "detached")
    }

    /// Returns the words that find the document.
    pub fn vectors(&self) -> Vectors {
        vector::vectors(&Text {
            workspace_id: self.workspace_id,
            kind: &self.kind,
            title: &self.title,
            tags: self.tags.iter().map(String::as_str).collect(),
            body: self.body.as_deref().unwrap_or_default(),
        })
    }
}
