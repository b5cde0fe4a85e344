//! An action: one change that a proposal would make.

mod rebase;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Violations;
use crate::knowledge::note::{self, Merge, NoteCommand, Revision, TypedLink};
pub use rebase::Stale;

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
}

impl Action {
    /// The note it changes; none where it creates one.
    #[must_use]
    pub const fn note_id(&self) -> Option<Uuid> {
        match self {
            Self::CreateNote { .. } => None,
            Self::ReviseNote { note_id, .. }
            | Self::TagNote { note_id, .. }
            | Self::ArchiveNote { note_id, .. }
            | Self::LinkNote { note_id, .. }
            | Self::UnlinkNote { note_id, .. } => Some(*note_id),
        }
    }

    /// The other note that it needs.
    #[must_use]
    pub const fn target_id(&self) -> Option<Uuid> {
        match self {
            Self::LinkNote { target_id, .. } => Some(*target_id),
            Self::CreateNote { .. }
            | Self::ReviseNote { .. }
            | Self::TagNote { .. }
            | Self::ArchiveNote { .. }
            | Self::UnlinkNote { .. } => None,
        }
    }

    /// The version that it was written for, where that matters.
    #[must_use]
    pub const fn base_version(&self) -> Option<i64> {
        match self {
            Self::ReviseNote { base_version, .. } => Some(*base_version),
            Self::ArchiveNote { base_version, .. } => *base_version,
            Self::CreateNote { .. }
            | Self::TagNote { .. }
            | Self::LinkNote { .. }
            | Self::UnlinkNote { .. } => None,
        }
    }

    /// The command that carries it out; `merge`, if it was carried over to another version.
    #[must_use]
    pub fn command(&self, workspace_id: Uuid, merge: Option<Merge>) -> NoteCommand {
        match self.clone() {
            Self::CreateNote { title, body, tags } => NoteCommand::Create {
                workspace_id,
                title,
                body,
                tags,
            },
            Self::ReviseNote { title, body, .. } => match merge {
                Some(merge) => NoteCommand::Merge {
                    revision: Revision { title, body },
                    merge,
                },
                None => NoteCommand::Revise {
                    title,
                    body,
                    tags: None,
                },
            },
            Self::TagNote { add, remove, .. } => NoteCommand::Tag { add, remove },
            Self::ArchiveNote { .. } => NoteCommand::Archive,
            Self::LinkNote {
                target_id,
                relation,
                ..
            } => NoteCommand::Link(TypedLink {
                target_id,
                relation,
            }),
            Self::UnlinkNote {
                target_id,
                relation,
                ..
            } => NoteCommand::Unlink {
                target_id,
                relation,
            },
        }
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

/// Notes what breaks a rule of its own, whatever the notes are like; the actions stand at `pointer` of the command.
pub fn check(actions: &[Action], pointer: &str, violations: &mut Violations) {
    violations.require(
        (1..=MAX_ACTIONS).contains(&actions.len()),
        pointer,
        format!("must be 1 to {MAX_ACTIONS} actions"),
    );
    for (index, action) in actions.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        match action {
            Action::CreateNote { title, body, tags } => {
                note::check(
                    Some(title),
                    Some(body),
                    &pointer,
                    "tags",
                    Some(tags),
                    violations,
                );
            }
            Action::ReviseNote {
                title,
                body,
                base_version,
                ..
            } => {
                check_version(Some(*base_version), &pointer, violations);
                violations.require(
                    title.is_some() || body.is_some(),
                    &pointer,
                    "must change the title or the body",
                );
                note::check(
                    title.as_deref(),
                    body.as_deref(),
                    &pointer,
                    "tags",
                    None,
                    violations,
                );
            }
            Action::TagNote { add, remove, .. } => {
                violations.require(
                    !add.is_empty() || !remove.is_empty(),
                    &pointer,
                    "must add or remove a tag",
                );
                note::check(None, None, &pointer, "add", Some(add), violations);
            }
            Action::LinkNote {
                note_id,
                target_id,
                relation,
            } => {
                violations.require(
                    note_id != target_id,
                    format!("{pointer}/target_id"),
                    "must be another note",
                );
                note::check_relation(relation, &pointer, violations);
            }
            Action::ArchiveNote { base_version, .. } => {
                check_version(*base_version, &pointer, violations);
            }
            Action::UnlinkNote { .. } => {}
        }
    }
}

fn check_version(base_version: Option<i64>, pointer: &str, violations: &mut Violations) {
    violations.require(
        base_version.is_none_or(|version| version > 0),
        format!("{pointer}/base_version"),
        "must be at least 1",
    );
}
