//! Claims due work of one kind and runs it, a bounded number of items at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use store::Database;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::due_work::{self, Error, Item};

/// How often the table is looked at without having been woken.
const POLL: Duration = Duration::from_millis(250);
/// Failures after which an item is parked.
const MAX_ATTEMPTS: u32 = 12;
/// The first waiting time after a failure; it doubles from there.
const BACKOFF: TimeDelta = TimeDelta::seconds(1);
/// The longest one.
const MAX_BACKOFF: TimeDelta = TimeDelta::hours(1);

/// What became of an item.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing is left to do.
    Done,
    /// It goes on later; that is no failure.
    Again {
        at: DateTime<Utc>,
        /// What the item needs to know by then.
        payload: Value,
    },
    /// It failed; it is retried with growing waiting times, and in the end parked.
    Failed(String),
    /// It waits until its lane is freed; that is no failure.
    Hold(String),
    /// It cannot go on until somebody does something.
    Park(String),
}

/// A kind of due work.
#[async_trait]
pub trait Work: Send + Sync + 'static {
    fn kind(&self) -> &'static str;
    /// Items at a time on this node.
    fn concurrency(&self) -> usize {
        8
    }
    /// Items of one lane at a time on this node.
    fn per_lane(&self) -> usize {
        8
    }
    async fn run(&self, item: &Item) -> Outcome;
}

/// Wakes the dispatchers of this node as soon as work is scheduled here.
#[derive(Clone, Default)]
pub struct Wakers(Arc<Mutex<HashMap<&'static str, Arc<Notify>>>>);

impl Wakers {
    pub fn of(&self, kind: &'static str) -> Arc<Notify> {
        let mut wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(wakers.entry(kind).or_default())
    }

    pub fn wake(&self) {
        let wakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.values().for_each(|waker| waker.notify_one());
    }
}

pub struct Dispatcher {
    database: Database,
    work: Arc<dyn Work>,
    waker: Arc<Notify>,
    running: JoinSet<Ended>,
    /// Items that run here, by lane.
    lanes: HashMap<String, i64>,
    /// Items with which nothing is left to do, not yet deleted.
    done: Vec<Uuid>,
}

/// An item that has run.
struct Ended {
    lane: String,
    /// Its id, if nothing is left to do.
    done: Option<Uuid>,
}

impl Dispatcher {
    pub fn new(database: Database, work: Arc<dyn Work>, waker: Arc<Notify>) -> Self {
        Self {
            database,
            work,
            waker,
            running: JoinSet::new(),
            lanes: HashMap::new(),
            done: Vec::new(),
        }
    }

    /// Claims and runs until shutdown, then waits for what is in flight.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            self.complete().await;
            let claimed = match self.claim().await {
                Ok(claimed) => claimed,
                Err(error) => {
                    tracing::warn!(kind = self.work.kind(), %error, "cannot claim due work");
                    0
                }
            };
            let idle = claimed == 0 || self.running.len() >= self.work.concurrency();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                Some(ended) = self.running.join_next(), if !self.running.is_empty() => {
                    self.end(ended);
                    while let Some(ended) = self.running.try_join_next() {
                        self.end(ended);
                    }
                }
                () = self.waker.notified(), if idle => {}
                () = tokio::time::sleep(POLL), if idle => {}
                () = std::future::ready(()), if !idle => {}
            }
        }
        while let Some(ended) = self.running.join_next().await {
            self.end(ended);
        }
        self.complete().await;
    }

    /// Deletes what is done, all at once.
    async fn complete(&mut self) {
        if self.done.is_empty() {
            return;
        }
        match due_work::complete(&self.database, &self.done).await {
            Ok(()) => self.done.clear(),
            Err(error) => {
                tracing::warn!(kind = self.work.kind(), %error, "cannot delete due work that is done");
            }
        }
    }

    /// Takes at most half of the free places, and for a lane at most a quarter: the fewer are left, the more sparingly
    /// they are given out, so that lanes in which nothing moves never hold all of them.
    async fn claim(&mut self) -> Result<usize, Error> {
        let free = self.work.concurrency().saturating_sub(self.running.len());
        if free == 0 {
            return Ok(0);
        }
        let size = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let per_lane = size(self.work.per_lane().min((free / 4).max(1)));
        let limit = size(free.div_ceil(2));
        let kind = self.work.kind();
        let items = due_work::claim(&self.database, kind, &self.lanes, per_lane, limit).await?;
        let claimed = items.len();
        for item in items {
            *self.lanes.entry(item.lane.clone()).or_default() += 1;
            let (database, work) = (self.database.clone(), Arc::clone(&self.work));
            self.running.spawn(async move {
                let lane = item.lane.clone();
                let outcome = work.run(&item).await;
                let id = item.id;
                if outcome == Outcome::Done {
                    let done = Some(id);
                    return Ended { lane, done };
                }
                if let Err(error) = conclude(&database, item, outcome).await {
                    tracing::warn!(%id, %error, "cannot conclude due work; its lease will lapse");
                }
                Ended { lane, done: None }
            });
        }
        Ok(claimed)
    }

    fn end(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        match ended {
            Ok(Ended { lane, done }) => {
                self.done.extend(done);
                if let Some(running) = self.lanes.get_mut(&lane) {
                    *running -= 1;
                    if *running == 0 {
                        self.lanes.remove(&lane);
                    }
                }
            }
            Err(error) => {
                tracing::error!(kind = self.work.kind(), %error, "due work panicked; its lease will lapse");
                // Which lane it was is not known any more: at worst a lane runs a few more items than it should.
                self.lanes.clear();
            }
        }
    }
}

/// Writes down when and how an item goes on.
async fn conclude(database: &Database, mut item: Item, outcome: Outcome) -> Result<(), Error> {
    match outcome {
        Outcome::Done => return due_work::complete(database, &[item.id]).await,
        Outcome::Again { at, payload } => {
            item.run_at = at;
            item.payload = payload;
            item.attempts = 0;
        }
        Outcome::Hold(reason) => {
            item.parked = true;
            item.attempts = 0;
            item.last_error = Some(reason);
        }
        Outcome::Park(reason) => {
            item.parked = true;
            item.attempts += 1;
            item.last_error = Some(reason);
        }
        Outcome::Failed(reason) => {
            item.attempts += 1;
            item.parked = item.attempts >= MAX_ATTEMPTS;
            item.run_at = Utc::now() + backoff(item.attempts, rand::random());
            tracing::warn!(kind = item.kind, id = %item.id, attempts = item.attempts, parked = item.parked, reason,
                "due work failed");
            item.last_error = Some(reason);
        }
    }
    due_work::reschedule(database, &item).await
}

/// Doubles with every failure; `random` (0 to 1) spreads it over the upper half, so that what failed together does
/// not come back together.
fn backoff(attempts: u32, random: f64) -> TimeDelta {
    let full = BACKOFF
        .checked_mul(1 << attempts.saturating_sub(1).min(20))
        .unwrap_or(MAX_BACKOFF)
        .min(MAX_BACKOFF);
    let half = full / 2;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most half an hour of milliseconds"
    )]
    #[expect(clippy::cast_precision_loss, reason = "a waiting time")]
    let spread = (half.num_milliseconds() as f64 * random) as i64;
    half + TimeDelta::milliseconds(spread)
}

#[cfg(test)]
#[path = "dispatcher_tests.rs"]
mod tests;
