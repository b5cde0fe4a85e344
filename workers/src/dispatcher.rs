//! Claims jobs of one kind and runs them, a bounded number at a time.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures::FutureExt;
use store::{Database, Purpose, Session};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::job_handler::{AnyHandler, Outcome};
use crate::jobs::{self, Error, Job, Partition};

/// Interval at which the table is polled without a wake-up.
const POLL: Duration = Duration::from_millis(250);
/// Minimum interval between two polls: jobs that end meanwhile are written, and replaced, together.
const PACE: Duration = Duration::from_millis(5);
/// Interval at which the leases of held jobs are renewed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Factor by which claims exceed the jobs that a partition may run, so that a job is ready when another ends.
const AHEAD: usize = 2;
/// Minimum time left of a lease when a job starts.
const MIN_LEASE: TimeDelta = TimeDelta::seconds(40);
/// Failures after which a job becomes a dead letter.
const MAX_ATTEMPTS: u32 = 12;
/// The first back-off after a failure; each further failure doubles it.
const BACKOFF: TimeDelta = TimeDelta::seconds(1);
/// The maximum back-off.
const MAX_BACKOFF: TimeDelta = TimeDelta::hours(1);

/// Wakes the dispatchers of this node as soon as a job is scheduled here.
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
    handler: Arc<dyn AnyHandler>,
    waker: Arc<Notify>,
    running: JoinSet<(Job, Outcome)>,
    partitions: HashMap<String, Held>,
    /// The partition at which the next poll of the table begins.
    next_partition: String,
    ended: Ended,
    /// Jobs that this node holds, by id, with their leases.
    leases: BTreeMap<Uuid, Uuid>,
    renewed: Instant,
}

/// The jobs of a partition that are leased to this node.
#[derive(Default)]
struct Held {
    running: usize,
    /// Jobs claimed ahead, to run as soon as there is a place.
    waiting: VecDeque<Job>,
}

impl Held {
    fn len(&self) -> usize {
        self.running + self.waiting.len()
    }
}

/// Jobs that have run, with results still to be written.
#[derive(Default)]
struct Ended {
    done: Vec<Job>,
    again: Vec<Job>,
}

impl Dispatcher {
    pub fn new(database: Database, handler: Arc<dyn AnyHandler>, waker: Arc<Notify>) -> Self {
        Self {
            database,
            handler,
            waker,
            running: JoinSet::new(),
            partitions: HashMap::new(),
            next_partition: String::new(),
            ended: Ended::default(),
            leases: BTreeMap::new(),
            renewed: Instant::now(),
        }
    }

