//! One batch on its way into the database: a transaction that only begins when there is something to write.

use futures::try_join;
use store::{Position, Session};

use crate::{PostError, checkpoint};

/// The checkpoint that moves with the batch.
pub(crate) struct Step {
    pub name: &'static str,
    /// Of the checkpoint: the consumer knows this version of its quarantine.
    pub quarantine: i64,
    pub from: Position,
    pub to: Position,
}

/// The frame of a batch, within which it is written wholly or not at all.
pub(crate) enum Frame {
    /// A transaction, in which the checkpoint moves.
    Transaction(Step),
    /// A part of a transaction that is under way.
    Savepoint,
}

/// What a consumer writes through. Everything is committed together with the checkpoint, or not at all.
pub struct Posting<'a> {
    session: &'a Session,
    frame: Frame,
    begun: bool,
}

impl<'a> Posting<'a> {
    /// A batch of its own.
    pub(crate) const fn of(session: &'a Session, frame: Frame) -> Self {
        Self {
            session,
            frame,
            begun: false,
        }
    }

    /// Begins the transaction and runs the first statements of it, in the same round trip. The checkpoint comes before
    /// them: its lock keeps a rebuild's swap away.
    pub async fn begin_with<T>(
        &mut self,
        first: impl Future<Output = Result<T, PostError>>,
    ) -> Result<T, PostError> {
        let (session, frame) = (self.session, &self.frame);
        let begin = async {
            let begin = match frame {
                Frame::Transaction(_) => "begin",
                Frame::Savepoint => "savepoint posting",
            };
            Ok(session.batch_execute(begin).await?)
        };
        let advance = async {
            match frame {
                Frame::Transaction(step) => Ok(checkpoint::advance(
                    session,
                    step.name,
                    step.quarantine,
                    step.from,
                    step.to,
                )
                .await?),
                Frame::Savepoint => Ok(true),
            }
        };
        self.begun = true;
        let ((), moved, first) = try_join!(begin, advance, first)?;
        if moved {
            Ok(first)
        } else {
            Err(PostError::moved())
        }
    }

    pub async fn commit(&mut self) -> Result<(), PostError> {
        self.commit_with(async { Ok(()) }).await
    }

    /// Runs the last statements and commits, in the same round trip: none of them may wait for another.
    pub async fn commit_with(
        &mut self,
        last: impl Future<Output = Result<(), PostError>>,
    ) -> Result<(), PostError> {
        let (session, frame) = (self.session, &self.frame);
        // A commit behind a failed statement rolls back.
        let commit = async {
            let commit = match frame {
                Frame::Transaction(_) => "commit",
                Frame::Savepoint => "release savepoint posting",
            };
            Ok(session.batch_execute(commit).await?)
        };
        try_join!(last, commit)?;
        Ok(())
    }

    /// Undoes what was written.
    pub(crate) async fn roll_back(&self) -> Result<(), PostError> {
        if self.begun {
            let roll_back = match self.frame {
                Frame::Transaction(_) => "rollback",
                Frame::Savepoint => "rollback to savepoint posting",
            };
            self.session.batch_execute(roll_back).await?;
        }
        Ok(())
    }

    /// The session of the transaction.
    #[must_use]
    pub const fn session(&self) -> &'a Session {
        self.session
    }

    /// Whether anything was written.
    pub(crate) const fn begun(&self) -> bool {
        self.begun
    }
}
