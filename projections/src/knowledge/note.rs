//! The read model of notes.

use std::collections::BTreeSet;

use domain::knowledge::note::{Note, NoteEvent, SourceFile, TypedLink};
use serde::{Deserialize, Serialize};
use store::Recorded;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{ReadModel, visible};

/// The status of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteStatus {
    Active,
    Archived,
    Trashed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Note)]
pub struct NoteContent {
    pub workspace_id: Uuid,
    pub title: String,
    pub body: String,
    pub tags: BTreeSet<String>,
    /// Other names by which links find the note.
    pub aliases: BTreeSet<String>,
    /// The file from which the note was imported.
    pub file: Option<SourceFile>,
    /// Typed links; wiki links in the body are not included.
    pub links: BTreeSet<TypedLink>,
    pub status: NoteStatus,
}

pub struct Notes;

impl ReadModel for Notes {
    const TABLE: &'static str = "notes";
    const VERSION: u32 = 3;
    const DDL: &'static str = include_str!("../../../schema/read/note.sql");
    const VISIBLE: &'static str = visible::IN_WORKSPACE;
    type Of = Note;
    type Content = NoteContent;

    fn apply(note: Option<NoteContent>, event: NoteEvent, _: &Recorded) -> Option<NoteContent> {
        Some(match (note, event) {
            (
                _,
                NoteEvent::Created {
                    workspace_id,
                    title,
                    body,
                    tags,
                    aliases,
                    file,
                },
            ) => NoteContent {
                workspace_id,
                title,
                body,
                tags,
                aliases,
                file,
                links: BTreeSet::new(),
                status: NoteStatus::Active,
            },
            (None, _) | (_, NoteEvent::Purged {}) => return None,
            (
                Some(note),
                NoteEvent::Revised {
                    title,
                    body,
                    aliases,
                    file,
                    merged: _,
                },
            ) => NoteContent {
                title: title.unwrap_or(note.title),
                body: body.unwrap_or(note.body),
                aliases: aliases.unwrap_or(note.aliases),
                file: file.or(note.file),
                ..note
            },
            (Some(mut note), NoteEvent::Tagged { added, removed }) => {
                note.tags.retain(|tag| !removed.contains(tag));
                note.tags.extend(added);
                note
            }
            (
                Some(mut note),
                NoteEvent::Linked {
                    target_id,
                    relation,
                },
            ) => {
                note.links.insert(TypedLink {
                    target_id,
                    relation,
                });
                note
            }
            (
                Some(mut note),
                NoteEvent::Unlinked {
                    target_id,
                    relation,
                },
            ) => {
                note.links.remove(&TypedLink {
                    target_id,
                    relation,
                });
                note
            }
            (Some(note), NoteEvent::Archived {}) => note.moved(NoteStatus::Archived),
            (Some(note), NoteEvent::Trashed {}) => note.moved(NoteStatus::Trashed),
            (Some(note), NoteEvent::Restored {}) => note.moved(NoteStatus::Active),
        })
    }
}

impl NoteContent {
    fn moved(self, status: NoteStatus) -> Self {
        Self { status, ..self }
    }
}
