//! Actions as clients send them: the domain's, with nothing beside their fields. The log may hold fields that this
//! version does not know; a client that sends one has misspelt something.

use std::collections::BTreeSet;

use domain::agents::action::Action;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// One change that a proposal would make.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "type", deny_unknown_fields)]
#[expect(
    clippy::enum_variant_names,
    reason = "the names are the domain's, which has more than notes to act on"
)]
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
        }
    }
}
