//! Errors of a conversation with a server.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// A request without the answer that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers.
    #[error(
        "no answer from {server} ({reason}); is the server running? `daybook serve` starts one"
    )]
    Unreachable { server: String, reason: String },
    /// The server says no.
    #[error("{request}: {problem}")]
    Refused { request: String, problem: Problem },
    /// The server says something that this program does not understand.
    #[error("{request}: the answer is not as expected: {reason}")]
    Unexpected { request: String, reason: String },
}

/// An error as the API answers it: problem details (RFC 9457).
#[derive(Debug, Deserialize)]
pub struct Problem {
    pub status: u16,
    /// Stable; this is what a program matches on.
    pub code: String,
    /// For people.
    pub detail: String,
    /// The header `Retry-After`: it is worth trying again.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.detail)
    }
}
