//! The transaction of a batch; it begins only when there is something to write.

use std::ops::Deref;
use std::sync::Arc;

use futures::try_join;
use store::{Database, PooledSession, Position, Purpose, Session};

use crate::{ApplyError, checkpoint};

/// The checkpoint that advances with the batch.
pub(crate) struct Step {
    pub name: &'static str,
    /// Version of the quarantine in the checkpoint that the consumer knows.
    pub quarantine: i64,
    pub from: Position,
    pub to: Position,
}

/// The frame within which a batch is written completely or not at all.
pub(crate) enum Frame<'a> {
    /// A transaction on a session of the pool, in which the checkpoint advances.
    Transaction(&'a Database, Step),
    /// A savepoint in the current transaction of a session.
    Savepoint(&'a Session),
}

/// The session that a batch is written on.
#[derive(Clone)]
pub enum TransactionSession<'a> {
    Given(&'a Session),
    Pooled(Arc<PooledSession>),
}

impl Deref for TransactionSession<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        match self {
            Self::Given(session) => session,
            Self::Pooled(session) => session,
        }
    }
}

/// The state of a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Untouched,
    Begun,
    Ended,
}

/// The transaction of a consumer. Its writes are committed together with the checkpoint, or not at all.
pub struct Transaction<'a> {
    frame: Frame<'a>,
    session: Option<TransactionSession<'a>>,
    state: State,
}

impl<'a> Transaction<'a> {
    /// Creates a transaction that has not begun.
    pub(crate) const fn of(frame: Frame<'a>) -> Self {
        Self {
            frame,
            session: None,
            state: State::Untouched,
        }
    }

    /// Returns the session of the transaction. Ask for it only when there is something to write, because many consumers share few
    /// sessions.
    pub async fn session(&mut self) -> Result<TransactionSession<'a>, ApplyError> {
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        let session = match self.frame {
            Frame::Savepoint(session) => TransactionSession::Given(session),
            Frame::Transaction(database, _) => {
                let session = database.session(Purpose::Consumers).await?;
                checkpoint::prepare(&session).await?;
                TransactionSession::Pooled(Arc::new(session))
            }
        };
        Ok(self.session.insert(session).clone())
    }

    /// Begins the transaction and runs its first statements in the same round trip. The checkpoint is locked before
    /// them; the lock keeps out the swap of a rebuild.
    pub async fn begin_with<T>(
        &mut self,
        first: impl Future<Output = Result<T, ApplyError>>,
    ) -> Result<T, ApplyError> {
        let session = self.session().await?;
        self.state = State::Begun;
        let begin = async {
            let begin = match self.frame {
                Frame::Transaction(..) => "begin",
                Frame::Savepoint(_) => "savepoint transaction",
            };
            Ok(session.batch_execute(begin).await?)
        };
        let advance = async {
            match &self.frame {
                Frame::Transaction(_, step) => Ok(checkpoint::advance(
                    &session,
                    step.name,
                    step.quarantine,
                    step.from,
                    step.to,
                )
                .await?),
                Frame::Savepoint(_) => Ok(true),
            }
        };
        let ((), moved, first) = try_join!(begin, advance, first)?;
        if moved {
            Ok(first)
        } else {
            Err(ApplyError::moved())
        }
    }

    pub async fn commit(&mut self) -> Result<(), ApplyError> {
        self.commit_with(async { Ok(()) }).await
    }

    /// Runs the last statements and commits in the same round trip: none of them may wait for another.
    pub async fn commit_with(
        &mut self,
        last: impl Future<Output = Result<(), ApplyError>>,
    ) -> Result<(), ApplyError> {
        // A commit after a failed statement rolls back.
        let commit = self.run("commit", "release savepoint transaction");
        try_join!(last, commit)?;
        self.state = State::Ended;
        Ok(())
    }

    /// Undoes what was written, and gives the session back: whoever held one while waiting for another could wait for ever.
    pub(crate) async fn roll_back(mut self) -> Result<(), ApplyError> {
        if self.state != State::Untouched {
            self.run("rollback", "rollback to savepoint transaction")
                .await?;
            self.state = State::Ended;
        }
        Ok(())
    }

    /// Runs a statement if there is a session: one for a transaction, another for a savepoint.
    async fn run(&self, transaction: &str, savepoint: &str) -> Result<(), ApplyError> {
        let statement = match self.frame {
            Frame::Transaction(..) => transaction,
            Frame::Savepoint(_) => savepoint,
        };
        if let Some(session) = &self.session {
            session.batch_execute(statement).await?;
        }
        Ok(())
    }

    /// Returns true if the transaction has begun.
    pub(crate) fn begun(&self) -> bool {
        self.state != State::Untouched
    }
}

/// Closes a session that is in the middle of a transaction instead of returning it to the pool.
impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.state == State::Begun
            && let Some(TransactionSession::Pooled(session)) = self.session.take()
            && let Some(session) = Arc::into_inner(session)
        {
            drop(PooledSession::take(session));
        }
    }
}
