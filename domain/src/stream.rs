//! Names of streams.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Aggregate;

/// The name of a stream: `category-uuid`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StreamId {
    pub category: String,
    pub id: Uuid,
}

/// The text is not `category-uuid`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a stream is named category-uuid, such as note-0192f0c1-2b3c-7def-8000-0123456789ab; found {0:?}"
)]
pub struct StreamIdError(String);

impl StreamId {
    pub fn new(category: impl Into<String>, id: Uuid) -> Self {
        Self {
            category: category.into(),
            id,
        }
    }

    /// Returns the stream of an aggregate.
    #[must_use]
    pub fn of<A: Aggregate>(id: Uuid) -> Self {
        Self::new(A::CATEGORY, id)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.category, self.id)
    }
}

impl FromStr for StreamId {
    type Err = StreamIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once('-')
            .filter(|(category, _)| !category.is_empty())
            .and_then(|(category, id)| Some(Self::new(category, Uuid::try_parse(id).ok()?)))
            .ok_or_else(|| StreamIdError(text.to_owned()))
    }
}

impl From<StreamId> for String {
    fn from(stream: StreamId) -> Self {
        stream.to_string()
    }
}

impl TryFrom<String> for StreamId {
    type Error = StreamIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
