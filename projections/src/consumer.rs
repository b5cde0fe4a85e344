//! Whoever reads the log from a checkpoint and keeps something up to date by it.

use async_trait::async_trait;
use domain::ContractError;
use sha2::{Digest, Sha256};
use store::{Position, Recorded, Session, SessionError};
use tokio_postgres::error::SqlState;

use crate::{MemoryBudget, Transaction};

/// Why a stretch of the log could not be consumed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// An event does not fit its contract, or the consumer cannot make sense of it.
    #[error("event at position {position}: {reason}")]
    Event { position: Position, reason: String },
    /// A batch holds an event that cannot be applied; nobody knows yet which one.
    #[error("{0}")]
    Batch(String),
    /// The database refused, or was lost.
    #[error("database: {}", store::describe(.0))]
    Database(#[from] tokio_postgres::Error),
    /// No session was to be had; the same events are tried again.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Something outside could not be reached; the same events are tried again.
    #[error("{0}")]
    Retry(String),
}

/// By what a version of a fold and its tables are told apart.
pub fn built_by(version: u32, ddl: &str) -> String {
    let digest = hex::encode(Sha256::digest(ddl));
    format!("{version}-{}", &digest[..12])
}

impl ApplyError {
    /// Somebody else applies, has rebuilt the model, or has changed its quarantine.
    pub(crate) fn moved() -> Self {
        Self::Retry("the checkpoint or the quarantine was changed meanwhile".into())
    }

    /// Returns true if an event is at fault: whoever applies it meets the same error again.
    pub(crate) fn is_of_an_event(&self) -> bool {
        match self {
            Self::Event { .. } | Self::Batch(_) => true,
            Self::Database(error) => error.code().is_some_and(is_of_data),
            Self::Session(_) | Self::Retry(_) => false,
        }
    }

    /// The event at fault, where it is known.
    pub(crate) const fn position(&self) -> Option<Position> {
        match self {
            Self::Event { position, .. } => Some(*position),
            Self::Batch(_) | Self::Database(_) | Self::Session(_) | Self::Retry(_) => None,
        }
    }

    /// Returns true if waiting does not help: the tables, or the rights to them, are not as they must be.
    pub(crate) fn is_lasting(&self) -> bool {
        let code = match self {
            Self::Database(error) => error.code(),
            Self::Event { .. } | Self::Batch(_) | Self::Session(_) | Self::Retry(_) => None,
        };
        code.is_some_and(|code| has_class(code, &["42", "3F", "XX"]))
    }

    /// The contract of an event is broken.
    #[must_use]
    pub fn contract(event: &Recorded, error: &ContractError) -> Self {
        Self::Event {
            position: event.position,
            reason: error.to_string(),
        }
    }
}

/// Returns true for what PostgreSQL says of values that a row cannot hold: cardinality, data, constraints, limits. Deadlocks,
/// full disks, lost sessions and the like are nothing that an event could help.
fn is_of_data(code: &SqlState) -> bool {
    has_class(code, &["21", "22", "23", "54"])
}

fn has_class(code: &SqlState, classes: &[&str]) -> bool {
    classes.iter().any(|class| code.code().starts_with(class))
}

/// A read model that is built anew: takes in the log from its start, into tables that are empty.
#[async_trait]
pub trait Rebuilding: Send + Sync {
    /// Takes in a stretch of the log.
    async fn take(&mut self, session: &Session, events: &[&Recorded]) -> Result<(), ApplyError>;

    /// Writes what is not in the tables yet.
    async fn finish(&mut self, session: &Session) -> Result<(), ApplyError>;
}

/// Reads the log in order, exactly once: what it writes and how far it has come are committed together.
#[async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// Name of its checkpoint.
    fn name(&self) -> &'static str;

    /// The categories it reads; none: all.
    fn categories(&self) -> &'static [&'static str];

    /// Where it starts when it runs for the first time.
    fn starts_at_head(&self) -> bool {
        false
    }

    /// The table definitions of a read model; nothing for a reaction.
    fn ddl(&self) -> &'static str {
        ""
    }

    /// What the read model was built by; another value means that it must be rebuilt.
    fn built_by(&self) -> String {
        String::new()
    }

    /// Begins to build its read model anew; none: it keeps none.
    fn rebuilding(&self, _memory: &MemoryBudget) -> Option<Box<dyn Rebuilding + '_>> {
        None
    }

    /// Takes in a batch. Whatever it writes is undone if this fails; what it writes nothing about costs nothing.
    async fn apply(
        &self,
        transaction: &mut Transaction<'_>,
        events: &[Recorded],
    ) -> Result<(), ApplyError>;

    /// Called once what was written is committed.
    fn applied(&self) {}
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
