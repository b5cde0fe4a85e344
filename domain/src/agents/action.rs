//! An action: one change that a proposal would make.

mod check;
mod note;
mod size;
mod stale;
mod task;

use std::collections::BTreeSet;

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use check::check;
pub use stale::Stale;

/// Most actions in one proposal.
pub const MAX_ACTIONS: usize = 100;

/// One change that a proposal would make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type")]
pub enum Action {
    #[serde(rename = "note.create")]
    CreateNote {
        title: String,
        body: String,
        #[serde(default)]
        tags: BTreeSet<String>,
    },
    /// Written for `base_version`; where others have written since, it is merged.
    #[serde(rename = "note.revise")]
    ReviseNote {
        note_id: Uuid,
        base_version: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    },
    #[serde(rename = "note.tag")]
    TagNote {
        note_id: Uuid,
        #[serde(default)]
        add: BTreeSet<String>,
        #[serde(default)]
        remove: BTreeSet<String>,
    },
    /// With a `base_version`: only while the note says what it said then.
    #[serde(rename = "note.archive")]
    ArchiveNote {
        note_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_version: Option<i64>,
    },
    #[serde(rename = "note.link")]
    LinkNote {
        note_id: Uuid,
        target_id: Uuid,
        relation: String,
    },
    /// Without a relation: whatever links it to the other.
    #[serde(rename = "note.unlink")]
    UnlinkNote {
        note_id: Uuid,
        target_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        relation: Option<String>,
    },
    /// An open task, at the end of all.
    #[serde(rename = "task.create")]
    CreateTask {
        /// A note of the same workspace that it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note_id: Option<Uuid>,
        title: String,
        /// Id of a member of the workspace.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assignee: Option<Uuid>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_on: Option<NaiveDate>,
        #[serde(default)]
        labels: BTreeSet<String>,
    },
    /// What is absent stays as it is. With a `base_version`: what others have changed since must be something else.
    #[serde(rename = "task.revise")]
    ReviseTask {
        task_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_version: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// Id of a member of the workspace; null: nobody.
        #[serde(
            default,
            deserialize_with = "present",
            skip_serializing_if = "Option::is_none"
        )]
        #[schema(value_type = Option<Uuid>)]
        assignee: Option<Option<Uuid>>,
        /// Null: whenever.
        #[serde(
            default,
            deserialize_with = "present",
            skip_serializing_if = "Option::is_none"
        )]
        #[schema(value_type = Option<NaiveDate>)]
        due_on: Option<Option<NaiveDate>>,
        /// Replaces them all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        labels: Option<BTreeSet<String>>,
    },
    /// With a `base_version`: only while the task is what it was then.
    #[serde(rename = "task.complete")]
    CompleteTask {
        task_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_version: Option<i64>,
    },
    /// With a `base_version`: only while the task is what it was then.
    #[serde(rename = "task.reopen")]
    ReopenTask {
        task_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_version: Option<i64>,
    },
    /// Between two tasks of the workspace, or to an end.
    #[serde(rename = "task.move")]
    MoveTask {
        task_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Uuid>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Uuid>,
    },
    /// With a `base_version`: only while the task is what it was then.
    #[serde(rename = "task.delete")]
    DeleteTask {
        task_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_version: Option<i64>,
    },
    /// A file that has been uploaded, or something at an address elsewhere.
    #[serde(rename = "artifact.attach")]
    AttachArtifact {
        note_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file_id: Option<Uuid>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// Of a file its own name, if not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Known of a file; of an address it must be given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
    },
    #[serde(rename = "artifact.detach")]
    DetachArtifact { artifact_id: Uuid },
}

/// A field that is there, though it may be null.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    field: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// What an action changes; without an id: something that it creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Note(Option<Uuid>),
    Task(Option<Uuid>),
    Artifact(Option<Uuid>),
}

impl Action {
    /// Every type, as rules name them.
    pub const TYPES: [&str; 14] = [
        "note.create",
        "note.revise",
        "note.tag",
        "note.archive",
        "note.link",
        "note.unlink",
        "task.create",
        "task.revise",
        "task.complete",
        "task.reopen",
        "task.move",
        "task.delete",
        "artifact.attach",
        "artifact.detach",
    ];

