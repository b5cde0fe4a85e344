//! Why a command on a note is refused.

use super::MAX_LINKS;
use crate::{Class, Refusal, Violations};

/// Why a command on a note is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(prefix = "note_", serialize_all = "snake_case")]
pub enum NoteRefusal {
    /// It was never created, or it is purged.
    #[error("there is no such note")]
    NotFound,
    /// The id is taken.
    #[error("a note with this id exists already")]
    Exists,
    /// Only an active note changes.
    #[error("the note is not active; restore it first")]
    NotActive,
    /// Purging is for the trash.
    #[error("the note is not in the trash; trash it first")]
    NotInTrash,
    /// A link leads elsewhere.
    #[error("a note cannot be linked to itself")]
    SelfLink,
    /// What a link leads to was never created, is purged, or is of another workspace.
    #[error("there is no such note in the workspace to link to")]
    TargetNotFound,
    /// A note has so many links and no more.
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
