//! One batch on its way into the database: a transaction that only begins when there is something to write.

use futures::try_join;
use store::{Position, Session};

use crate::{PostError, checkpoint};

/// The checkpoint that moves with the batch.
pub(crate) struct Step {
    pub name: &'static str,
    pub from: Position,
    pub to: Position,
}

/// What a consumer writes through. Everything is committed together with the checkpoint, or not at all.
pub struct Posting<'a> {
    session: &'a Session,
    step: Step,
    begun: bool,
}

impl<'a> Posting<'a> {
    /// A batch of its own.
    pub(crate) const fn of(session: &'a Session, step: Step) -> Self {
        Self {
            session,
            step,
            begun: false,
        }
    }

    /// Begins the transaction and runs the first statements of it, in the same round trip. The checkpoint comes before
    /// them: its lock keeps a rebuild's swap away.
    pub async fn begin_with<T>(
        &mut self,
        first: impl Future<Output = Result<T, PostError>>,
    ) -> Result<T, PostError> {
        let (session, step) = (self.session, &self.step);
        let begin = async { Ok(session.batch_execute("begin").await?) };
        let advance =
            async { Ok(checkpoint::advance(session, step.name, step.from, step.to).await?) };
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
        let session = self.session;
        // A commit behind a failed statement rolls back.
        let commit = async { Ok(session.batch_execute("commit").await?) };
        try_join!(last, commit)?;
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