    #[must_use]
    pub const fn action_type(&self) -> &'static str {
        match self {
            Self::CreateNote { .. } => "note.create",
            Self::ReviseNote { .. } => "note.revise",
            Self::TagNote { .. } => "note.tag",
            Self::ArchiveNote { .. } => "note.archive",
            Self::LinkNote { .. } => "note.link",
            Self::UnlinkNote { .. } => "note.unlink",
            Self::CreateTask { .. } => "task.create",
            Self::ReviseTask { .. } => "task.revise",
            Self::CompleteTask { .. } => "task.complete",
            Self::ReopenTask { .. } => "task.reopen",
            Self::MoveTask { .. } => "task.move",
            Self::DeleteTask { .. } => "task.delete",
            Self::AttachArtifact { .. } => "artifact.attach",
            Self::DetachArtifact { .. } => "artifact.detach",
        }
    }

    #[must_use]
    pub const fn subject(&self) -> Subject {
        match self {
            Self::CreateNote { .. } => Subject::Note(None),
            Self::ReviseNote { note_id, .. }
            | Self::TagNote { note_id, .. }
            | Self::ArchiveNote { note_id, .. }
            | Self::LinkNote { note_id, .. }
            | Self::UnlinkNote { note_id, .. } => Subject::Note(Some(*note_id)),
            Self::CreateTask { .. } => Subject::Task(None),
            Self::ReviseTask { task_id, .. }
            | Self::CompleteTask { task_id, .. }
            | Self::ReopenTask { task_id, .. }
            | Self::MoveTask { task_id, .. }
            | Self::DeleteTask { task_id, .. } => Subject::Task(Some(*task_id)),
            Self::AttachArtifact { .. } => Subject::Artifact(None),
            Self::DetachArtifact { artifact_id } => Subject::Artifact(Some(*artifact_id)),
        }
    }

    /// The note that it needs beside what it changes.
    #[must_use]
    pub const fn target_id(&self) -> Option<Uuid> {
        match self {
            Self::LinkNote { target_id, .. } => Some(*target_id),
            Self::CreateTask { note_id, .. } => *note_id,
            Self::AttachArtifact { note_id, .. } => Some(*note_id),
            Self::CreateNote { .. }
            | Self::ReviseNote { .. }
            | Self::TagNote { .. }
            | Self::ArchiveNote { .. }
            | Self::UnlinkNote { .. }
            | Self::ReviseTask { .. }
            | Self::CompleteTask { .. }
            | Self::ReopenTask { .. }
            | Self::MoveTask { .. }
            | Self::DeleteTask { .. }
            | Self::DetachArtifact { .. } => None,
        }
    }

    /// The version that it was written for, where that matters.
    #[must_use]
    pub const fn base_version(&self) -> Option<i64> {
        match self {
            Self::ReviseNote { base_version, .. } => Some(*base_version),
            Self::ArchiveNote { base_version, .. }
            | Self::ReviseTask { base_version, .. }
            | Self::CompleteTask { base_version, .. }
            | Self::ReopenTask { base_version, .. }
            | Self::DeleteTask { base_version, .. } => *base_version,
            Self::CreateNote { .. }
            | Self::TagNote { .. }
            | Self::LinkNote { .. }
            | Self::UnlinkNote { .. }
            | Self::CreateTask { .. }
            | Self::MoveTask { .. }
            | Self::AttachArtifact { .. }
            | Self::DetachArtifact { .. } => None,
        }
    }

    /// The same, for another version.
    fn at_version(mut self, version: i64) -> Self {
        match &mut self {
            Self::ReviseNote { base_version, .. } => *base_version = version,
            Self::ArchiveNote { base_version, .. }
            | Self::ReviseTask { base_version, .. }
            | Self::CompleteTask { base_version, .. }
            | Self::ReopenTask { base_version, .. }
            | Self::DeleteTask { base_version, .. } => {
                *base_version = base_version.map(|_| version);
            }
            Self::CreateNote { .. }
            | Self::TagNote { .. }
            | Self::LinkNote { .. }
            | Self::UnlinkNote { .. }
            | Self::CreateTask { .. }
            | Self::MoveTask { .. }
            | Self::AttachArtifact { .. }
            | Self::DetachArtifact { .. } => {}
        }
        self
    }
}

/// SHA-256, in hex, of the actions as compact JSON with sorted keys: what an approver has read.
#[must_use]
pub fn hash(actions: &[Action]) -> String {
    let canonical = serde_json::to_value(actions)
        .unwrap_or_default()
        .to_string();
    hex::encode(Sha256::digest(canonical))
}
