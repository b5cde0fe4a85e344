//! An action that was written for an earlier version, carried over to what its note is now.

use super::Action;
use crate::knowledge::merge::{Hunk, MAX_HUNKS};
use crate::knowledge::note::{Note, Revision};

/// Why an action no longer fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    pub reason: String,
    /// Where it meets what others have written.
    pub hunks: Vec<Hunk>,
}

impl Stale {
    pub fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            hunks: vec![],
        }
    }

    fn over(hunks: Vec<Hunk>) -> Self {
        let places = match hunks.len() {
            1 => "a place".to_owned(),
            several => format!("{several} places"),
        };
        Self {
            reason: format!(
                "the note has moved on: others have changed {places} that this changes"
            ),
            hunks: hunks.into_iter().take(MAX_HUNKS).collect(),
        }
    }
}

impl Action {
    /// What it comes to on a note that has moved on from what it was written for. What adds to a set and takes from it, as tags and links
    /// do, comes to the same.
    pub fn onto(&self, base: &Note, now: &Note, version: i64) -> Result<Self, Stale> {
        let contents = base.content().zip(now.content());
        match self {
            Self::ReviseNote {
                note_id,
                title,
                body,
                ..
            } => {
                let written = Revision {
                    title: title.clone(),
                    body: body.clone(),
                };
                let Revision { title, body } = match contents {
                    Some((base, now)) => now.rebase(base, &written).map_err(Stale::over)?,
                    None => written,
                };
                Ok(Self::ReviseNote {
                    note_id: *note_id,
                    base_version: version,
                    title,
                    body,
                })
            }
            Self::ArchiveNote {
                note_id,
                base_version: Some(_),
            } => match contents {
                Some((base, now)) if (&base.title, &base.body) != (&now.title, &now.body) => Err(
                    Stale::because("the note has moved on: it was rewritten since"),
                ),
                Some(_) | None => Ok(Self::ArchiveNote {
                    note_id: *note_id,
                    base_version: Some(version),
                }),
            },
            Self::CreateNote { .. }
            | Self::TagNote { .. }
            | Self::ArchiveNote { .. }
            | Self::LinkNote { .. }
            | Self::UnlinkNote { .. } => Ok(self.clone()),
        }
    }
}
