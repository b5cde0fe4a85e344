//! Actions as clients send them: the domain's actions without unknown fields. Stored events may contain fields that this version does not
//! know, but an unknown field from a client is a mistake.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use domain::agents::action::Action;
use serde::Deserialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::body::present;

/// A type of action, such as `note.tag`, in the description of the API.
pub struct ActionType;

impl PartialSchema for ActionType {
    fn schema() -> RefOr<Schema> {
        let words = ObjectBuilder::new().schema_type(Type::String);
        words.enum_values(Some(Action::TYPES)).into()
    }
}

impl ToSchema for ActionType {}

/// One change in a proposal.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum NewAction {
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
        title: Option<String>,
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
        relation: Option<String>,
    },
    /// Creates an open task at the end of the order.
    #[serde(rename = "task.create")]
    CreateTask {
        /// Note of the same workspace that the task belongs to.
        note_id: Option<Uuid>,
        title: String,
        /// Id of a member of the workspace.
        assignee: Option<Uuid>,
        due_on: Option<NaiveDate>,
        #[serde(default)]
        labels: BTreeSet<String>,
    },
    /// Changes a task; absent fields stay as they are. With a `base_version`, fails if others have changed the same fields since.
    #[serde(rename = "task.revise")]
    ReviseTask {
        task_id: Uuid,
        base_version: Option<i64>,
        title: Option<String>,
        /// Id of a member of the workspace; null removes the assignee.
        #[serde(default, deserialize_with = "present")]
        #[schema(value_type = Option<Uuid>)]
        assignee: Option<Option<Uuid>>,
        /// Due date; null removes it.
        #[serde(default, deserialize_with = "present")]
        #[schema(value_type = Option<NaiveDate>)]
        due_on: Option<Option<NaiveDate>>,
        /// Replaces all labels.
        labels: Option<BTreeSet<String>>,
    },
    /// Completes a task. With a `base_version`, fails if the task has changed since.
    #[serde(rename = "task.complete")]
    CompleteTask {
        task_id: Uuid,
        base_version: Option<i64>,
    },
    /// Reopens a task. With a `base_version`, fails if the task has changed since.
    #[serde(rename = "task.reopen")]
    ReopenTask {
        task_id: Uuid,
        base_version: Option<i64>,
    },
    /// Moves a task between two tasks of the workspace, or to one end.
    #[serde(rename = "task.move")]
    MoveTask {
        task_id: Uuid,
        after: Option<Uuid>,
        before: Option<Uuid>,
    },
    /// Deletes a task. With a `base_version`, fails if the task has changed since.
    #[serde(rename = "task.delete")]
    DeleteTask {
        task_id: Uuid,
        base_version: Option<i64>,
    },
    /// Attaches an uploaded file or an external URL to a note.
    #[serde(rename = "artifact.attach")]
    AttachArtifact {
        note_id: Uuid,
        file_id: Option<Uuid>,
        url: Option<String>,
        /// Name of the artifact; defaults to the file's own name.
        name: Option<String>,
        /// Media type; known for a file, required for a URL.
        media_type: Option<String>,
    },
    #[serde(rename = "artifact.detach")]
    DetachArtifact { artifact_id: Uuid },
}

impl From<NewAction> for Action {
    fn from(action: NewAction) -> Self {
        match action {
            NewAction::CreateNote { title, body, tags } => Self::CreateNote { title, body, tags },
            NewAction::ReviseNote {
                note_id,
                base_version,
                title,
                body,
            } => Self::ReviseNote {
                note_id,
                base_version,
                title,
                body,
            },
            NewAction::TagNote {
                note_id,
                add,
                remove,
            } => Self::TagNote {
                note_id,
                add,
                remove,
            },
            NewAction::ArchiveNote {
                note_id,
                base_version,
            } => Self::ArchiveNote {
                note_id,
                base_version,
            },
            NewAction::LinkNote {
                note_id,
                target_id,
                relation,
            } => Self::LinkNote {
                note_id,
                target_id,
                relation,
            },
            NewAction::UnlinkNote {
                note_id,
                target_id,
                relation,
            } => Self::UnlinkNote {
                note_id,
                target_id,
                relation,
            },
            NewAction::CreateTask {
                note_id,
                title,
                assignee,
                due_on,
                labels,
            } => Self::CreateTask {
                note_id,
                title,
                assignee,
                due_on,
                labels,
            },
            NewAction::ReviseTask {
                task_id,
                base_version,
                title,
                assignee,
                due_on,
                labels,
            } => Self::ReviseTask {
                task_id,
                base_version,
                title,
                assignee,
                due_on,
                labels,
            },
            NewAction::CompleteTask {
                task_id,
                base_version,
            } => Self::CompleteTask {
                task_id,
                base_version,
            },
            NewAction::ReopenTask {
                task_id,
                base_version,
            } => Self::ReopenTask {
                task_id,
                base_version,
            },
            NewAction::MoveTask {
                task_id,
                after,
                before,
            } => Self::MoveTask {
                task_id,
                after,
                before,
            },
            NewAction::DeleteTask {
                task_id,
                base_version,
            } => Self::DeleteTask {
                task_id,
                base_version,
            },
            NewAction::AttachArtifact {
                note_id,
                file_id,
                url,
                name,
                media_type,
            } => Self::AttachArtifact {
                note_id,
                file_id,
                url,
                name,
                media_type,
            },
            NewAction::DetachArtifact { artifact_id } => Self::DetachArtifact { artifact_id },
        }
    }
}
