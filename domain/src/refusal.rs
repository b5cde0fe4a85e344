//! Why a decision says no.

use chrono::TimeDelta;
use serde::Serialize;

use crate::agents::proposal::Conflict;
use crate::text::first_hidden;

/// What a refusal means for the one who asked; the API maps it to a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class<'a> {
    /// The thing does not exist, as far as this actor may know.
    Absent,
    /// The actor may not do this.
    Forbidden,
    /// Another change came first.
    Conflict,
    /// The state does not allow it.
    Rule,
    /// The command itself is malformed, whatever the state; every field at fault is named.
    Invalid(&'a Violations),
}

/// A decision's error. Its `AsRef<str>` is the stable code that clients match on.
pub trait Refusal: std::error::Error + AsRef<str> + Send + Sync + 'static {
    fn class(&self) -> Class<'_>;

    /// What stands in the way, where that is more than a sentence.
    fn conflicts(&self) -> &[Conflict] {
        &[]
    }
}

/// A value for a message: quoted, and no more of it than tells which it is.
#[must_use]
pub fn excerpt(value: &str) -> String {
    match value.char_indices().nth(40) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// One field that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Path to the field, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What the field must be.
    pub detail: String,
}

/// Every broken rule of one command, gathered before it is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.iter().map(|v| format!("{} {}", v.pointer, v.detail)).collect::<Vec<_>>().join("; "))]
pub struct Violations(pub Vec<Violation>);

impl Violations {
    /// Notes a violation unless the rule holds.
    pub fn require(&mut self, holds: bool, pointer: impl Into<String>, detail: impl Into<String>) {
        if !holds {
            self.0.push(Violation {
                pointer: pointer.into(),
                detail: detail.into(),
            });
        }
    }

    /// Text of `min` to `max` characters.
    pub fn require_length(&mut self, text: &str, min: usize, max: usize, pointer: &str) {
        let length = text.chars().count();
        let detail = match min {
            0 => format!("must be at most {max} characters"),
            _ => format!("must be {min} to {max} characters"),
        };
        self.require((min..=max).contains(&length), pointer, detail);
    }

    /// One line of `min` to `max` characters, all of which can be seen: people decide by it.
    pub fn require_line(&mut self, text: &str, min: usize, max: usize, pointer: &str) {
        self.require_length(text, min, max, pointer);
        self.require_visible(text, pointer);
    }

    /// Text without characters that break or turn its line, or that cannot be seen.
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

    /// How long an old secret goes on working beside the new one.
    pub fn require_overlap(&mut self, overlap: TimeDelta) {
        self.require(
            (TimeDelta::zero()..=TimeDelta::days(30)).contains(&overlap),
            "/overlap_seconds",
            "must be 0 to 2592000 (thirty days)",
        );
    }

    /// Ok if no rule is broken.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}
