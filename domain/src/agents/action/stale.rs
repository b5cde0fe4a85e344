//! Reasons why an action does not fit its subject.

use crate::knowledge::merge::{Hunk, MAX_HUNKS};
use crate::{Class, Refusal};

/// The reason why an action does not fit its subject, or no longer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    pub reason: String,
    /// Code of the refusal of the action's command; none if the command was not tried because the subject has changed.
    pub code: Option<String>,
    /// Places that both the action and others have changed.
    pub hunks: Vec<Hunk>,
    /// True if the subject does not exist or the deciding actor may not see it. They learn nothing else about it.
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
            code: Some(refusal.code().into_owned()),
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
