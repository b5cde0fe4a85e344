//! A reaction: events come in, due work comes out, exactly once.

use async_trait::async_trait;
use projections::{Consumer, PostError, Posting};
use store::Recorded;

use crate::NewItem;
use crate::dispatcher::Wakers;
use crate::due_work::{self, LaneId};

/// What follows from events.
#[derive(Debug, Default, PartialEq)]
pub struct Consequences {
    pub schedule: Vec<NewItem>,
    /// Work that is due at once, also where the same waits for a later time.
    pub hasten: Vec<NewItem>,
    /// Lanes whose parked items are due again.
    pub unpark: Vec<LaneId>,
    /// Lanes of which nothing is to be done any more.
    pub clear: Vec<LaneId>,
}

/// Reads the log from a checkpoint of its own. The work it schedules is committed with the checkpoint.
#[async_trait]
pub trait Reaction: Send + Sync + 'static {
    /// Name of its checkpoint.
    const NAME: &'static str;
    /// The categories it reads; none: all.
    const CATEGORIES: &'static [&'static str];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, PostError>;
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

    async fn post(&self, posting: &mut Posting<'_>, events: &[Recorded]) -> Result<(), PostError> {
        let consequences = self.reaction.react(events).await?;
        if consequences == Consequences::default() {
            return Ok(());
        }
        let session = posting.session().await?;
        let client: &tokio_postgres::Client = &session;
        let write = async {
            due_work::schedule(client, &consequences.schedule).await?;
            due_work::hasten(client, &consequences.hasten).await?;
            for lane in &consequences.unpark {
                due_work::unpark_lane(client, lane).await?;
            }
            for lane in &consequences.clear {
                due_work::clear_lane(client, lane).await?;
            }
            Ok(())
        };
        posting.begin_with(write).await?;
        posting.commit().await
    }

    fn posted(&self) {
        self.wakers.wake();
    }
}
