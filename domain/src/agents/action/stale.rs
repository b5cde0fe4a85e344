//! Why an action no longer fits what it is about.

use crate::knowledge::merge::{Hunk, MAX_HUNKS};

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

    pub(super) fn over(hunks: Vec<Hunk>) -> Self {
        let places = match hunks.len() {
            1 => "a place".to_owned(),
            several => format!("{several} places"),
        };
        Self {
            reason: format!("it has moved on: others have changed {places} that this changes"),
            hunks: hunks.into_iter().take(MAX_HUNKS).collect(),
        }
    }
}
