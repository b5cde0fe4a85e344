//! Consumers: they read the log from a checkpoint and keep a read model or jobs up to date.

use async_trait::async_trait;
use domain::ContractError;
use sha2::{Digest, Sha256};
use store::{Position, Recorded, Session, SessionError};
use tokio_postgres::error::SqlState;

use crate::{MemoryBudget, Transaction};

/// Reasons why a batch of events could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// An event violates its contract, or the consumer cannot interpret it.
    #[error("event at position {position}: {reason}")]
    Event { position: Position, reason: String },
    /// A batch contains an event that cannot be applied; it is not known yet which one.
    #[error("{0}")]
    Batch(String),
    /// The database refused a statement, or the connection was lost.
    #[error("database: {}", store::describe(.0))]
    Database(#[from] tokio_postgres::Error),
    /// No session was available; the same events are tried again.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// An external service could not be reached; the same events are tried again.
    #[error("{0}")]
    Retry(String),
}

/// Returns a fingerprint of the version of a projection and of its tables.
pub fn built_by(version: u32, ddl: &str) -> String {
    let digest = hex::encode(Sha256::digest(ddl));
    format!("{version}-{}", &digest[..12])
}

impl ApplyError {
    /// Reports that another process applies events, has rebuilt the model, or has changed its quarantine.
    pub(crate) fn moved() -> Self {
        Self::Retry("the checkpoint or the quarantine was changed meanwhile".into())
    }

    /// Returns true if an event is at fault, so that another attempt meets the same error.
    pub(crate) fn is_of_an_event(&self) -> bool {
        match self {
            Self::Event { .. } | Self::Batch(_) => true,
            Self::Database(error) => error.code().is_some_and(is_of_data),
            Self::Session(_) | Self::Retry(_) => false,
        }
    }

    /// Returns the position of the event at fault, if it is known.
    pub(crate) const fn position(&self) -> Option<Position> {
        match self {
            Self::Event { position, .. } => Some(*position),
            Self::Batch(_) | Self::Database(_) | Self::Session(_) | Self::Retry(_) => None,
        }
    }

    /// Returns true if waiting does not help: the tables, or the rights to them, are wrong.
    pub(crate) fn is_lasting(&self) -> bool {
        let code = match self {
            Self::Database(error) => error.code(),
            Self::Event { .. } | Self::Batch(_) | Self::Session(_) | Self::Retry(_) => None,
        };
        code.is_some_and(|code| has_class(code, &["42", "3F", "XX"]))
    }

    /// Reports an event that violates its contract.
    #[must_use]
    pub fn contract(event: &Recorded, error: &ContractError) -> Self {
        Self::Event {
            position: event.position,
            reason: error.to_string(),
        }
    }
}

/// Returns true for PostgreSQL's errors about values that a row cannot hold: cardinality, data, constraints, limits. Deadlocks,
/// full disks and lost sessions are not the event's fault.
fn is_of_data(code: &SqlState) -> bool {
    has_class(code, &["21", "22", "23", "54"])
}

fn has_class(code: &SqlState, classes: &[&str]) -> bool {
    classes.iter().any(|class| code.code().starts_with(class))
}

/// A rebuild of a read model: it applies the log from its start, to empty tables.
#[async_trait]
pub trait Rebuilding: Send + Sync {
    /// Applies a batch of events.
    async fn take(&mut self, session: &Session, events: &[&Recorded]) -> Result<(), ApplyError>;

    /// Writes the rows that are not in the tables yet.
    async fn finish(&mut self, session: &Session) -> Result<(), ApplyError>;
}

/// Reads the log in order, exactly once: its writes and its checkpoint are committed together.
#[async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// Name of the checkpoint.
    fn name(&self) -> &'static str;

    /// The categories that the consumer reads; none: all.
    fn categories(&self) -> &'static [&'static str];

    /// Returns true if the first run starts at the head of the log instead of its beginning.
    fn starts_at_head(&self) -> bool {
        false
    }

    /// The table definitions of a read model; empty for a reaction.
    fn ddl(&self) -> &'static str {
        ""
    }

    /// Fingerprint of the version that builds the read model. If the checkpoint has another one, the model is rebuilt.
    fn built_by(&self) -> String {
        String::new()
    }

    /// Begins a rebuild of the read model; none: the consumer keeps no read model.
    fn rebuilding(&self, _memory: &MemoryBudget) -> Option<Box<dyn Rebuilding + '_>> {
        None
    }

    /// Applies a batch. Errors roll back the batch; batches without writes open no transaction.
    async fn apply(
        &self,
        transaction: &mut Transaction<'_>,
        events: &[Recorded],
    ) -> Result<(), ApplyError>;

    /// Runs after the writes of a batch are committed.
    fn applied(&self) {}

    /// Returns the fold of a [`ReadModel`](crate::ReadModel) for tests; none: the consumer is another one.
    #[cfg(test)]
    fn fold(&self) -> Option<crate::fold_tests::Fold> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_that_a_row_cannot_hold_are_the_fault_of_an_event() {
        for code in [
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            SqlState::UNTRANSLATABLE_CHARACTER,
            SqlState::NOT_NULL_VIOLATION,
            SqlState::UNIQUE_VIOLATION,
            SqlState::PROGRAM_LIMIT_EXCEEDED,
        ] {
            assert!(is_of_data(&code), "{code:?}");
        }
        for code in [
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::CONNECTION_FAILURE,
            SqlState::DISK_FULL,
            SqlState::OUT_OF_MEMORY,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::QUERY_CANCELED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::UNDEFINED_TABLE,
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::IO_ERROR,
            SqlState::DATA_CORRUPTED,
        ] {
            assert!(!is_of_data(&code), "{code:?}");
        }
    }
}
