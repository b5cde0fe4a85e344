//! Loads current states, folded from their streams, and caches recent ones.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Aggregate, StreamId};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Weighter};
use store::{Direction, EventStore, Filter, Position, Recorded, heavy, is_last, payload};
use uuid::Uuid;

use crate::CommandError;

/// Memory budget of the cache, in bytes of payloads.
const CACHE_BYTES: u64 = 64 << 20;
/// Memory budget of the states that are ahead of the log.
const IN_FLIGHT_BYTES: u64 = 16 << 20;
/// Overhead of a cached state besides its payload.
const ENTRY_BYTES: u64 = 512;
/// Weight of a state with a long history of small events.
const LONG_HISTORY_BYTES: u64 = 256 << 10;
const PAGE: usize = 500;

/// A state with the version it was folded up to.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    pub id: Uuid,
    pub state: A,
    /// Version of the stream; 0: it has no events.
    pub version: i64,
    /// Id of the product that owns the stream, even if the state is absent for another product; none if there are no
    /// events.
    pub product_id: Option<Uuid>,
    /// Id of the workspace that the subject is in, or was in when it was deleted.
    pub workspace_id: Option<Uuid>,
    pub(crate) last_event: Option<Uuid>,
    /// Position up to which the log has no newer event of the stream.
    pub(crate) as_of: Position,
    /// True if its last events are in flight and may not reach the log.
    pub(crate) in_flight: bool,
    pub(crate) bytes: u64,
}

impl<A: Aggregate> Loaded<A> {
    pub(crate) fn empty(id: Uuid) -> Self {
        Self {
            id,
            state: A::default(),
            version: 0,
            product_id: None,
            workspace_id: None,
            last_event: None,
            as_of: 0,
            in_flight: false,
            bytes: ENTRY_BYTES,
        }
    }

    fn apply(mut self, event: &Recorded) -> Result<Self, CommandError> {
        self.state = self.state.evolve(&event.decode::<A::Event>()?);
        self.weigh(&event.data);
        self.version = event.version;
        self.product_id = Some(event.product_id);
        self.workspace_id = event.workspace_id.or(self.workspace_id);
        self.last_event = Some(event.event_id);
        self.as_of = event.position;
        Ok(self)
    }

    /// Adds an event that is not in the log yet; returns the id of the event before it.
    pub(crate) fn stage(&mut self, event: &A::Event, event_id: Uuid, data: &str) -> Option<Uuid> {
        self.state = std::mem::take(&mut self.state).evolve(event);
        self.workspace_id = self.state.workspace(self.id).or(self.workspace_id);
        self.version += 1;
        self.weigh(data);
        self.last_event.replace(event_id)
    }

    /// Estimates the size of a state as the sum of its payloads, with a limit, because most of a long history has been
    /// replaced.
    pub(crate) fn weigh(&mut self, payload: &str) {
        let payload = payload.len() as u64;
        let most = LONG_HISTORY_BYTES.max(self.bytes).max(2 * payload);
        self.bytes = (self.bytes + payload).min(most);
    }

    /// Returns the id of the last event of the state.
    #[must_use]
    pub const fn last_event(&self) -> Option<Uuid> {
        self.last_event
    }

    /// Returns the state as a product sees it: absent if another product owns it.
    #[must_use]
    pub fn seen_by(self, product_id: Uuid) -> Self {
        if self.product_id.is_some_and(|owner| owner != product_id) {
            Self {
                product_id: self.product_id,
                ..Self::empty(self.id)
            }
        } else {
            self
        }
    }
}

