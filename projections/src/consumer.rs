//! Whoever reads the log from a checkpoint and keeps something up to date by it.

use async_trait::async_trait;
use domain::ContractError;
use sha2::{Digest, Sha256};
use store::{Position, Recorded, Session};

use crate::{Memory, Posting};

/// Why a stretch of the log could not be consumed.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// An event does not fit its contract, or the consumer cannot make sense of it.
    #[error("event at position {position}: {reason}")]
    Event { position: Position, reason: String },
    /// The database refused, or was lost.
    #[error("database: {}", .0.as_db_error().map_or_else(|| .0.to_string(), ToString::to_string))]
    Database(#[from] tokio_postgres::Error),
    /// Something outside could not be reached; the same events are tried again.
    #[error("{0}")]
    Retry(String),
}

/// By what a version of a fold and its tables are told apart.
pub fn built_by(version: u32, ddl: &str) -> String {
    let digest = hex::encode(Sha256::digest(ddl));
    format!("{version}-{}", &digest[..12])
}

impl PostError {
    /// Somebody else posts, or has rebuilt the model.
    pub(crate) fn moved() -> Self {
        Self::Retry("another node has moved the checkpoint".into())
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

/// A read model that is built anew: takes in the log from its start, into tables that are empty.
#[async_trait]
pub trait Rebuilding: Send + Sync {
    /// Takes in a stretch of the log.
    async fn take(&mut self, session: &Session, events: &[&Recorded]) -> Result<(), PostError>;

    /// Writes what is not in the tables yet.
    async fn finish(&mut self, session: &Session) -> Result<(), PostError>;
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
    fn rebuilding(&self, _memory: &Memory) -> Option<Box<dyn Rebuilding + '_>> {
        None
    }

    /// Takes in a batch. Whatever it writes is undone if this fails; what it writes nothing about costs nothing.
    async fn post(&self, posting: &mut Posting<'_>, events: &[Recorded]) -> Result<(), PostError>;

    /// Called once what was written is committed.
    fn posted(&self) {}
}
