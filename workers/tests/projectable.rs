//! Every event that the log accepts can be applied by every read model and every reaction.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use blobs::{Blobs, Place};
use commands::{Executor, Secrets};
use domain::knowledge::artifact::Artifact;
use domain::knowledge::task::Task;
use domain::{Actor, Aggregate, Contract, StreamId, contracts, event_types};
use projections::{MemoryBudget, Readers, Report, Runtime, models, quarantined, rebuild};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use store::{
    Append, Database, EventStore, Filter, Metadata, NewEvent, Position, PostgresStore, testing,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use workers::{WorkerContext, Workers, file, webhook};

const PRODUCT: Uuid = Uuid::from_u128(9);
const WORKSPACE: Uuid = Uuid::from_u128(1);
/// Streams of each category.
const STREAMS: u128 = 12;
/// Events of each category per append, and number of rounds: rows are read, changed and written again.
const EVENTS: usize = 24;
const ROUNDS: usize = 8;
/// Number of five-second waits until a read model has applied so many events.
const PATIENCE: usize = 6;

/// Returns the strategy of an append to a category: events in any order, because impossible sequences must not stop a
/// consumer either.
fn append(contract: &Contract) -> BoxedStrategy<Vec<NewEvent>> {
    let category = contract.category;
    let event = (0..STREAMS, (contract.tests.events)()).prop_map(|(n, event)| {
        let contract = (event.event_type, event.version);
        new_event(stream(category, n), contract, event.data)
    });
    vec(event, EVENTS).boxed()
}

/// Returns a stream id. Events refer to other streams by the lowest ids. Searchable documents have distinct ids, as in production.
fn stream(category: &str, n: u128) -> StreamId {
    let kind = match category {
        Task::CATEGORY => 1,
        Artifact::CATEGORY => 2,
        _ => 0,
    };
    StreamId::new(category, Uuid::from_u128(n + (kind << 64)))
}

fn new_event(
    stream: StreamId,
    (event_type, contract_version): (&str, u16),
    data: String,
) -> NewEvent {
    NewEvent {
        stream,
        event_id: Uuid::now_v7(),
        event_type: event_type.into(),
        contract_version,
        data,
        metadata: Metadata {
            actor: Actor::SYSTEM,
            credential: None,
            on_behalf_of: None,
            command: String::new(),
            command_key: None,
            reason: None,
            traceparent: None,
        },
        correlation_id: Uuid::nil(),
        causation_id: None,
        workspace_id: Some(WORKSPACE),
    }
}

/// Uses the same events in every run, unless `PROPTEST_RNG_SEED` is set.
fn runner() -> TestRunner {
    let config = Config::default();
    TestRunner::new(Config {
        rng_seed: match config.rng_seed {
            RngSeed::Random => RngSeed::Fixed(0),
            fixed @ RngSeed::Fixed(_) => fixed,
        },
        ..config
    })
}

/// A node with every read model and reaction.
struct Node {
    database: Database,
    store: Arc<dyn EventStore>,
    consumers: Vec<(&'static str, Readers)>,
    shutdown: CancellationToken,
}

impl Node {
    async fn start() -> Self {
        let database = Database::open(testing::database().await).await.unwrap();
        let store: Arc<dyn EventStore> = PostgresStore::open(database.clone()).await.unwrap();
        let mut runtime = Runtime::new(database.clone(), Arc::clone(&store));
        let models = runtime.add(models());
        let context = WorkerContext {
            database: database.clone(),
            store: Arc::clone(&store),
            executor: Arc::new(Executor::new(Arc::clone(&store))),
        };
        let webhooks = webhook::Settings {
            secrets: Secrets::new([0; 32]),
            schedule: webhook::Schedule::default(),
            allow_private: false,
            timeout: Duration::from_secs(1),
        };
        let place = Place {
            url: testing::directory().display().to_string(),
            ..Place::default()
        };
        let files = file::Settings {
            blobs: Blobs::open(&place).unwrap(),
            sweep_interval: Duration::from_hours(1),
            sweep_grace: Duration::from_hours(1),
        };
        let reactions = Workers::new(context, webhooks, files).consumers(&models);
        let reactions = runtime.add(reactions);
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        runtime.start(&tasks, &shutdown);
        let consumers = [models, reactions].into_iter().flat_map(|readers| {
            let health = readers.health().into_iter();
            health.map(move |one| (one.name, readers.clone()))
        });
        let consumers = consumers.collect();
        Self {
            database,
            store,
            consumers,
            shutdown,
        }
    }

    async fn append(&self, events: Vec<NewEvent>) -> Position {
        let append = Append {
            product_id: PRODUCT,
            expectations: vec![],
            events,
            receipt: None,
        };
        self.store.append(append).await.unwrap().position
    }

    async fn settle(&self, position: Position) {
        for (name, readers) in &self.consumers {
            let mut waited = readers.wait(name, position).await;
            for _ in 1..PATIENCE {
                if waited.is_err() {
                    waited = readers.wait(name, position).await;
                }
            }
            waited.unwrap();
        }
    }

    /// Rebuilds every read model, and asserts that it equals the live one.
    async fn rebuild(&self, memory: &MemoryBudget) -> Vec<Report> {
        let models = models();
        let reports = rebuild(&self.database, &self.store, &models, false, memory).await;
        let reports = reports.unwrap();
        for report in &reports {
            assert!(report.compared && report.differences == 0, "{report:#?}");
        }
        reports
    }

    /// Describes each stream in quarantine with the reason.
    async fn held(&self) -> Vec<String> {
        let mut reasons = vec![];
        for held in quarantined(&self.database).await.unwrap() {
            let (after, filter) = (held.position - 1, Filter::default());
            let mut page = self.store.read_all(after, &filter, 1).await.unwrap();
            let event = page.events.remove(0);
            let data = event.data.chars().take(1_000).collect::<String>();
            reasons.push(format!(
                "{}: {} {data}: {}",
                held.consumer, event.event_type, held.reason
            ));
        }
        reasons
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_that_the_log_takes_can_be_projected() {
    let appends: Vec<_> = contracts().iter().map(append).collect();
    let mut runner = runner();
    let node = Node::start().await;
    let mut types = BTreeSet::new();
    for _ in 0..ROUNDS {
        let mut position = 0;
        for append in &appends {
            let events = append.new_tree(&mut runner).unwrap().current();
            types.extend(events.iter().map(|event| event.event_type.clone()));
            position = node.append(events).await;
        }
        node.settle(position).await;
    }
    let held = node.held().await;
    assert!(
        held.is_empty(),
        "{} streams:\n{}",
        held.len(),
        held.join("\n")
    );
    let missing: Vec<_> = event_types()
        .filter(|known| !types.contains(*known))
        .collect();
    assert!(
        missing.is_empty(),
        "never generated: {missing:?}; raise ROUNDS in {}",
        file!()
    );

    // In memory, and with no memory budget.
    for memory in [MemoryBudget::default(), MemoryBudget::of(0)] {
        for report in node.rebuild(&memory).await {
            assert!(report.quarantined.is_empty(), "{report:#?}");
        }
    }
    // Appends one unknown event type per category.
    let unheard = contracts().into_iter().map(|contract| {
        let stream = StreamId::new(contract.category, Uuid::max());
        new_event(stream, ("thing.happened", 1), "{}".into())
    });
    let position = node.append(unheard.collect()).await;
    node.settle(position).await;
    for (model, report) in models()
        .iter()
        .zip(node.rebuild(&MemoryBudget::default()).await)
    {
        assert_eq!(
            report.quarantined.len(),
            model.categories().len(),
            "{report:#?}"
        );
    }
    node.shutdown.cancel();
}
