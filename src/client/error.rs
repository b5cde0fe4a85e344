//! Errors of requests to a server.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// The failure of a request.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server does not answer.
    #[error(
        "no answer from {server} ({reason}); is the server running? `daybook serve` starts one"
    )]
    Unreachable { server: String, reason: String },
    /// The server refuses the request.
    #[error("{request}: {problem}")]
    Refused { request: String, problem: Problem },
    /// The server's answer cannot be understood.
    #[error("{request}: the answer is not as expected: {reason}")]
    Unexpected { request: String, reason: String },
}

/// An error response of the API: problem details (RFC 9457).
#[derive(Debug, Deserialize)]
pub struct Problem {
    pub status: u16,
    /// Stable code; programs match on this.
    pub code: String,
    /// Description for people.
    pub detail: String,
    /// Value of the header `Retry-After`; if present, a retry is worthwhile.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.code, self.detail)
    }
}
