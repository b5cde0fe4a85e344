//! Refusals: the errors of decisions.

use chrono::TimeDelta;
use serde::Serialize;

use crate::agents::proposal::Conflict;
use crate::text::first_hidden;

/// The class of a refusal; the API maps it to a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class<'a> {
    /// The subject does not exist, or the actor may not know that it does.
    Absent,
    /// The actor lacks a permission.
    Forbidden,
    /// Another change came first.
    Conflict,
    /// The state does not allow the command.
    Rule,
    /// The command itself is malformed, whatever the state; every invalid field is named.
    Invalid(&'a Violations),
}

/// The error of a decision. Its `AsRef<str>` is the stable code that clients match on.
pub trait Refusal: std::error::Error + AsRef<str> + Send + Sync + 'static {
    fn class(&self) -> Class<'_>;

    /// Returns the conflicts that caused the refusal, if a sentence does not describe them.
    fn conflicts(&self) -> &[Conflict] {
        &[]
    }
}

/// Returns a value for a message: quoted, and cut after a few characters.
#[must_use]
pub fn excerpt(value: &str) -> String {
    match value.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// An invalid field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Path to the field, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// Description of a valid value.
    pub detail: String,
}

/// All violations of one command, collected before it is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.iter().map(|v| format!("{} {}", v.pointer, v.detail)).collect::<Vec<_>>().join("; "))]
pub struct Violations(pub Vec<Violation>);

impl Violations {
    /// Records a violation unless the rule holds.
    pub fn require(&mut self, holds: bool, pointer: impl Into<String>, detail: impl Into<String>) {
        if !holds {
            self.0.push(Violation {
                pointer: pointer.into(),
                detail: detail.into(),
            });
        }
    }

    /// Requires a text of `min` to `max` characters.
    pub fn require_length(&mut self, text: &str, min: usize, max: usize, pointer: &str) {
        let length = text.chars().count();
        let detail = match min {
            0 => format!("must be at most {max} characters"),
            _ => format!("must be {min} to {max} characters"),
        };
        self.require((min..=max).contains(&length), pointer, detail);
    }

    /// Requires one line of `min` to `max` visible characters, because people decide by it.
    pub fn require_line(&mut self, text: &str, min: usize, max: usize, pointer: &str) {
        self.require_length(text, min, max, pointer);
        self.require_visible(text, pointer);
    }

    /// Requires a text without invisible characters and without any that break the line or change its direction.
    pub fn require_visible(&mut self, text: &str, pointer: &str) {
        if let Some(hidden) = first_hidden(text) {
            self.require(
                false,
                pointer,
                format!(
                    "must be one line without control or invisible characters; U+{:04X} is not allowed",
                    u32::from(hidden)
                ),
            );
        }
    }

    /// Requires a valid time for which an old secret keeps working beside the new one.
    pub fn require_overlap(&mut self, overlap: TimeDelta) {
        self.require(
            (TimeDelta::zero()..=TimeDelta::days(30)).contains(&overlap),
            "/overlap_seconds",
            "must be 0 to 2592000 (thirty days)",
        );
    }

    /// Returns Ok if there are no violations.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}
