//! Reactions: they turn events into jobs, exactly once.

use async_trait::async_trait;
use projections::{ApplyError, Consumer, Transaction};
use store::Recorded;

use crate::NewJob;
use crate::dispatcher::Wakers;
use crate::jobs::{self, PartitionId};

/// The changes to jobs that events cause.
#[derive(Debug, Default, PartialEq)]
pub struct Consequences {
    pub schedule: Vec<NewJob>,
    /// Jobs that are due at once, even if the same job waits for a later time.
    pub hasten: Vec<NewJob>,
    /// Partitions whose dead letters become due again.
    pub redrive: Vec<PartitionId>,
    /// Partitions whose jobs are removed.
    pub clear: Vec<PartitionId>,
}

/// Reads the log from a checkpoint of its own. Its jobs are committed with the checkpoint.
#[async_trait]
pub trait Reaction: Send + Sync + 'static {
    /// Name of the checkpoint.
    const NAME: &'static str;
    /// The categories that the reaction reads; none: all.
    const CATEGORIES: &'static [&'static str];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, ApplyError>;
}

/// Runs a [`Reaction`].
pub struct Reacting<R> {
    reaction: R,
    wakers: Wakers,
}

impl<R> Reacting<R> {
    pub fn new(reaction: R, wakers: &Wakers) -> Self {
        Self {
            reaction,
            wakers: wakers.clone(),
        }
    }
}

#[async_trait]
impl<R: Reaction> Consumer for Reacting<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn categories(&self) -> &'static [&'static str] {
        R::CATEGORIES
    }

    async fn apply(
        &self,
        transaction: &mut Transaction<'_>,
        events: &[Recorded],
    ) -> Result<(), ApplyError> {
        let consequences = self.reaction.react(events).await?;
        if consequences == Consequences::default() {
            return Ok(());
        }
        let session = transaction.session().await?;
        let client: &tokio_postgres::Client = &session;
        let write = async {
            jobs::schedule(client, &consequences.schedule).await?;
            jobs::hasten(client, &consequences.hasten).await?;
            for partition in &consequences.redrive {
                jobs::redrive_partition(client, partition).await?;
            }
            for partition in &consequences.clear {
                jobs::clear_partition(client, partition).await?;
            }
            Ok(())
        };
        transaction.begin_with(write).await?;
        transaction.commit().await
    }

    fn applied(&self) {
        self.wakers.wake();
    }
}
