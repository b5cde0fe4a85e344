//! Tests of jobs on a real table: leases, back-off, dead letters, partitions, several nodes.

use std::collections::HashSet;

use async_trait::async_trait;
use chrono::DateTime;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;
use crate::NewJob;
use crate::job_handler::JobHandler;
use crate::jobs::PartitionId;

const KIND: &str = "tea.brew";

/// Maximum wait of a test.
const PATIENCE: Duration = Duration::from_secs(30);

/// A handler that reports each job that it starts, and ends it as the test says; it panics without an instruction.
struct Brewing {
    begun: mpsc::UnboundedSender<Run>,
    concurrency: usize,
    per_partition: usize,
}

/// A running job.
struct Run {
    item: Job,
    end: oneshot::Sender<Outcome>,
}

#[async_trait]
impl JobHandler for Brewing {
    const KIND: &'static str = KIND;
    type Payload = Value;

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn per_partition(&self, _: &str) -> usize {
        self.per_partition
    }

    async fn run(&self, item: &Job, _: Value) -> Result<Outcome, String> {
        let (end, told) = oneshot::channel();
        let item = item.clone();
        self.begun.send(Run { item, end }).unwrap();
        Ok(told.await.unwrap())
    }
}

/// The dispatcher of one node.
struct Node {
    begun: mpsc::UnboundedReceiver<Run>,
    waker: Arc<Notify>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Node {
    fn start(database: &Database) -> Self {
        Self::with_limits(database, 8, 8)
    }

    fn with_limits(database: &Database, concurrency: usize, per_partition: usize) -> Self {
        let (sender, begun) = mpsc::unbounded_channel();
        let work = Brewing {
            begun: sender,
            concurrency,
            per_partition,
        };
        let waker = Arc::new(Notify::new());
        let dispatcher = Dispatcher::new(database.clone(), Arc::new(work), Arc::clone(&waker));
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(dispatcher.run(shutdown.clone()));
        Self {
            begun,
            waker,
            shutdown,
            task,
        }
    }

    /// Returns the next job that the node starts.
    async fn next(&mut self) -> Run {
        tokio::time::timeout(PATIENCE, self.begun.recv())
            .await
            .expect("an item is begun in time")
            .unwrap()
    }

    /// Kills the node in the middle of its work.
    async fn die(self) {
        self.task.abort();
        self.task.await.unwrap_err();
    }
}

impl Run {
    fn end(self, outcome: Outcome) {
        self.end.send(outcome).unwrap();
    }
}

async fn database() -> Database {
    Database::open(store::testing::database().await)
        .await
        .unwrap()
}

/// Builds a job that was due a minute ago.
fn item(number: u128, partition: &str) -> NewJob {
    NewJob {
        id: Uuid::from_u128(number),
        kind: KIND,
        partition: partition.into(),
        product_id: Uuid::nil(),
        payload: json!({"cup": 1}),
        run_at: Utc::now() - TimeDelta::minutes(1),
    }
}

fn partition(name: &str) -> PartitionId {
    PartitionId {
        kind: KIND,
        partition: name.into(),
    }
}

async fn schedule(database: &Database, items: &[NewJob]) {
    let client = database.session(Purpose::Queries).await.unwrap();
    jobs::schedule(&**client, items).await.unwrap();
}

async fn items(database: &Database) -> Vec<Job> {
    jobs::list(database, false, i64::MAX).await.unwrap()
}

/// Waits until the jobs in the table meet a condition; returns them.
async fn until(database: &Database, holds: impl Fn(&[Job]) -> bool) -> Vec<Job> {
    let found = async {
        loop {
            let items = items(database).await;
            if holds(&items) {
                return items;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let Ok(found) = tokio::time::timeout(PATIENCE, found).await else {
        panic!("the table stays as it is: {:#?}", items(database).await);
    };
    found
}

/// Returns the only job, once it has ended.
async fn concluded(database: &Database) -> Job {
    let mut items = until(database, |items| items[0].leased_until.is_none()).await;
    assert_eq!(items.len(), 1);
    items.remove(0)
}

/// Claims the jobs that an idle node would get.
async fn claim(database: &Database, limit: i64) -> Vec<Job> {
    let session = database.session(Purpose::Jobs).await.unwrap();
    let partitions = jobs::partitions(&session, KIND, "").await.unwrap();
    let places: Vec<_> = partitions
        .iter()
        .map(|l| (l.name.as_str(), limit))
        .collect();
    jobs::claim(&session, KIND, &places, limit).await.unwrap()
}

async fn execute(database: &Database, sql: &str) {
    let client = database.session(Purpose::Queries).await.unwrap();
    client.batch_execute(sql).await.unwrap();
}

/// Makes every lease expire.
async fn lapse(database: &Database) {
    execute(
        database,
        "update log.jobs set leased_until = now() - interval '1 second' where leased_until is not null",
    )
    .await;
}

/// Makes every job due.
async fn make_due(database: &Database) {
    execute(database, "update log.jobs set run_at = now()").await;
}

#[test]
fn waiting_times_double_up_to_an_hour_and_are_spread_over_their_upper_half() {
    assert_eq!(backoff(1, 0.0), TimeDelta::milliseconds(500));
    assert_eq!(backoff(1, 1.0), TimeDelta::seconds(1));
    assert_eq!(backoff(4, 1.0), TimeDelta::seconds(8));
    assert_eq!(backoff(30, 1.0), TimeDelta::hours(1));
    assert_eq!(backoff(u32::MAX, 0.0), TimeDelta::minutes(30));
}

#[tokio::test]
async fn what_is_scheduled_twice_is_one_item_and_runs_once_its_time_has_come() {
    let database = database().await;
    let mut node = Node::start(&database);
    let later = NewJob {
        run_at: Utc::now() + TimeDelta::hours(1),
        ..item(1, "")
    };
    schedule(&database, &[later.clone(), item(2, "")]).await;
    schedule(&database, &[later, item(2, "")]).await;
    let run = node.next().await;
    assert_eq!(run.item.id, Uuid::from_u128(2));
    run.end(Outcome::Done);
    let left = until(&database, |items| items.len() == 1).await;
    assert_eq!(left[0].id, Uuid::from_u128(1));
    assert_eq!(left[0].leased_until, None);
    make_due(&database).await;
    let run = node.next().await;
    assert_eq!(run.item.id, Uuid::from_u128(1));
    run.end(Outcome::Done);
    until(&database, <[Job]>::is_empty).await;
}

#[tokio::test]
async fn a_worker_that_dies_loses_its_item_once_the_lease_has_run_out() {
    let database = database().await;
    let mut first = Node::start(&database);
    schedule(&database, &[item(1, "")]).await;
    first.next().await;
    first.die().await;
    assert_eq!(claim(&database, 8).await, []);
    let mut second = Node::start(&database);
    lapse(&database).await;
    let run = second.next().await;
    assert_eq!((run.item.id, run.item.attempts), (Uuid::from_u128(1), 0));
    run.end(Outcome::Done);
    until(&database, <[Job]>::is_empty).await;
}

#[tokio::test]
async fn what_a_deadlock_has_kept_from_being_written_is_written_afterwards() {
    const WAITING: &str = "select exists (select from pg_stat_activity
        where datname = current_database() and pg_blocking_pids(pid) <> '{}')";
    let database = database().await;
    let mut node = Node::start(&database);
    schedule(&database, &[item(1, ""), item(2, "")]).await;
    let runs = [node.next().await, node.next().await];
    let mut other = database.connect("test").await.unwrap();
    let touch = "update log.jobs set run_at = run_at where id = $1";
    let transaction = other.transaction().await.unwrap();
    let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
    transaction.execute(touch, &[&second]).await.unwrap();
    runs.into_iter().for_each(|run| run.end(Outcome::Done));
    let client = database.session(Purpose::Queries).await.unwrap();
    let waits = async || client.query_one(WAITING, &[]).await.unwrap().get(0);
    while !waits().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // PostgreSQL stops the session that has waited longest: the dispatcher's.
    transaction.execute(touch, &[&first]).await.unwrap();
    transaction.commit().await.unwrap();
    until(&database, <[Job]>::is_empty).await;
}

#[tokio::test]
async fn a_panic_is_a_failure_and_costs_no_other_job_anything() {
    let database = database().await;
    let mut node = Node::with_limits(&database, 1, 1);
    schedule(&database, &[item(1, "partition"), item(2, "partition")]).await;
    drop(node.next().await.end);
    let run = node.next().await;
    assert_eq!(run.item.id, Uuid::from_u128(2));
    run.end(Outcome::Done);
    let left = until(&database, |items| items.len() == 1).await;
    assert_eq!((left[0].attempts, left[0].leased_until), (1, None));
    make_due(&database).await;
    let run = node.next().await;
    assert_eq!(run.item.id, Uuid::from_u128(1));
    run.end(Outcome::Done);
    until(&database, <[Job]>::is_empty).await;
}

#[tokio::test]
async fn a_worker_that_is_late_changes_nothing() {
    let database = database().await;
    let (mut first, mut second) = (Node::start(&database), Node::start(&database));
    schedule(&database, &[item(1, "")]).await;
    let begun = tokio::select! { run = first.next() => run, run = second.next() => run };
    for outcome in [Outcome::Done, Outcome::DeadLetter("late".into())] {
        lapse(&database).await;
        let again = tokio::select! { run = first.next() => run, run = second.next() => run };
        begun_late(&database, begun.item.clone(), outcome).await;
        again.end(Outcome::Again {
            at: Utc::now() - TimeDelta::seconds(1),
            payload: json!({"cup": 2}),
        });
    }
    let run = tokio::select! { run = first.next() => run, run = second.next() => run };
    assert_eq!((run.item.attempts, &run.item.last_error), (0, &None));
    assert_eq!(run.item.payload, json!({"cup": 2}));
    run.end(Outcome::Done);
    until(&database, <[Job]>::is_empty).await;
}

/// Writes the result of a worker whose lease was taken over.
async fn begun_late(database: &Database, job: Job, outcome: Outcome) {
    let session = database.session(Purpose::Jobs).await.unwrap();
    let written = if outcome == Outcome::Done {
        jobs::complete(&session, &[job]).await
    } else {
        jobs::reschedule(&session, &mut [after(job, outcome)]).await
    };
    written.unwrap();
}

#[tokio::test]
async fn only_the_holder_renews_a_lease() {
    let database = database().await;
    schedule(&database, &[item(1, ""), item(2, "")]).await;
    let claimed = claim(&database, 8).await;
    let mut leases: BTreeMap<_, _> = claimed
        .iter()
        .map(|job| (job.id, job.lease.unwrap()))
        .collect();
    leases.insert(Uuid::from_u128(2), Uuid::nil());
    lapse(&database).await;
    let session = database.session(Purpose::Jobs).await.unwrap();
    let renewed = jobs::renew(&session, &leases).await.unwrap();
    assert_eq!(renewed.keys().collect::<Vec<_>>(), [&Uuid::from_u128(1)]);
    assert!(renewed[&Uuid::from_u128(1)] > Utc::now() + TimeDelta::seconds(30));
    let free: Vec<_> = claim(&database, 8)
        .await
        .into_iter()
        .map(|job| job.id)
        .collect();
    assert_eq!(free, [Uuid::from_u128(2)]);
}

#[tokio::test]
async fn a_job_that_is_hastened_while_it_runs_runs_again() {
    let database = database().await;
    let mut node = Node::start(&database);
    schedule(&database, &[item(1, "")]).await;
    let run = node.next().await;
    let hastened = NewJob {
        payload: json!({"cup": 2}),
        ..item(1, "")
    };
    let client = database.session(Purpose::Queries).await.unwrap();
    jobs::hasten(&**client, &[hastened]).await.unwrap();
    run.end(Outcome::Done);
    let run = node.next().await;
    assert_eq!(run.item.payload, json!({"cup": 2}));
    run.end(Outcome::Done);
    until(&database, <[Job]>::is_empty).await;
}

#[tokio::test]
async fn a_job_that_keeps_failing_waits_longer_each_time_becomes_a_dead_letter_and_can_be_redriven()
{
    let database = database().await;
    let mut node = Node::start(&database);
    schedule(&database, &[item(1, "")]).await;
    for attempt in 1..=MAX_ATTEMPTS {
        let run = node.next().await;
        assert_eq!(run.item.attempts, attempt - 1);
        let before = Utc::now();
        run.end(Outcome::Failed(format!("no water, {attempt}")));
        let failed = concluded(&database).await;
        assert_eq!(failed.attempts, attempt);
        assert_eq!(failed.last_error, Some(format!("no water, {attempt}")));
        assert_eq!(failed.dead_letter, attempt == MAX_ATTEMPTS);
        // The database keeps microseconds.
        assert!(failed.run_at >= before + backoff(attempt, 0.0) - TimeDelta::microseconds(1));
        assert!(failed.run_at <= Utc::now() + backoff(attempt, 1.0));
        make_due(&database).await;
        node.waker.notify_one();
    }
    assert_eq!(claim(&database, 8).await, []);
    let dead_letter = jobs::list(&database, true, 8).await.unwrap();
    assert_eq!(dead_letter.len(), 1);
    assert_eq!(jobs::redrive(&database, None).await.unwrap(), 1);
    let run = node.next().await;
    assert_eq!((run.item.attempts, run.item.dead_letter), (0, false));
    run.end(Outcome::Done);
    until(&database, <[Job]>::is_empty).await;
}

#[tokio::test]
async fn a_job_that_cannot_go_on_is_a_dead_letter_at_once_and_redriven_alone() {
    let database = database().await;
    let mut node = Node::start(&database);
    schedule(&database, &[item(1, ""), item(2, "")]).await;
    for _ in 0..2 {
        node.next()
            .await
            .end(Outcome::DeadLetter("no tea left".into()));
    }
    let dead_letter = until(&database, |items| items.iter().all(|item| item.dead_letter)).await;
    assert!(
        dead_letter
            .iter()
            .all(|item| item.attempts == 1 && item.last_error.as_deref() == Some("no tea left"))
    );
    let redrive = async |number| {
        jobs::redrive(&database, Some(Uuid::from_u128(number)))
            .await
            .unwrap()
    };
    assert_eq!(redrive(1).await, 1);
    let run = node.next().await;
    assert_eq!(run.item.id, Uuid::from_u128(1));
    // The first job is no longer a dead letter; the third does not exist.
    assert_eq!((redrive(1).await, redrive(3).await), (0, 0));
    let still = jobs::list(&database, true, 8).await.unwrap();
    assert_eq!(still.len(), 1);
    assert_eq!(still[0].id, Uuid::from_u128(2));
}

#[tokio::test]
async fn going_on_later_is_no_failure_and_takes_what_is_known_by_then_along() {
    let database = database().await;
    let mut node = Node::start(&database);
    schedule(&database, &[item(1, "")]).await;
    node.next().await.end(Outcome::Failed("spilt".into()));
    assert_eq!(concluded(&database).await.attempts, 1);
    make_due(&database).await;
    // Whole seconds survive the database unchanged.
    let at = DateTime::from_timestamp(Utc::now().timestamp() + 3600, 0).unwrap();
    node.next().await.end(Outcome::Again {
        at,
        payload: json!({"cup": 2}),
    });
    let again = until(&database, |items| items[0].attempts == 0).await;
    assert_eq!(again[0].run_at, at);
    assert_eq!(again[0].payload, json!({"cup": 2}));
    assert!(!again[0].dead_letter);
}

#[tokio::test]
async fn a_full_lane_holds_back_no_other_and_never_has_more_than_its_share() {
    let database = database().await;
    // Enough places that the limit of the partition decides.
    let mut node = Node::with_limits(&database, 16, 2);
    schedule(&database, &[item(1, "slow")]).await;
    let mut slow = vec![node.next().await];
    // Older than the others, and far more than the node claims at a time.
    let many: Vec<NewJob> = (2..20)
        .map(|number| NewJob {
            run_at: Utc::now() - TimeDelta::hours(1),
            ..item(number, "slow")
        })
        .collect();
    schedule(&database, &many).await;
    schedule(&database, &[20, 21, 22].map(|number| item(number, "quick"))).await;

    let mut quick = 0;
    while quick < 3 || slow.len() < 2 {
        let run = node.next().await;
        if run.item.partition == "slow" {
            slow.push(run);
        } else {
            quick += 1;
            run.end(Outcome::Done);
        }
    }
    for left in (2..=19).rev() {
        let table = until(&database, |items| items.len() == left).await;
        let leased = table.iter().filter(|item| item.leased_until.is_some());
        assert!(leased.count() <= AHEAD * 2, "{table:#?}");
        assert!(node.begun.try_recv().is_err(), "more than two run");
        slow.remove(0).end(Outcome::Done);
        if left > 2 {
            slow.push(node.next().await);
        }
    }
    slow.remove(0).end(Outcome::Done);
    until(&database, <[Job]>::is_empty).await;
}

#[tokio::test]
async fn a_partition_can_be_cleared_and_its_dead_letters_redriven() {
    let database = database().await;
    let mut node = Node::start(&database);
    schedule(&database, &[item(1, "left"), item(2, "right")]).await;
    for _ in 0..2 {
        node.next().await.end(Outcome::DeadLetter("closed".into()));
    }
    until(&database, |items| items.iter().all(|item| item.dead_letter)).await;
    let client = database.session(Purpose::Queries).await.unwrap();
    jobs::redrive_partition(&**client, &partition("left"))
        .await
        .unwrap();
    let run = node.next().await;
    assert_eq!(run.item.id, Uuid::from_u128(1));
    run.end(Outcome::Done);
    until(&database, |items| items.len() == 1).await;
    jobs::clear_partition(&**client, &partition("right"))
        .await
        .unwrap();
    assert_eq!(items(&database).await, []);
}

#[tokio::test]
async fn two_nodes_never_run_one_item_at_once() {
    let database = database().await;
    let mut nodes = [Node::start(&database), Node::start(&database)];
    // As many as both nodes can run: each must take its part. Each job has its own partition, as no partition may fill a node.
    let all: Vec<NewJob> = (0..16).map(|n| item(n, &n.to_string())).collect();
    schedule(&database, &all).await;
    let mut runs = Vec::new();
    for node in &mut nodes {
        for _ in 0..8 {
            runs.push(node.next().await);
        }
    }
    let begun: HashSet<Uuid> = runs.iter().map(|run| run.item.id).collect();
    assert_eq!(begun.len(), 16);
    for run in runs {
        run.end(Outcome::Done);
    }
    until(&database, <[Job]>::is_empty).await;
}

#[tokio::test]
async fn of_many_who_claim_at_the_same_moment_each_gets_other_items() {
    let database = database().await;
    let all: Vec<NewJob> = (0..200).map(|n| item(n, &(n % 7).to_string())).collect();
    schedule(&database, &all).await;
    let mut claimed = HashSet::new();
    while claimed.len() < all.len() {
        let claims = futures::future::join_all((0..16).map(|_| claim(&database, 5))).await;
        for item in claims.into_iter().flatten() {
            assert!(claimed.insert(item.id), "{} was claimed twice", item.id);
        }
    }
    assert_eq!(claim(&database, 5).await, []);
}

#[tokio::test]
async fn a_node_that_is_told_to_stop_ends_what_is_under_way_and_begins_nothing_more() {
    let database = database().await;
    let mut node = Node::with_limits(&database, 1, 1);
    schedule(&database, &[item(1, ""), item(2, "")]).await;
    let run = node.next().await;
    node.shutdown.cancel();
    assert!(!node.task.is_finished());
    run.end(Outcome::Done);
    node.task.await.unwrap();
    let left = items(&database).await;
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].leased_until, left[0].attempts), (None, 0));
}

