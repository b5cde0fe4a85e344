//! Refusals of commands on notes.

use super::MAX_LINKS;
use super::Note;
use crate::{Class, Rejection, Rule};

/// Rules of notes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum NoteRule {
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
}

impl Rule for NoteRule {
    type Of = Note;

    fn class(&self) -> Class<'_> {
        match self {
            Self::TargetNotFound => Class::Absent,
            Self::NotActive | Self::NotInTrash | Self::SelfLink | Self::TooManyLinks => Class::Rule,
        }
    }
}

/// Reasons to refuse a command.
pub type NoteRefusal = Rejection<NoteRule>;
