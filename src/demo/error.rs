//! What can go wrong on the way.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// Why the demonstration ends early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The directory cannot be listed.
    #[error("cannot read {}: {source}", path.display())]
    Directory {
        path: PathBuf,
        source: std::io::Error,
    },
    /// There is nothing to show.
    #[error("there are no Markdown files (*.md) below {}", .0.display())]
    NoFiles(PathBuf),
    /// There are files, but none of them became a note.
    #[error(
        "none of the Markdown files below {} could be imported; the warnings say why",
        .0.display()
    )]
    NothingImported(PathBuf),
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
    /// The receiver of the webhooks cannot listen.
    #[error("cannot listen for webhooks: {0}")]
    Receiver(#[from] std::io::Error),
    /// The server's webhook secret cannot be used.
    #[error("the webhook's secret is no secret: {0}")]
    Secret(#[from] standardwebhooks::WebhookError),
    /// The agent's process cannot be run, or says what nobody understands.
    #[error("the agent's process: {0}")]
    AgentProcess(std::io::Error),
    /// It gave up; it has said why.
    #[error("the agent's process ended early: {0}")]
    Agent(std::process::ExitStatus),
    /// A rule does not hold.
    #[error("{0} was allowed, and must be refused")]
    Allowed(&'static str),
    /// The endpoint works, but not everything came.
    #[error("{missing} of {expected} webhooks did not arrive")]
    Undelivered { missing: usize, expected: usize },
    /// Somebody sends webhooks in the server's name, or the server signs them badly.
    #[error("{0} webhook(s) had a bad signature")]
    BadSignatures(usize),
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
