//! Actions on notes.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{Action, Stale};
use crate::knowledge::note::{Changes, Content, Merge, Note, NoteCommand, Revision, TypedLink};

impl Action {
    /// Returns the command on a note that carries out the action; `merge` is set if the action was carried over to
    /// another version.
    #[must_use]
    pub fn note_command(&self, workspace_id: Uuid, merge: Option<Merge>) -> Option<NoteCommand> {
        Some(match self.clone() {
            Self::CreateNote { title, body, tags } => NoteCommand::Create {
                workspace_id,
                title,
                body,
                tags,
                aliases: BTreeSet::new(),
                file: None,
            },
            Self::ReviseNote { title, body, .. } => match merge {
                Some(merge) => NoteCommand::Merge {
                    revision: Revision { title, body },
                    merge,
                },
                None => NoteCommand::Revise(Changes {
                    title,
                    body,
                    ..Changes::default()
                }),
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
            Self::CreateTask { .. }
            | Self::ReviseTask { .. }
            | Self::CompleteTask { .. }
            | Self::ReopenTask { .. }
            | Self::MoveTask { .. }
            | Self::DeleteTask { .. }
            | Self::AttachArtifact { .. }
            | Self::DetachArtifact { .. } => return None,
        })
    }

    /// Returns the action carried over from the version of the note that it was written for to the current version.
    /// Actions that add to a set or remove from it, such as tags and links, stay the same.
    pub fn onto_note(&self, base: &Note, now: &Note, version: i64) -> Result<Self, Stale> {
        let action = self.clone().at_version(version);
        let Some((base, now)) = base.content().zip(now.content()) else {
            return Ok(action);
        };
        match action {
            Self::ReviseNote {
                note_id,
                base_version,
                title,
                body,
            } => {
                let written = Revision { title, body };
                let Revision { title, body } = now.rebase(base, &written).map_err(Stale::over)?;
                Ok(Self::ReviseNote {
                    note_id,
                    base_version,
                    title,
                    body,
                })
            }
            Self::ArchiveNote {
                base_version: Some(_),
                ..
            } if says(base) != says(now) => {
                Err(Stale::because("it has moved on: it was rewritten since"))
            }
            Self::ArchiveNote { .. }
            | Self::CreateNote { .. }
            | Self::TagNote { .. }
            | Self::LinkNote { .. }
            | Self::UnlinkNote { .. }
            | Self::CreateTask { .. }
            | Self::ReviseTask { .. }
            | Self::CompleteTask { .. }
            | Self::ReopenTask { .. }
            | Self::MoveTask { .. }
            | Self::DeleteTask { .. }
            | Self::AttachArtifact { .. }
            | Self::DetachArtifact { .. } => Ok(action),
        }
    }
}

fn says(content: &Content) -> (&str, &str) {
    (&content.title, &content.body)
}
