//! Refusals: the errors of decisions.

use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use chrono::TimeDelta;
use serde::Serialize;
use serde_json::Value;
use strum::VariantNames;

use crate::Aggregate;
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

/// The error of a decision.
pub trait Refusal: Error + Send + Sync + 'static {
    /// Returns the stable code that clients match on: `note_not_found`.
    fn code(&self) -> Cow<'static, str>;

    /// Returns the class, which decides the status of the answer.
    fn class(&self) -> Class<'_>;

    /// Returns a member that the problem has besides its sentence (RFC 9457, section 3.2): its name and its value.
    fn extension(&self) -> Option<(&'static str, Value)> {
        None
    }
}

/// The rules of an aggregate: an enum with one variant per reason to refuse a command, besides the standard reasons.
///
/// Codes are the category and the variant's name: `note_not_active`.
pub trait Rule: Error + AsRef<str> + VariantNames + Send + Sync + 'static {
    /// The aggregate whose category begins the codes.
    type Of: Aggregate;

    /// Returns the class; by default the state does not allow the command.
    fn class(&self) -> Class<'_> {
        Class::Rule
    }

    /// Returns a member of the problem besides its sentence, like [`Refusal::extension`].
    fn extension(&self) -> Option<(&'static str, Value)> {
        None
    }
}

/// Reasons to refuse a command: those that all aggregates share, and the aggregate's own rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection<R> {
    /// The subject does not exist, or the actor may not see it.
    NotFound,
    /// The id is taken.
    Exists,
    /// The command is malformed.
    Invalid(Violations),
    /// A rule of the aggregate does not allow the command.
    Rule(R),
}

/// The rules of an aggregate that has only the standard reasons: none.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoRule<A> {
    /// Never constructed.
    #[error("never")]
    Never(Infallible, PhantomData<A>),
}

/// Returns the codes of an aggregate's own rules.
#[must_use]
pub fn rule_codes<R: Rule>() -> Vec<String> {
    R::VARIANTS.iter().map(|name| code::<R>(name)).collect()
}

fn code<R: Rule>(name: &str) -> String {
    format!("{}_{name}", R::Of::CATEGORY)
}

/// Returns the aggregate's name for a sentence: `calendar feed`.
fn subject<R: Rule>() -> String {
    R::Of::CATEGORY.replace('_', " ")
}

impl<R: Rule> Refusal for Rejection<R> {
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::NotFound => code::<R>("not_found").into(),
            Self::Exists => code::<R>("exists").into(),
            Self::Invalid(_) => "validation_failed".into(),
            Self::Rule(rule) => rule.code(),
        }
    }

    fn class(&self) -> Class<'_> {
        match self {
            Self::NotFound => Class::Absent,
            Self::Exists => Class::Conflict,
            Self::Invalid(violations) => Class::Invalid(violations),
            Self::Rule(rule) => Rule::class(rule),
        }
    }

    fn extension(&self) -> Option<(&'static str, Value)> {
        match self {
            Self::NotFound | Self::Exists | Self::Invalid(_) => None,
            Self::Rule(rule) => Rule::extension(rule),
        }
    }
}

impl<R: Rule> Refusal for R {
    fn code(&self) -> Cow<'static, str> {
        code::<R>(self.as_ref()).into()
    }

    fn class(&self) -> Class<'_> {
        Rule::class(self)
    }

    fn extension(&self) -> Option<(&'static str, Value)> {
        Rule::extension(self)
    }
}

impl<R: Rule> fmt::Display for Rejection<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => write!(
                f,
                "there is no such {}, or you may not see it",
                subject::<R>()
            ),
            Self::Exists => write!(f, "another {} has this id", subject::<R>()),
            Self::Invalid(violations) => fmt::Display::fmt(violations, f),
            Self::Rule(rule) => fmt::Display::fmt(rule, f),
        }
    }
}

impl<R: Rule> Error for Rejection<R> {}

impl<R> From<Violations> for Rejection<R> {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}

impl<R: Rule> From<R> for Rejection<R> {
    fn from(rule: R) -> Self {
        Self::Rule(rule)
    }
}

impl<A: Aggregate + fmt::Debug> Rule for NoRule<A> {
    type Of = A;
}

impl<A> VariantNames for NoRule<A> {
    const VARIANTS: &'static [&'static str] = &[];
}

impl<A> AsRef<str> for NoRule<A> {
    fn as_ref(&self) -> &str {
        match self {
            Self::Never(never, _) => match *never {},
        }
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
