//! What an event of a note means for its title and its links.

use std::collections::BTreeSet;

use domain::knowledge::note::{NoteEvent, TypedLink};
use domain::knowledge::wiki::{self, Reference};
use store::Recorded;
use uuid::Uuid;

use crate::ApplyError;

pub struct LinkChange<'a> {
    pub event: &'a Recorded,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Created {
        workspace_id: Uuid,
        title: String,
        aliases: BTreeSet<String>,
        /// Of its file.
        path: Option<String>,
        /// The notes that the body names.
        named: Vec<Reference>,
    },
    /// What is None stays as it is.
    Revised {
        title: Option<String>,
        aliases: Option<BTreeSet<String>>,
        path: Option<String>,
        named: Option<Vec<Reference>>,
    },
    Linked(TypedLink),
    Unlinked(TypedLink),
    Purged,
}

impl<'a> LinkChange<'a> {
    /// The changes that events make, in their order.
    pub fn all(events: impl IntoIterator<Item = &'a Recorded>) -> Result<Vec<Self>, ApplyError> {
        let changes = events.into_iter().map(|event| {
            let decoded = event.decode::<NoteEvent>();
            let decoded = decoded.map_err(|error| ApplyError::contract(event, &error))?;
            Ok(What::of(decoded).map(|what| Self { event, what }))
        });
        changes.filter_map(Result::transpose).collect()
    }

    /// The note that changes.
    pub const fn note_id(&self) -> Uuid {
        self.event.stream.id
    }
}

impl What {
    /// Nothing, where the event concerns neither.
    pub fn of(event: NoteEvent) -> Option<Self> {
        match event {
            NoteEvent::Created {
                workspace_id,
                title,
                body,
                aliases,
                file,
                tags: _,
            } => Some(Self::Created {
                workspace_id,
                title,
                aliases,
                path: file.map(|file| file.path),
                named: wiki::references(&body),
            }),
            NoteEvent::Revised {
                title,
                body,
                aliases,
                file,
                merged: _,
            } => Some(Self::Revised {
                title,
                aliases,
                path: file.map(|file| file.path),
                named: body.map(|body| wiki::references(&body)),
            }),
            NoteEvent::Linked {
                target_id,
                relation,
            } => Some(Self::Linked(TypedLink {
                target_id,
                relation,
            })),
            NoteEvent::Unlinked {
                target_id,
                relation,
            } => Some(Self::Unlinked(TypedLink {
                target_id,
                relation,
            })),
            NoteEvent::Purged {} => Some(Self::Purged),
            NoteEvent::Tagged { .. }
            | NoteEvent::Archived {}
            | NoteEvent::Trashed {}
            | NoteEvent::Restored {} => None,
        }
    }
}
