//! Current states, folded from their streams; recent ones are kept.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Aggregate, StreamId};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Weighter};
use store::{Direction, EventStore, Filter, Position, Recorded, heavy, is_last, payload};
use uuid::Uuid;

use crate::CommandError;

/// Payload bytes behind the states that are kept.
const CACHE_BYTES: u64 = 64 << 20;
/// The same for states that are ahead of the log.
const IN_FLIGHT_BYTES: u64 = 16 << 20;
/// What a kept state costs beside its payload.
const ENTRY_BYTES: u64 = 512;
/// What a state with a long history of small events counts as.
const LONG_HISTORY_BYTES: u64 = 256 << 10;
const PAGE: usize = 500;

/// A state with the version it was folded up to.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    pub id: Uuid,
    pub state: A,
    /// 0: nothing happened yet.
    pub version: i64,
    /// Whose it is, also where it is absent because another product sees it; none where nothing happened yet.
    pub product_id: Option<Uuid>,
    /// The workspace that it is in, or was in when it ended.
    pub workspace_id: Option<Uuid>,
    pub(crate) last_event: Option<Uuid>,
    /// Up to here the log has nothing newer.
    pub(crate) as_of: Position,
    /// Its last events are on their way into the log, and may not arrive.
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

    /// Adds an event that is not in the log yet; returns the one before it.
    pub(crate) fn stage(&mut self, event: &A::Event, event_id: Uuid, data: &str) -> Option<Uuid> {
        self.state = std::mem::take(&mut self.state).evolve(event);
        self.workspace_id = self.state.workspace(self.id).or(self.workspace_id);
        self.version += 1;
        self.weigh(data);
        self.last_event.replace(event_id)
    }

    /// Takes a state to be as large as all the payloads behind it. Of a long history most has been replaced.
    pub(crate) fn weigh(&mut self, payload: &str) {
        let payload = payload.len() as u64;
        let most = LONG_HISTORY_BYTES.max(self.bytes).max(2 * payload);
        self.bytes = (self.bytes + payload).min(most);
    }

    /// The event that made the state what it is.
    #[must_use]
    pub const fn last_event(&self) -> Option<Uuid> {
        self.last_event
    }

    /// The same thing as another product sees it: absent.
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

/// A kept state of any aggregate.
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
    /// As the log has them, or had them.
    cache: Cache<StreamId, Kept, ByBytes>,
    /// As they will be once the appends under way have arrived: commands on one stream need not wait for each other.
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

    /// The state as this node last knew it, if it does; another node may have moved on.
    pub(crate) fn kept<A: Aggregate>(&self, id: Uuid) -> Option<Loaded<A>> {
        get(&self.cache, id)
    }

    /// The state as the appends under way will make it, if there are any.
    pub(crate) fn in_flight<A: Aggregate>(&self, id: Uuid) -> Option<Loaded<A>> {
        get(&self.in_flight, id)
    }

    /// Held while an append is announced and handed over, so that the log gets appends in the order in which they were decided
    /// on each other, and while what is known changes.
    pub(crate) fn order(&self) -> MutexGuard<'_, ()> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is known of the stream that a state was loaded without.
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

    /// What was announced did not arrive, and nothing that was decided on it will.
    pub(crate) fn withdraw(&self, stream: &StreamId) {
        let _order = self.order();
        self.in_flight.remove(stream);
    }

    /// Remembers a state that the log has.
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

    /// The state as the log has it now.
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

    /// The state as this node has heard of it: what another node has just appended may be missing. Asks the log only for
    /// what is not remembered.
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

    /// Takes a stream of which nothing is known to have no event yet. If it has, the first append to it finds out.
    pub fn expect_new<A: Aggregate>(&self, id: Uuid) {
        if self.kept::<A>(id).is_none() {
            self.keep(Loaded::<A>::empty(id));
        }
    }

    /// The state as it was right after a version, or is, if it has not come so far.
    pub async fn at_version<A: Aggregate>(
        &self,
        id: Uuid,
        version: i64,
    ) -> Result<Loaded<A>, CommandError> {
        self.advance(Loaded::empty(id), |event| event.version <= version)
            .await
    }

    /// The state as it was at a position of the log.
    pub(crate) async fn at_position<A: Aggregate>(
        &self,
        id: Uuid,
        position: Position,
    ) -> Result<Loaded<A>, CommandError> {
        self.advance(Loaded::empty(id), |event| event.position <= position)
            .await
    }

    /// The names of the commands that a stream's events after a version come from; at most a page of them, and fewer where they are large.
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

    /// The state after the events that come next and belong to the stretch asked for.
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
mod tests {
    use domain::knowledge::note::Note;

    use super::*;

    #[test]
    fn a_long_history_weighs_no_more_than_a_state_can_be() {
        let mut loaded = Loaded::<Note>::empty(Uuid::nil());
        loaded.weigh(&"x".repeat(1_000));
        assert_eq!(loaded.bytes, ENTRY_BYTES + 1_000);
        for _ in 0..100_000 {
            loaded.weigh(&"x".repeat(1_000));
        }
        assert_eq!(loaded.bytes, LONG_HISTORY_BYTES);
        loaded.weigh(&"x".repeat(1 << 20));
        assert_eq!(loaded.bytes, LONG_HISTORY_BYTES + (1 << 20));
    }
}
