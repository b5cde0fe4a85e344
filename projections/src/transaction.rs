//! One batch on its way into the database: a transaction that only begins when there is something to write.

use std::ops::Deref;
use std::sync::Arc;

use futures::try_join;
use store::{Database, PooledSession, Position, Purpose, Session};

use crate::{ApplyError, checkpoint};

/// The checkpoint that moves with the batch.
pub(crate) struct Step {
    pub name: &'static str,
    /// Of the checkpoint: the consumer knows this version of its quarantine.
    pub quarantine: i64,
    pub from: Position,
    pub to: Position,
}

/// The frame of a batch, within which it is written wholly or not at all.
pub(crate) enum Frame<'a> {
    /// A transaction on a session of the pool, in which the checkpoint moves.
    Transaction(&'a Database, Step),
    /// A part of a transaction that is under way on a session.
    Savepoint(&'a Session),
}

/// A session that a batch is written on.
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

/// How far a batch has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Untouched,
    Begun,
    Ended,
}

/// What a consumer writes through. Everything is committed together with the checkpoint, or not at all.
pub struct Transaction<'a> {
    frame: Frame<'a>,
    session: Option<TransactionSession<'a>>,
    state: State,
}

impl<'a> Transaction<'a> {
    /// A batch of its own.
    pub(crate) const fn of(frame: Frame<'a>) -> Self {
        Self {
            frame,
            session: None,
            state: State::Untouched,
        }
    }

    /// The session of the transaction. A batch that writes nothing needs none: ask for it once there is something to write, as few
    /// sessions serve many consumers.
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

    /// Begins the transaction and runs the first statements of it, in the same round trip. The checkpoint comes before
    /// them: its lock keeps a rebuild's swap away.
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

    /// Runs the last statements and commits, in the same round trip: none of them may wait for another.
    pub async fn commit_with(
        &mut self,
        last: impl Future<Output = Result<(), ApplyError>>,
    ) -> Result<(), ApplyError> {
        // A commit behind a failed statement rolls back.
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

    /// Returns true if anything was written.
    pub(crate) fn begun(&self) -> bool {
        self.state != State::Untouched
    }
}

/// A session in the middle of a transaction is of no use to anybody else.
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
