//! Where a page of what was found begins.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::query::Hit;

/// The last one of the page before, as it was ranked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    pub(super) score: f64,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) id: Uuid,
}

impl Place {
    pub(super) const fn of(last: &Hit) -> Self {
        Self {
            score: last.score,
            updated_at: last.updated_at,
            id: last.id,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.updated_at.timestamp_micros();
        write!(
            f,
            "{:016x}{micros:016x}{}",
            self.score.to_bits(),
            self.id.simple()
        )
    }
}

/// It is no place that was given out.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be next_cursor of an earlier page")]
pub struct NoPlace;

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let number = |part: Option<&str>| {
            part.and_then(|part| u64::from_str_radix(part, 16).ok())
                .ok_or(NoPlace)
        };
        let score = f64::from_bits(number(text.get(..16))?);
        let micros = i64::try_from(number(text.get(16..32))?).map_err(|_| NoPlace)?;
        let updated_at = DateTime::from_timestamp_micros(micros).ok_or(NoPlace)?;
        let id = text
            .get(32..)
            .and_then(|id| Uuid::try_parse(id).ok())
            .ok_or(NoPlace)?;
        // What is no number, or beyond what PostgreSQL calls a time, no page ended with.
        let known = score.is_finite() && updated_at.timestamp() < 1 << 37;
        known
            .then_some(Self {
                score,
                updated_at,
                id,
            })
            .ok_or(NoPlace)
    }
}