/// A cached state of any aggregate.
#[derive(Clone)]
pub(crate) struct Kept {
    state: Arc<dyn Any + Send + Sync>,
    bytes: u64,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<StreamId, Kept> for ByBytes {
    fn weight(&self, _stream: &StreamId, kept: &Kept) -> u64 {
        kept.bytes
    }
}

fn by_bytes(bytes: u64) -> Cache<StreamId, Kept, ByBytes> {
    Cache::with(
        100_000,
        bytes,
        ByBytes,
        DefaultHashBuilder::default(),
        quick_cache::sync::DefaultLifecycle::default(),
    )
}

fn kept<A: Aggregate>(loaded: Loaded<A>) -> Kept {
    Kept {
        bytes: loaded.bytes,
        state: Arc::new(loaded),
    }
}

impl Kept {
    fn loaded<A: Aggregate>(&self) -> Option<&Loaded<A>> {
        self.state.downcast_ref()
    }
}

fn get<A: Aggregate>(cache: &Cache<StreamId, Kept, ByBytes>, id: Uuid) -> Option<Loaded<A>> {
    cache.get(&StreamId::of::<A>(id))?.loaded().cloned()
}

/// Loads states from the log.
pub struct Repository {
    store: Arc<dyn EventStore>,
    /// States as the log has them, or had them.
    cache: Cache<StreamId, Kept, ByBytes>,
    /// States after the appends in flight, so that commands on one stream need not wait for each other.
    in_flight: Cache<StreamId, Kept, ByBytes>,
    order: Mutex<()>,
}

impl Repository {
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            cache: by_bytes(CACHE_BYTES),
            in_flight: by_bytes(IN_FLIGHT_BYTES),
            order: Mutex::default(),
        }
    }

    /// Returns the state that this node knows, if any; another node may have written since.
    pub(crate) fn kept<A: Aggregate>(&self, id: Uuid) -> Option<Loaded<A>> {
        get(&self.cache, id)
    }

    /// Returns the state after the appends in flight, if there are any.
    pub(crate) fn in_flight<A: Aggregate>(&self, id: Uuid) -> Option<Loaded<A>> {
        get(&self.in_flight, id)
    }

    /// Locks the order of appends. The lock is held while an append is announced and handed over, so that the log gets
    /// appends in the order in which they depend on each other, and while the cached states change.
    pub(crate) fn order(&self) -> MutexGuard<'_, ()> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if this node knows no newer version.
    pub(crate) fn is_current<A: Aggregate>(&self, loaded: &Loaded<A>) -> bool {
        let stream = StreamId::of::<A>(loaded.id);
        let known = self
            .in_flight
            .get(&stream)
            .or_else(|| self.cache.get(&stream));
        let known = known.as_ref().and_then(Kept::loaded::<A>);
        if loaded.in_flight {
            known.is_some_and(|known| known.last_event == loaded.last_event)
        } else {
            known.is_none_or(|known| known.version <= loaded.version)
        }
    }

    /// Announces a state whose last events are about to be appended.
    pub(crate) fn announce<A: Aggregate>(&self, loaded: Loaded<A>) {
        let in_flight = Loaded {
            in_flight: true,
            ..loaded
        };
        self.in_flight
            .insert(StreamId::of::<A>(in_flight.id), kept(in_flight));
    }

    /// Discards an announced state whose events did not reach the log; nor will any decided on it.
    pub(crate) fn withdraw(&self, stream: &StreamId) {
        let _order = self.order();
        self.in_flight.remove(stream);
    }

    /// Caches a state that the log has.
    pub(crate) fn keep<A: Aggregate>(&self, loaded: Loaded<A>) {
        let stream = StreamId::of::<A>(loaded.id);
        let _order = self.order();
        let is_later = |other: Option<Loaded<A>>| other.is_some_and(|o| o.version > loaded.version);
        if !is_later(self.in_flight(loaded.id)) {
            self.in_flight.remove(&stream);
        }
        if !is_later(self.kept(loaded.id)) {
            let confirmed = Loaded {
                in_flight: false,
                ..loaded
            };
            self.cache.insert(stream, kept(confirmed));
        }
    }

    /// Returns the state as the log has it now.
    pub async fn latest<A: Aggregate>(&self, id: Uuid) -> Result<Loaded<A>, CommandError> {
        let known = self.kept::<A>(id).unwrap_or_else(|| Loaded::empty(id));
        let head = *self.store.head().borrow();
        let mut loaded = self.advance(known, |_| true).await?;
        loaded.as_of = loaded.as_of.max(head);
        if loaded.version > 0 {
            self.keep(loaded.clone());
        }
        Ok(loaded)
    }

    /// Returns the state that this node knows; events that another node has just appended may be missing. Asks the log
    /// only for events that are not in memory.
    pub async fn recent<A: Aggregate>(&self, id: Uuid) -> Result<Loaded<A>, CommandError> {
        let Some(mut loaded) = self.kept::<A>(id).filter(|kept| kept.as_of > 0) else {
            return self.latest(id).await;
        };
        let filter = Filter {
            stream: Some(StreamId::of::<A>(id)),
            ..Filter::default()
        };
        let head = *self.store.head().borrow();
        let page = self.store.read_all(loaded.as_of, &filter, PAGE).await?;
        if page.scanned_to < head {
            return self.latest(id).await;
        }
        for event in &page.events {
            if event.version > loaded.version {
                loaded = loaded.apply(event)?;
            }
        }
        loaded.as_of = page.scanned_to;
        self.keep(loaded.clone());
        Ok(loaded)
    }

    /// Assumes that an unknown stream has no events. If it has, the first append to it fails with a conflict.
    pub fn expect_new<A: Aggregate>(&self, id: Uuid) {
        if self.kept::<A>(id).is_none() {
            self.keep(Loaded::<A>::empty(id));
        }
    }

    /// Returns the state at a version, or the current state if it has not reached that version.
    pub async fn at_version<A: Aggregate>(
        &self,
        id: Uuid,
        version: i64,
    ) -> Result<Loaded<A>, CommandError> {
        self.advance(Loaded::empty(id), |event| event.version <= version)
            .await
    }

    /// Returns the state at a position of the log.
    pub(crate) async fn at_position<A: Aggregate>(
        &self,
        id: Uuid,
        position: Position,
    ) -> Result<Loaded<A>, CommandError> {
        self.advance(Loaded::empty(id), |event| event.position <= position)
            .await
    }

    /// Returns the names of the commands that produced a stream's events after a version; at most a page, and fewer if
    /// they are large.
    pub(crate) async fn commands_after<A: Aggregate>(
        &self,
        id: Uuid,
        version: i64,
    ) -> Result<Vec<String>, CommandError> {
        let stream = StreamId::of::<A>(id);
        let page = self
            .store
            .read_stream(&stream, version, Direction::Forwards, PAGE)
            .await?;
        Ok(page.into_iter().map(|e| e.metadata.command).collect())
    }

    /// Folds the next events into the state while they belong to the requested range.
    async fn advance<A: Aggregate>(
        &self,
        mut loaded: Loaded<A>,
        belongs: impl Fn(&Recorded) -> bool + Send + Sync,
    ) -> Result<Loaded<A>, CommandError> {
        let stream = StreamId::of::<A>(loaded.id);
        loop {
            let page = self
                .store
                .read_stream(&stream, loaded.version, Direction::Forwards, PAGE)
                .await?;
            let mut wanted = page.iter().take_while(|event| belongs(event));
            let fold = || wanted.try_fold(loaded, Loaded::apply);
            loaded = heavy(payload(&page), fold).await??;
            let is_read = page.last().is_none_or(|last| last.version > loaded.version);
            if is_last(&page, PAGE) || is_read {
                return Ok(loaded);
            }
        }
    }
}

#[cfg(test)]
#[path = "repository_tests.rs"]
mod tests;
