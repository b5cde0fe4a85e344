//! Errors of the demonstration.

use std::path::PathBuf;

use crate::client::ClientError;
use crate::folder::FolderError;

/// The reasons why the demonstration ends early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder has no Markdown files.
    #[error("there are no Markdown files (*.md) below {}", .0.display())]
    NoFiles(PathBuf),
    /// The folder has Markdown files, but none of them became a note.
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
    /// The agent's process cannot run, or its output cannot be parsed.
    #[error("the agent's process: {0}")]
    AgentProcess(std::io::Error),
    /// The agent's process failed; it has printed the reason.
    #[error("the agent's process ended early: {0}")]
    Agent(std::process::ExitStatus),
    /// A rule was not enforced.
    #[error("{0} was allowed, and must be refused")]
    Allowed(&'static str),
    /// The endpoint works, but some webhooks did not arrive.
    #[error("{missing} of {expected} webhooks did not arrive")]
    Undelivered { missing: usize, expected: usize },
    /// Webhooks with bad signatures arrived: forged, or badly signed by the server.
    #[error("{0} webhook(s) had a bad signature")]
    BadSignatures(usize),
}
