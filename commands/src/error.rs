//! Errors of commands.

use domain::{ContractError, PayloadError, Refusal};
use store::{AppendError, Busy, ReadError};

/// Reasons why a command had no effect.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The API key lacks the scope.
    #[error("this needs the scope {0}; use a key that has it")]
    ScopeMissing(String),
    /// An agent's key was used for more than reading and proposing.
    #[error(
        "an agent reads and proposes, whatever its scopes and role; propose the change, or use the key of a person or a service"
    )]
    AgentNotAllowed,
    /// Only the operator issues the command.
    #[error("only the operator does this; use the operator's key")]
    OperatorOnly,
    /// The aggregate refused the command.
    #[error("{0}")]
    Refused(Box<dyn Refusal>),
    /// The stream is no longer at a version that the caller expects.
    #[error("it is at version {0}, not at one that If-Match names; read it again")]
    PreconditionFailed(i64),
    /// The idempotency key belongs to another command.
    #[error("this idempotency key was used for a different request; use a new key")]
    KeyReused,
    /// The first command with this key is still running.
    #[error("a request with this idempotency key is still in progress; retry a little later")]
    InProgress,
    /// Others kept changing the same streams.
    #[error("too many concurrent changes to {0}; retry")]
    Contention(String),
    /// The events cannot be stored.
    #[error("the command cannot be recorded: {0}")]
    Rejected(String),
    /// The log cannot be reached.
    #[error("the log is not available: {0}")]
    Unavailable(String),
    /// The log has no room for more events.
    #[error("the log has no room: {0}")]
    Full(String),
    /// A recorded event cannot be read.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// A recorded event is damaged.
    #[error("{0}")]
    Damaged(String),
    /// An event has no payload that can be recorded.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

impl CommandError {
    /// Wraps a refusal of an aggregate.
    pub fn refused(refusal: impl Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }

    /// Returns true if the command was refused for this reason.
    #[must_use]
    pub fn is_refusal(&self, reason: &impl Refusal) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code() == reason.code())
    }

    /// Returns the label for the metrics.
    pub(crate) const fn outcome(&self) -> &'static str {
        match self {
            Self::ScopeMissing(_) | Self::AgentNotAllowed | Self::OperatorOnly => "forbidden",
            Self::Refused(_) | Self::Rejected(_) | Self::Payload(PayloadError::Unstorable(_)) => {
                "refused"
            }
            Self::PreconditionFailed(_)
            | Self::KeyReused
            | Self::InProgress
            | Self::Contention(_) => "conflict",
            Self::Unavailable(_) | Self::Full(_) => "unavailable",
            Self::Contract(_) | Self::Damaged(_) | Self::Payload(PayloadError::Encode(_)) => {
                "error"
            }
        }
    }
}

impl From<Busy> for CommandError {
    fn from(busy: Busy) -> Self {
        Self::Unavailable(busy.to_string())
    }
}

impl From<ReadError> for CommandError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(detail) => Self::Unavailable(detail),
            damaged @ ReadError::Damaged { .. } => Self::Damaged(damaged.to_string()),
        }
    }
}

impl From<AppendError> for CommandError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict { stream, .. } => Self::Contention(stream.to_string()),
            AppendError::Repeated(_) => Self::KeyReused,
            AppendError::Rejected(detail) => Self::Rejected(detail),
            AppendError::Unavailable(detail) => Self::Unavailable(detail),
            AppendError::Full(detail) => Self::Full(detail),
        }
    }
}
