//! Builders for appends, and assertions about every log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use domain::{Actor, ActorKind, StreamId};
use store::{
    Append, AppendError, Appended, Direction, EventStore, Expected, Filter, Metadata, NewEvent,
    Position, ReceiptKey, Recorded,
};
use uuid::Uuid;

pub const PRODUCT: Uuid = Uuid::from_u128(0xda1b);
pub const PERSON: Actor = Actor {
    kind: ActorKind::Person,
    id: Uuid::from_u128(1),
};

/// Fails a test that would wait for ever. No test should come near the limit.
pub async fn in_time<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), test)
        .await
        .expect("the test waits for what never comes")
}

/// Returns the id of a new stream.
pub fn new_stream() -> StreamId {
    StreamId::new("note", Uuid::now_v7())
}

pub fn event(stream: &StreamId) -> NewEvent {
    NewEvent {
        stream: stream.clone(),
        event_id: Uuid::now_v7(),
        event_type: "note.revised".into(),
        contract_version: 1,
        data: r#"{"title":"Shopping"}"#.into(),
        metadata: Metadata {
            actor: PERSON,
            credential: None,
            on_behalf_of: None,
            command: "note.revise".into(),
            command_key: None,
            reason: None,
            traceparent: None,
        },
        correlation_id: Uuid::now_v7(),
        causation_id: None,
        workspace_id: None,
    }
}

pub fn event_with_data(stream: &StreamId, data: impl Into<String>) -> NewEvent {
    NewEvent {
        data: data.into(),
        ..event(stream)
    }
}

pub fn append(events: impl IntoIterator<Item = NewEvent>) -> Append {
    Append {
        product_id: PRODUCT,
        expectations: vec![],
        events: events.into_iter().collect(),
        receipt: None,
    }
}

/// Builds an append to one stream.
pub fn append_to(stream: &StreamId, expected: Expected, count: usize) -> Append {
    append((0..count).map(|_| event(stream))).expecting(stream, expected)
}

pub fn receipt_key(key: u8, stream: &StreamId) -> ReceiptKey {
    ReceiptKey {
        key: [key; 32],
        fingerprint: [key ^ 0xff; 32],
        stream: stream.clone(),
    }
}

pub trait AppendExt {
    fn expecting(self, stream: &StreamId, expected: Expected) -> Self;
    fn with_receipt(self, key: ReceiptKey) -> Self;
    fn event_ids(&self) -> Vec<Uuid>;
}

impl AppendExt for Append {
    fn expecting(mut self, stream: &StreamId, expected: Expected) -> Self {
        self.expectations.push((stream.clone(), expected));
        self
    }

    fn with_receipt(mut self, key: ReceiptKey) -> Self {
        self.receipt = Some(key);
        self
    }

    fn event_ids(&self) -> Vec<Uuid> {
        self.events.iter().map(|event| event.event_id).collect()
    }
}

/// Appends `count` events at any version of the stream.
pub async fn given(store: &dyn EventStore, stream: &StreamId, count: usize) -> Appended {
    store
        .append(append_to(stream, Expected::Any, count))
        .await
        .unwrap()
}

pub async fn version_of(store: &dyn EventStore, stream: &StreamId) -> i64 {
    store
        .read_stream(stream, 0, Direction::Backwards, 1)
        .await
        .unwrap()
        .first()
        .map_or(0, |last| last.version)
}

/// Reads all matching events, page by page, up to the head that the node knows.
pub async fn read(store: &dyn EventStore, filter: &Filter, page: usize) -> Vec<Recorded> {
    let head = *store.head().borrow();
    let (mut after, mut events) = (0, vec![]);
    while after < head {
        let page = store.read_all(after, filter, page).await.unwrap();
        assert!(page.scanned_to > after, "a page gets on");
        after = page.scanned_to;
        events.extend(page.events);
    }
    events
}

/// Reads the whole log, and asserts that it is sound.
pub async fn log(store: &dyn EventStore) -> Vec<Recorded> {
    let log = read(store, &Filter::default(), 1000).await;
    assert_sound(&log);
    log
}

pub async fn until_head(store: &dyn EventStore, position: Position) {
    store
        .head()
        .wait_for(|head| *head >= position)
        .await
        .unwrap();
}

/// Asserts that a log has no gaps and no duplicates, and that its times never decrease.
#[track_caller]
pub fn assert_sound(log: &[Recorded]) {
    let (mut versions, mut ids) = (HashMap::new(), HashSet::new());
    for (event, position) in log.iter().zip(1..) {
        let version = versions.entry(&event.stream).or_insert(0);
        *version += 1;
        assert_eq!(event.position, position, "positions have no gap");
        assert_eq!(event.version, *version, "versions have no gap");
        assert!(ids.insert(event.event_id), "no event is there twice");
    }
    assert!(log.is_sorted_by_key(|event| event.recorded_at));
}

/// Asserts that every acknowledged append is in the log as acknowledged, and nothing else.
#[track_caller]
pub fn assert_holds_exactly(log: &[Recorded], acknowledged: &[(Append, Appended)]) {
    let placed: HashMap<Uuid, (Position, i64)> = log
        .iter()
        .map(|event| (event.event_id, (event.position, event.version)))
        .collect();
    for (append, appended) in acknowledged {
        let found: Vec<_> = append
            .event_ids()
            .iter()
            .filter_map(|id| placed.get(id).copied())
            .collect();
        assert_eq!(found, appended.placed);
    }
    let events: usize = acknowledged
        .iter()
        .map(|(append, _)| append.events.len())
        .sum();
    assert_eq!(log.len(), events);
}

/// Runs appends concurrently, each in a task of its own.
pub async fn append_at_once(
    nodes: &[Arc<dyn EventStore>],
    appends: impl IntoIterator<Item = Append>,
) -> Vec<(Append, Result<Appended, AppendError>)> {
    let tasks: Vec<_> = appends
        .into_iter()
        .zip(nodes.iter().cycle().cloned())
        .map(|(append, node)| {
            tokio::spawn(async move {
                let outcome = node.append(append.clone()).await;
                (append, outcome)
            })
        })
        .collect();
    futures::future::try_join_all(tasks).await.unwrap()
}
