//! Claims due work of one kind and runs it, a bounded number of items at a time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use store::{Database, Purpose};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::due_work::{self, Error, Item, Lane};

/// How often the table is looked at without having been woken.
const POLL: Duration = Duration::from_millis(250);
/// Between two looks at the table at least: what ends meanwhile is written, and replaced, together.
const PACE: Duration = Duration::from_millis(5);
/// As many times what a lane may run is claimed, so that nothing waits for the next look.
const AHEAD: usize = 2;
/// What is left of a lease when an item begins.
const MIN_LEASE: TimeDelta = TimeDelta::seconds(40);
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
    /// Items that this node holds at a time, those included that are claimed ahead.
    fn concurrency(&self) -> usize {
        8
    }
    /// Items of a lane that run at a time on this node.
    fn per_lane(&self, _lane: &str) -> usize {
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
    running: JoinSet<(Item, Outcome)>,
    lanes: HashMap<String, Held>,
    /// The lane at which the next look at the table begins.
    next_lane: String,
    ended: Ended,
}

/// What of a lane is leased to this node.
#[derive(Default)]
struct Held {
    running: usize,
    /// Claimed ahead, to run as soon as there is a place.
    waiting: VecDeque<Item>,
}

impl Held {
    fn len(&self) -> usize {
        self.running + self.waiting.len()
    }
}

/// Items that have run, and what is still to be written about them.
#[derive(Default)]
struct Ended {
    done: Vec<Uuid>,
    again: Vec<Item>,
}

impl Dispatcher {
    pub fn new(database: Database, work: Arc<dyn Work>, waker: Arc<Notify>) -> Self {
        Self {
            database,
            work,
            waker,
            running: JoinSet::new(),
            lanes: HashMap::new(),
            next_lane: String::new(),
            ended: Ended::default(),
        }
    }

    /// Claims and runs until shutdown, then waits for what is in flight.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !shutdown.is_cancelled() {
            pace.tick().await;
            self.collect();
            let claimed = self.turn(self.free()).await;
            let has_seen_all = self.next_lane.is_empty();
            let idle = (claimed == 0 && has_seen_all) || self.free() == 0;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                Some(ended) = self.running.join_next(), if !self.running.is_empty() => {
                    self.end(ended);
                }
                () = self.waker.notified(), if idle => {}
                () = tokio::time::sleep(POLL), if idle => {}
                () = std::future::ready(()), if !idle => {}
            }
        }
        self.give_back();
        while let Some(ended) = self.running.join_next().await {
            self.end(ended);
        }
        self.turn(0).await;
    }

    /// Takes in everything that has ended.
    fn collect(&mut self) {
        while let Some(ended) = self.running.try_join_next() {
            self.end(ended);
        }
    }

    /// How many more items this node may hold.
    fn free(&self) -> usize {
        let held: usize = self.lanes.values().map(Held::len).sum();
        self.work.concurrency().saturating_sub(held)
    }

    /// What has not begun is left to whoever comes.
    fn give_back(&mut self) {
        for held in self.lanes.values_mut() {
            self.ended.again.extend(held.waiting.drain(..));
        }
    }

    /// Writes down what has ended, and starts more; returns how much.
    async fn turn(&mut self, free: usize) -> usize {
        match self.exchange(free).await {
            Ok(items) => {
                self.ended = Ended::default();
                let claimed = items.len();
                items.into_iter().for_each(|item| self.add(item));
                claimed
            }
            Err(error) => {
                tracing::warn!(kind = self.work.kind(), %error, "cannot exchange due work");
                if !error.is_transient() {
                    // What was to be written would be refused again.
                    self.ended = Ended::default();
                }
                0
            }
        }
    }

    async fn exchange(&mut self, free: usize) -> Result<Vec<Item>, Error> {
        let session = self.database.session(Purpose::Jobs).await?;
        let session = &session;
        let kind = self.work.kind();
        let ((), (), found) = futures::try_join!(
            due_work::complete(session, &self.ended.done),
            due_work::reschedule(session, &mut self.ended.again),
            due_work::lanes(session, kind, &self.next_lane),
        )?;
        let limit = free.div_ceil(2);
        let places = self.places(&found, free);
        let claimed = if places.is_empty() {
            vec![]
        } else {
            due_work::claim(session, kind, &places, size(limit)).await?
        };
        self.next_lane = next(found);
        Ok(claimed)
    }

    /// How many items each lane may be given: those in which something runs here, and those that have been found to be due.
    /// Half of the free places are given out, and to a lane at most a quarter: the fewer are left, the more sparingly, so
    /// that lanes in which nothing moves never hold all of them.
    fn places<'a>(&'a self, found: &'a [Lane], free: usize) -> Vec<(&'a str, i64)> {
        let due = found.iter().filter(|lane| lane.is_due);
        let names: HashSet<&str> = due
            .map(|lane| lane.name.as_str())
            .chain(self.lanes.keys().map(String::as_str))
            .collect();
        // All free places shared out, twice as many as are given: one lane may have less to do than another.
        let share = free.div_ceil(names.len().max(1));
        let room = |name: &'a str| {
            let held = self.lanes.get(name).map_or(0, Held::len);
            let at_most = (AHEAD * self.work.per_lane(name)).min((free / 4).max(1));
            let places = at_most.saturating_sub(held).min(share);
            (places > 0).then_some((name, size(places)))
        };
        names.into_iter().filter_map(room).collect()
    }

    fn add(&mut self, item: Item) {
        let lane = item.lane.clone();
        let held = self.lanes.entry(lane.clone()).or_default();
        held.waiting.push_back(item);
        self.start(&lane);
    }

    /// Runs what waits in a lane, as far as there are places.
    fn start(&mut self, lane: &str) {
        let Some(held) = self.lanes.get_mut(lane) else {
            return;
        };
        while held.running < self.work.per_lane(lane)
            && let Some(item) = held.waiting.pop_front()
        {
            // Another node may have it by the time that it would end.
            if item
                .leased_until
                .is_none_or(|end| end - Utc::now() < MIN_LEASE)
            {
                continue;
            }
            held.running += 1;
            let work = Arc::clone(&self.work);
            self.running.spawn(async move {
                let outcome = work.run(&item).await;
                (item, outcome)
            });
        }
        if held.len() == 0 {
            self.lanes.remove(lane);
        }
    }

    fn end(&mut self, ended: Result<(Item, Outcome), tokio::task::JoinError>) {
        match ended {
            Ok((item, outcome)) => {
                if let Some(held) = self.lanes.get_mut(&item.lane) {
                    held.running = held.running.saturating_sub(1);
                }
                self.start(&item.lane);
                let id = item.id;
                match after(item, outcome) {
                    Some(item) => self.ended.again.push(item),
                    None => self.ended.done.push(id),
                }
            }
            Err(error) => {
                tracing::error!(kind = self.work.kind(), %error, "due work panicked; its lease will lapse");
                // Which lane it was is not known any more: at worst a lane runs a few more items than it should.
                self.give_back();
                self.lanes.clear();
            }
        }
    }
}

/// Where the next look begins: with the last of these lanes, or, if there are no more, with the first of all.
fn next(found: Vec<Lane>) -> String {
    let has_more = size(found.len()) == due_work::LOOK;
    let last = found.into_iter().next_back().filter(|_| has_more);
    last.map_or_else(String::new, |lane| lane.name)
}

fn size(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An item as it goes on, if it does.
fn after(mut item: Item, outcome: Outcome) -> Option<Item> {
    match outcome {
        Outcome::Done => return None,
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
    Some(item)
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
