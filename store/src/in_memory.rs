//! The log in memory, for tests of code that appends and reads. It is lost with its last clone.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use domain::StreamId;
use futures::future::BoxFuture;
use serde::de::IgnoredAny;
use tokio::sync::watch;
use tokio::task::yield_now;
use uuid::Uuid;

use crate::event_store::PAGE_BYTES;
use crate::{
    Append, AppendError, Appended, Direction, EventStore, Expected, Filter, NewEvent, Page,
    Position, ReadError, Receipt, ReceiptKey, Recorded,
};

/// Positions that one read of the log examines: so few that tests come upon pages without events.
const SCAN: usize = 1_000;

/// A log in memory. Clones share the log, like nodes of one database; each of them knows the head at once.
///
/// The outcome of an append is settled when it is called. Each call then yields once, so that tasks interleave as they do
/// on a database.
#[derive(Clone, Default)]
pub struct InMemoryStore {
    log: Arc<Mutex<Log>>,
    head: Arc<watch::Sender<Position>>,
}

impl InMemoryStore {
    /// Creates an empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventStore for InMemoryStore {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let mut log = self.log();
        let outcome = log.append(append);
        // Under the lock, so that the head never goes back.
        self.head.send_replace(log.head());
        drop(log);
        Box::pin(async move {
            yield_now().await;
            outcome
        })
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: i64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        yield_now().await;
        let log = self.log();
        let from = usize::try_from(from).unwrap_or_default();
        let events = log.stream(stream);
        let (events, _) = match direction {
            Direction::Forwards => page(events.skip(from), limit),
            Direction::Backwards if from == 0 => page(events.rev(), limit),
            Direction::Backwards => {
                let before = events.take(from - 1).collect::<Vec<_>>();
                page(before.into_iter().rev(), limit)
            }
        };
        Ok(events)
    }

    async fn read_all(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, ReadError> {
        yield_now().await;
        let log = self.log();
        let first = usize::try_from(after).unwrap_or_default();
        let examined = log.events.iter().skip(first).take(SCAN);
        let end = log.head().min(count(first.saturating_add(SCAN)));
        let (events, full) = page(examined.filter(|event| filter.matches(event)), limit);
        Ok(Page::new(events, full, after, end))
    }

    async fn find(&self, event_id: Uuid) -> Result<Option<Recorded>, ReadError> {
        yield_now().await;
        Ok(self.log().find(event_id).cloned())
    }

    async fn receipt(&self, key: &[u8; 32]) -> Result<Option<Receipt>, ReadError> {
        yield_now().await;
        Ok(self.log().receipts.get(key).cloned())
    }

    async fn read_head(&self) -> Result<Position, ReadError> {
        yield_now().await;
        Ok(self.log().head())
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }
}

#[derive(Default)]
struct Log {
    events: Vec<Recorded>,
    /// Indices of the events of each stream.
    streams: HashMap<StreamId, Vec<usize>>,
    /// Indices of the events by their ids.
    ids: HashMap<Uuid, usize>,
    receipts: HashMap<[u8; 32], Receipt>,
    /// Time of the last append.
    recorded_at: DateTime<Utc>,
}

impl Log {
    fn head(&self) -> Position {
        count(self.events.len())
    }

    fn stream(&self, stream: &StreamId) -> impl DoubleEndedIterator<Item = &Recorded> {
        let indices = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        indices.iter().map(|index| &self.events[*index])
    }

    fn version(&self, stream: &StreamId) -> i64 {
        count(self.streams.get(stream).map_or(0, Vec::len))
    }

    fn find(&self, event_id: Uuid) -> Option<&Recorded> {
        self.ids.get(&event_id).map(|index| &self.events[*index])
    }

    fn append(&mut self, append: Append) -> Result<Appended, AppendError> {
        if let Some(appended) = self.appended_before(&append.events) {
            return Ok(appended);
        }
        if let Some(receipt) = self.repeated(append.receipt.as_ref()) {
            return Err(AppendError::Repeated(Box::new(receipt)));
        }
        for (stream, expected) in append.expectations {
            self.expect(stream, expected)?;
        }
        self.check(&append.events)?;

        self.recorded_at = next_time(self.recorded_at);
        let event_ids = append.events.iter().map(|event| event.event_id).collect();
        let place = |event| self.push(event, append.product_id);
        let placed = append.events.into_iter().map(place).collect();
        if let Some(key) = append.receipt {
            self.keep_receipt(key, event_ids);
        }
        Ok(Appended {
            position: self.head(),
            placed,
            recorded_at: self.recorded_at,
        })
    }

    /// Returns the places of events that are all in the log already.
    fn appended_before(&self, events: &[NewEvent]) -> Option<Appended> {
        let found = events.iter().map(|event| self.find(event.event_id));
        let found = found.collect::<Option<Vec<_>>>()?;
        let last = found.last()?;
        Some(Appended {
            position: last.position,
            placed: found.iter().map(|e| (e.position, e.version)).collect(),
            recorded_at: last.recorded_at,
        })
    }

    fn repeated(&self, key: Option<&ReceiptKey>) -> Option<Receipt> {
        self.receipts.get(&key?.key).cloned()
    }

    fn expect(&self, stream: StreamId, expected: Expected) -> Result<(), AppendError> {
        let last = self.stream(&stream).next_back();
        let actual = last.map_or(0, |last| last.version);
        if expected.holds(actual, last.map(|last| last.event_id)) {
            Ok(())
        } else {
            Err(AppendError::Conflict {
                stream,
                expected,
                actual,
            })
        }
    }

    /// Rejects events that are not JSON, or whose ids are taken.
    fn check(&self, events: &[NewEvent]) -> Result<(), AppendError> {
        let mut ids = HashSet::new();
        for NewEvent { event_id, data, .. } in events {
            if self.ids.contains_key(event_id) || !ids.insert(event_id) {
                let taken = format!("there is an event with the id {event_id} already");
                return Err(AppendError::Rejected(taken));
            }
            serde_json::from_str::<IgnoredAny>(data)
                .map_err(|error| AppendError::Rejected(error.to_string()))?;
        }
        Ok(())
    }

    /// Adds an event; returns its position and version.
    fn push(&mut self, event: NewEvent, product_id: Uuid) -> (Position, i64) {
        let index = self.events.len();
        self.ids.insert(event.event_id, index);
        let indices = self.streams.entry(event.stream.clone()).or_default();
        indices.push(index);
        let place = (count(index + 1), count(indices.len()));
        let recorded = Recorded::placed(event, product_id, place, self.recorded_at);
        self.events.push(recorded);
        place
    }

    fn keep_receipt(&mut self, key: ReceiptKey, event_ids: Vec<Uuid>) {
        let receipt = Receipt {
            fingerprint: key.fingerprint.to_vec(),
            position: self.head(),
            version: self.version(&key.stream),
            stream: key.stream,
            event_ids,
        };
        self.receipts.insert(key.key, receipt);
    }
}

/// Returns at most `limit` events, fewer if they are large; true if more may follow.
fn page<'a>(events: impl Iterator<Item = &'a Recorded>, limit: usize) -> (Vec<Recorded>, bool) {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for event in events.take(limit) {
        page.push(event.clone());
        bytes += event.data.len();
        if bytes > PAGE_BYTES {
            return (page, true);
        }
    }
    let full = page.len() == limit;
    (page, full)
}

/// Returns the time of the next append: the current one, but later than the last, so that times tell appends apart.
fn next_time(last: DateTime<Utc>) -> DateTime<Utc> {
    let now = Utc::now().trunc_subsecs(6);
    now.max(last + TimeDelta::microseconds(1))
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
