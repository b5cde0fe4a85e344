//! Why an action no longer fits what it is about.

use crate::knowledge::merge::{Hunk, MAX_HUNKS};
use crate::{Class, Refusal};

/// Why an action does not fit, or no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    pub reason: String,
    /// Of the refusal of its command; none: it was not tried, as its subject has moved on.
    pub code: Option<String>,
    /// Where it meets what others have written.
    pub hunks: Vec<Hunk>,
    /// There is no such thing, or it is not for those who decide: they learn nothing else of it.
    pub is_absent: bool,
}

impl Stale {
    pub fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            code: None,
            hunks: vec![],
            is_absent: false,
        }
    }

    pub fn refused(refusal: &dyn Refusal) -> Self {
        Self {
            code: Some(refusal.as_ref().to_owned()),
            is_absent: matches!(refusal.class(), Class::Absent),
            ..Self::because(refusal.to_string())
        }
    }

    pub(super) fn over(hunks: Vec<Hunk>) -> Self {
        let places = match hunks.len() {
            1 => "a place".to_owned(),
            several @ ..=MAX_HUNKS => format!("{several} places"),
            _ => format!("more than {MAX_HUNKS} places"),
        };
        let reason = format!("it has moved on: others have changed {places} that this changes");
        Self {
            hunks: hunks.into_iter().take(MAX_HUNKS).collect(),
            ..Self::because(reason)
        }
    }
}
