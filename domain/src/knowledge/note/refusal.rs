//! Refusals of commands on notes.

use super::MAX_LINKS;
use crate::{Class, Refusal, Violations};

/// Reasons to refuse a command on a note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(prefix = "note_", serialize_all = "snake_case")]
pub enum NoteRefusal {
    /// The note was never created, or it is purged.
    #[error("there is no such note")]
    NotFound,
    /// The id is taken.
    #[error("a note with this id exists already")]
    Exists,
    /// Only active notes can be changed.
    #[error("the note is not active; restore it first")]
    NotActive,
    /// Only notes in the trash can be purged.
    #[error("the note is not in the trash; trash it first")]
    NotInTrash,
    /// A note cannot be linked to itself.
    #[error("a note cannot be linked to itself")]
    SelfLink,
    /// The target of the link was never created, is purged, or is in another workspace.
    #[error("there is no such note in the workspace to link to")]
    TargetNotFound,
    /// The note has the maximum number of links.
    #[error("the note has {MAX_LINKS} links already; unlink another first")]
    TooManyLinks,
    /// The command is malformed.
    #[error("{0}")]
    Invalid(#[from] Violations),
}

impl Refusal for NoteRefusal {
    fn class(&self) -> Class<'_> {
        match self {
            Self::NotFound | Self::TargetNotFound => Class::Absent,
            Self::Exists => Class::Conflict,
            Self::NotActive | Self::NotInTrash | Self::SelfLink | Self::TooManyLinks => Class::Rule,
            Self::Invalid(violations) => Class::Invalid(violations),
        }
    }
}