    /// Claims and runs jobs until shutdown, then waits for those in flight.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !shutdown.is_cancelled() {
            pace.tick().await;
            self.collect();
            let claimed = self.turn(self.free()).await;
            let has_seen_all = self.next_partition.is_empty();
            let idle = (claimed == 0 && has_seen_all) || self.free() == 0;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                Some(Ok(ended)) = self.running.join_next(), if !self.running.is_empty() => {
                    self.end(ended);
                }
                () = self.waker.notified(), if idle => {}
                () = tokio::time::sleep(POLL), if idle => {}
                () = std::future::ready(()), if !idle => {}
            }
        }
        self.give_back();
        while let Some(Ok(ended)) = self.running.join_next().await {
            self.end(ended);
        }
        self.turn(0).await;
    }

    /// Collects all jobs that have ended.
    fn collect(&mut self) {
        while let Some(Ok(ended)) = self.running.try_join_next() {
            self.end(ended);
        }
    }

    /// Returns the number of jobs that this node may still claim.
    fn free(&self) -> usize {
        let held: usize = self.partitions.values().map(Held::len).sum();
        self.handler.concurrency().saturating_sub(held)
    }

    /// Gives back jobs that have not started, for any node to claim.
    fn give_back(&mut self) {
        for held in self.partitions.values_mut() {
            self.ended.again.extend(held.waiting.drain(..));
        }
    }

    /// Writes results, and starts more jobs; returns how many it claimed.
    async fn turn(&mut self, free: usize) -> usize {
        match self.exchange(free).await {
            Ok(items) => {
                self.ended = Ended::default();
                let claimed = items.len();
                items.into_iter().for_each(|item| self.add(item));
                claimed
            }
            Err(error) => {
                tracing::warn!(kind = self.handler.kind(), %error, "cannot exchange jobs");
                if !error.is_transient() {
                    // The database would refuse the same write again.
                    self.ended = Ended::default();
                }
                0
            }
        }
    }

    async fn exchange(&mut self, free: usize) -> Result<Vec<Job>, Error> {
        let session = self.database.session(Purpose::Jobs).await?;
        let session = &session;
        self.renew(session).await?;
        let kind = self.handler.kind();
        let ((), (), found) = futures::try_join!(
            jobs::complete(session, &self.ended.done),
            jobs::reschedule(session, &mut self.ended.again),
            jobs::partitions(session, kind, &self.next_partition),
        )?;
        let limit = free.div_ceil(2);
        let places = self.places(&found, free);
        let claimed = if places.is_empty() {
            vec![]
        } else {
            jobs::claim(session, kind, &places, size(limit)).await?
        };
        self.next_partition = next(found);
        Ok(claimed)
    }

    /// Returns the number of jobs to claim per partition: partitions with running jobs here, and those found to be due.
    /// Half of the free places are given out, and at most a quarter to one partition: the fewer are left, the fewer each gets, so
    /// that stuck partitions never hold all of them.
    fn places<'a>(&'a self, found: &'a [Partition], free: usize) -> Vec<(&'a str, i64)> {
        let due = found.iter().filter(|partition| partition.is_due);
        let names: HashSet<&str> = due
            .map(|partition| partition.name.as_str())
            .chain(self.partitions.keys().map(String::as_str))
            .collect();
        // Shares out all free places, twice as many as are given out, because some partitions have fewer jobs.
        let share = free.div_ceil(names.len().max(1));
        let room = |name: &'a str| {
            let held = self.partitions.get(name).map_or(0, Held::len);
            let at_most = (AHEAD * self.handler.per_partition(name)).min((free / 4).max(1));
            let places = at_most.saturating_sub(held).min(share);
            (places > 0).then_some((name, size(places)))
        };
        names.into_iter().filter_map(room).collect()
    }

    fn add(&mut self, item: Job) {
        self.leases.extend(item.lease.map(|lease| (item.id, lease)));
        let partition = item.partition.clone();
        let held = self.partitions.entry(partition.clone()).or_default();
        held.waiting.push_back(item);
        self.start(&partition);
    }

    /// Starts waiting jobs of a partition while there are places.
    fn start(&mut self, partition: &str) {
        let Some(held) = self.partitions.get_mut(partition) else {
            return;
        };
        while held.running < self.handler.per_partition(partition)
            && let Some(item) = held.waiting.pop_front()
        {
            // Another node may have the job by the time that it ends.
            if item
                .leased_until
                .is_none_or(|end| end - Utc::now() < MIN_LEASE)
            {
                self.leases.remove(&item.id);
                continue;
            }
            held.running += 1;
            let handler = Arc::clone(&self.handler);
            self.running.spawn(async move {
                let outcome = run(handler.as_ref(), &item).await;
                (item, outcome)
            });
        }
        if held.len() == 0 {
            self.partitions.remove(partition);
        }
    }

    fn end(&mut self, (job, outcome): (Job, Outcome)) {
        self.leases.remove(&job.id);
        if let Some(held) = self.partitions.get_mut(&job.partition) {
            held.running = held.running.saturating_sub(1);
        }
        self.start(&job.partition);
        if outcome == Outcome::Done {
            self.ended.done.push(job);
        } else {
            self.ended.again.push(after(job, outcome));
        }
    }

    /// Renews the leases of held jobs. A job whose lease is lost is not started; if it is running, its result changes nothing.
    async fn renew(&mut self, session: &Session) -> Result<(), Error> {
        if self.renewed.elapsed() < HEARTBEAT {
            return Ok(());
        }
        let renewed = jobs::renew(session, &self.leases).await?;
        self.renewed = Instant::now();
        self.leases.retain(|id, _| renewed.contains_key(id));
        for held in self.partitions.values_mut() {
            held.waiting.retain_mut(|job| {
                job.leased_until = renewed.get(&job.id).copied();
                job.leased_until.is_some()
            });
        }
        Ok(())
    }
}

/// Returns the start of the next poll: the last of these partitions, or the first of all if there are no more.
fn next(found: Vec<Partition>) -> String {
    let has_more = size(found.len()) == jobs::LOOK;
    let last = found.into_iter().next_back().filter(|_| has_more);
    last.map_or_else(String::new, |partition| partition.name)
}

fn size(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns a job as it continues after an outcome.
fn after(mut job: Job, outcome: Outcome) -> Job {
    match outcome {
        Outcome::Done => {}
        Outcome::Again { at, payload } => {
            job.run_at = at;
            job.payload = payload;
            job.attempts = 0;
        }
        Outcome::Hold(reason) => {
            job.dead_letter = true;
            job.attempts = 0;
            job.last_error = Some(reason);
        }
        Outcome::DeadLetter(reason) => {
            job.dead_letter = true;
            job.attempts += 1;
            job.last_error = Some(reason);
        }
        Outcome::Failed(reason) => {
            job.attempts += 1;
            job.dead_letter = job.attempts >= MAX_ATTEMPTS;
            job.run_at = Utc::now() + backoff(job.attempts, rand::random());
            tracing::warn!(kind = job.kind, id = %job.id, attempts = job.attempts, dead_letter = job.dead_letter, reason,
                "a job failed");
            job.last_error = Some(reason);
        }
    }
    job
}

/// Runs a job. A panic counts as a failure.
async fn run(handler: &dyn AnyHandler, job: &Job) -> Outcome {
    let outcome = AssertUnwindSafe(handler.run(job)).catch_unwind().await;
    outcome.unwrap_or_else(|_| Outcome::Failed("it panicked; the server's log says why".into()))
}

/// Returns the back-off, which doubles with every failure; `random` (0 to 1) spreads it over the upper half, so that jobs that
/// failed together are not retried together.
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