#[tokio::test]
async fn what_was_claimed_ahead_and_has_not_begun_is_given_back() {
    let database = database().await;
    // Enough places that a partition may claim ahead.
    let mut node = Node::with_limits(&database, 16, 1);
    schedule(&database, &[item(1, "partition"), item(2, "partition")]).await;
    let run = node.next().await;
    until(&database, |items| {
        items.iter().all(|item| item.leased_until.is_some())
    })
    .await;
    node.shutdown.cancel();
    run.end(Outcome::Done);
    node.task.await.unwrap();
    let left = items(&database).await;
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].leased_until, left[0].attempts), (None, 0));
    assert!(node.begun.try_recv().is_err(), "nothing more has begun");
}

#[tokio::test]
async fn every_lane_is_found_however_many_there_are() {
    let database = database().await;
    let partitions = usize::try_from(3 * jobs::LOOK + 1).unwrap();
    let all: Vec<NewJob> = (0..partitions)
        .map(|n| item(n as u128, &format!("{n:04}")))
        .collect();
    schedule(&database, &all).await;
    let mut node = Node::start(&database);
    let mut begun = HashSet::new();
    while begun.len() < partitions {
        let run = node.next().await;
        begun.insert(run.item.partition.clone());
        run.end(Outcome::Done);
    }
    until(&database, <[Job]>::is_empty).await;
}
