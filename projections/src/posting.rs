//! One batch on its way into the database: a transaction that only begins when there is something to write.

use futures::try_join;
use store::Position;
use tokio_postgres::Client;

use crate::{PostError, checkpoint};

/// The checkpoint that moves with the batch.
pub(crate) struct Step {
    pub name: &'static str,
    pub from: Position,
    pub to: Position,
}

/// What a consumer writes through. Everything is committed together with the checkpoint, or not at all.
pub struct Posting<'a> {
    client: &'a Client,
    /// None, where the transaction belongs to somebody else.
    step: Option<Step>,
    begun: bool,
}

impl<'a> Posting<'a> {
    /// A batch of its own.
    pub(crate) const fn of(client: &'a Client, step: Step) -> Self {
        Self {
            client,
            step: Some(step),
            begun: false,
        }
    }

    /// A batch inside a transaction that is under way.
    pub(crate) const fn within(client: &'a Client) -> Self {
        Self {
            client,
            step: None,
            begun: true,
        }
    }

    /// Begins the transaction and runs the first statements of it, in the same round trip. The checkpoint comes before
    /// them: its lock keeps a rebuild's swap away.
    pub async fn begin_with<T>(
        &mut self,
        first: impl Future<Output = Result<T, PostError>>,
    ) -> Result<T, PostError> {
        let (false, Some(step)) = (self.begun, &self.step) else {
            return first.await;
        };
        let client = self.client;
        let begin = async { Ok(client.batch_execute("begin").await?) };
        let advance =
            async { Ok(checkpoint::advance(client, step.name, step.from, step.to).await?) };
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
        if self.step.is_none() {
            return last.await;
        }
        let client = self.client;
        // A commit behind a failed statement rolls back.
        let commit = async { Ok(client.batch_execute("commit").await?) };
        try_join!(last, commit)?;
        Ok(())
    }

    /// The session of the transaction.
    #[must_use]
    pub const fn client(&self) -> &'a Client {
        self.client
    }

    /// Whether anything was written.
    pub(crate) const fn begun(&self) -> bool {
        self.begun
    }
}
