//! The change that an event of a note makes to its title and its links.

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
        /// Path of the note's file.
        path: Option<String>,
        /// The references in the body.
        named: Vec<Reference>,
    },
    /// A None leaves the value unchanged.
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
    /// Returns the changes that events make, in order.
    pub fn all(events: impl IntoIterator<Item = &'a Recorded>) -> Result<Vec<Self>, ApplyError> {
        let changes = events.into_iter().map(|event| {
            let decoded = event.decode::<NoteEvent>();
            let decoded = decoded.map_err(|error| ApplyError::contract(event, &error))?;
            Ok(What::of(decoded).map(|what| Self { event, what }))
        });
        changes.filter_map(Result::transpose).collect()
    }

    /// Returns the note that changes.
    pub const fn note_id(&self) -> Uuid {
        self.event.stream.id
    }
}

impl What {
    /// Returns the change; none: the event concerns neither title nor links.
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
