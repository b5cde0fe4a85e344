//! Actions as clients send them: the domain's, with nothing beside their fields. The log may hold fields that this
//! version does not know; a client that sends one has misspelt something.

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

/// One change that a proposal would make.
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
    /// Written for `base_version`; where others have written since, it is merged.
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
    /// With a `base_version`: only while the note says what it said then.
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
    /// Without a relation: whatever links it to the other.
    #[serde(rename = "note.unlink")]
    UnlinkNote {
        note_id: Uuid,
        target_id: Uuid,
        relation: Option<String>,
    },
    /// An open task, at the end of all.
    #[serde(rename = "task.create")]
    CreateTask {
        /// A note of the same workspace that it belongs to.
        note_id: Option<Uuid>,
        title: String,
        /// Id of a member of the workspace.
        assignee: Option<Uuid>,
        due_on: Option<NaiveDate>,
        #[serde(default)]
        labels: BTreeSet<String>,
    },
    /// What is absent stays as it is. With a `base_version`: what others have changed since must be something else.
    #[serde(rename = "task.revise")]
    ReviseTask {
        task_id: Uuid,
        base_version: Option<i64>,
        title: Option<String>,
        /// Id of a member of the workspace; null: nobody.
        #[serde(default, deserialize_with = "present")]
        #[schema(value_type = Option<Uuid>)]
        assignee: Option<Option<Uuid>>,
        /// Null: whenever.
        #[serde(default, deserialize_with = "present")]
        #[schema(value_type = Option<NaiveDate>)]
        due_on: Option<Option<NaiveDate>>,
        /// Replaces them all.
        labels: Option<BTreeSet<String>>,
    },
    /// With a `base_version`: only while the task is what it was then.
    #[serde(rename = "task.complete")]
    CompleteTask {
        task_id: Uuid,
        base_version: Option<i64>,
    },
    /// With a `base_version`: only while the task is what it was then.
    #[serde(rename = "task.reopen")]
    ReopenTask {
        task_id: Uuid,
        base_version: Option<i64>,
    },
    /// Between two tasks of the workspace, or to an end.
    #[serde(rename = "task.move")]
    MoveTask {
        task_id: Uuid,
        after: Option<Uuid>,
        before: Option<Uuid>,
    },
    /// With a `base_version`: only while the task is what it was then.
    #[serde(rename = "task.delete")]
    DeleteTask {
        task_id: Uuid,
        base_version: Option<i64>,
    },
    /// A file that has been uploaded, or something at an address elsewhere.
    #[serde(rename = "artifact.attach")]
    AttachArtifact {
        note_id: Uuid,
        file_id: Option<Uuid>,
        url: Option<String>,
        /// Of a file its own name, if not given.
        name: Option<String>,
        /// Known of a file; of an address it must be given.
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
