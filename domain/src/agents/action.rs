//! Actions: each is one change that a proposal would make.

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

/// The maximum number of actions in one proposal.
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
    /// Revises a note as of `base_version`; later changes by others are merged.
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
    /// Archives a note. With a `base_version`, fails if the note has changed since.
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
    /// Removes a link; without a relation, every link to the target.
    #[serde(rename = "note.unlink")]
    UnlinkNote {
        note_id: Uuid,
        target_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        relation: Option<String>,
    },
    /// Creates an open task at the end of the order.
    #[serde(rename = "task.create")]
    CreateTask {
        /// Note of the same workspace that the task belongs to.
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
    /// Changes a task; absent fields stay as they are. With a `base_version`, fails if others have changed the same fields since.
    #[serde(rename = "task.revise")]
    ReviseTask {
        task_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_version: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        /// Id of a member of the workspace; null removes the assignee.
        #[serde(
            default,
            deserialize_with = "present",
            skip_serializing_if = "Option::is_none"
        )]
        #[schema(value_type = Option<Uuid>)]
        assignee: Option<Option<Uuid>>,
        /// Due date; null removes it.
        #[serde(
            default,
            deserialize_with = "present",
            skip_serializing_if = "Option::is_none"
        )]
        #[schema(value_type = Option<NaiveDate>)]
        due_on: Option<Option<NaiveDate>>,
        /// Replaces all labels.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        labels: Option<BTreeSet<String>>,
    },
    /// Completes a task. With a `base_version`, fails if the task has changed since.
    #[serde(rename = "task.complete")]
    CompleteTask {
        task_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_version: Option<i64>,
    },
    /// Reopens a task. With a `base_version`, fails if the task has changed since.
    #[serde(rename = "task.reopen")]
    ReopenTask {
        task_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_version: Option<i64>,
    },
    /// Moves a task between two tasks of the workspace, or to one end.
    #[serde(rename = "task.move")]
    MoveTask {
        task_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Uuid>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Uuid>,
    },
    /// Deletes a task. With a `base_version`, fails if the task has changed since.
    #[serde(rename = "task.delete")]
    DeleteTask {
        task_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_version: Option<i64>,
    },
    /// Attaches an uploaded file or an external URL to a note.
    #[serde(rename = "artifact.attach")]
    AttachArtifact {
        note_id: Uuid,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file_id: Option<Uuid>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// Name of the artifact; defaults to the file's own name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Media type; known for a file, required for a URL.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
    },
    #[serde(rename = "artifact.detach")]
    DetachArtifact { artifact_id: Uuid },
}

crate::generate! {
    enum Action {
        CreateNote { title, body, tags },
        ReviseNote { note_id, base_version, title, body },
        TagNote { note_id, add, remove },
        ArchiveNote { note_id, base_version },
        LinkNote { note_id, target_id, relation },
        UnlinkNote { note_id, target_id, relation },
        CreateTask { note_id, title, assignee, due_on, labels },
        ReviseTask { task_id, base_version, title, assignee, due_on, labels },
        CompleteTask { task_id, base_version },
        ReopenTask { task_id, base_version },
        MoveTask { task_id, after, before },
        DeleteTask { task_id, base_version },
        AttachArtifact { note_id, file_id, url, name, media_type },
        DetachArtifact { artifact_id },
    }
}

/// Deserializes a field that is present, even if it is null.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    field: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// The subject that an action changes; no id if the action creates the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Note(Option<Uuid>),
    Task(Option<Uuid>),
    Artifact(Option<Uuid>),
}

impl Action {
    /// All types of actions, as rules name them.
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

    /// Returns the id of the note that the action needs besides its subject.
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

    /// Returns the version that the action was written for, where it matters.
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

    /// Returns the same action for another version.
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

/// Returns the hash of the actions that an approver has read: SHA-256, in hex, of compact JSON with sorted keys.
#[must_use]
pub fn hash(actions: &[Action]) -> String {
    let canonical = serde_json::to_value(actions)
        .unwrap_or_default()
        .to_string();
    hex::encode(Sha256::digest(canonical))
}
