//! What can go wrong on the way.

use std::path::PathBuf;

use crate::client::ClientError;
use crate::folder::FolderError;

/// Why the demonstration ends early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// There is nothing to show.
    #[error("there are no Markdown files (*.md) below {}", .0.display())]
    NoFiles(PathBuf),
    /// There are files, but none of them became a note.
    #[error(
        "none of the Markdown files below {} could be imported; the warnings say why",
        .0.display()
    )]
    NothingImported(PathBuf),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Client(#[from] ClientError),
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
