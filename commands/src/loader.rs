//! Current states, folded from their streams; recent ones are kept.

use std::any::Any;
use std::sync::Arc;

use domain::{Aggregate, StreamId};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Weighter};
use store::{Direction, EventStore, Recorded};
use uuid::Uuid;

use crate::CommandError;

/// Payload bytes behind the states that are kept.
const CACHE_BYTES: u64 = 64 << 20;
/// What a kept state costs beside its payload.
const ENTRY_BYTES: u64 = 512;
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
    pub(crate) last_event: Option<Uuid>,
    pub(crate) bytes: u64,
}

impl<A: Aggregate> Loaded<A> {
    pub(crate) fn empty(id: Uuid) -> Self {
        Self {
            id,
            state: A::default(),
            version: 0,
            product_id: None,
            last_event: None,
            bytes: ENTRY_BYTES,
        }
    }

    fn apply(mut self, event: &Recorded) -> Result<Self, CommandError> {
        self.state = self.state.evolve(&event.decode::<A::Event>()?);
        self.bytes += event.data.len() as u64;
        self.version = event.version;
        self.product_id = Some(event.product_id);
        self.last_event = Some(event.event_id);
        Ok(self)
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

/// Loads states from the log.
pub struct Loader {
    store: Arc<dyn EventStore>,
    cache: Cache<StreamId, Kept, ByBytes>,
}

impl Loader {
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            cache: Cache::with(
                100_000,
                CACHE_BYTES,
                ByBytes,
                DefaultHashBuilder::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            ),
        }
    }

    /// The state as this node last knew it, if it does; another node may have moved on.
    pub(crate) fn kept<A: Aggregate>(&self, id: Uuid) -> Option<Loaded<A>> {
        let kept = self.cache.get(&StreamId::of::<A>(id))?;
        kept.state.downcast_ref::<Loaded<A>>().cloned()
    }

    pub(crate) fn keep<A: Aggregate>(&self, loaded: Loaded<A>) {
        let kept = Kept {
            bytes: loaded.bytes,
            state: Arc::new(loaded.clone()),
        };
        self.cache.insert(StreamId::of::<A>(loaded.id), kept);
    }

    /// The state as the log has it now.
    pub async fn latest<A: Aggregate>(&self, id: Uuid) -> Result<Loaded<A>, CommandError> {
        let known = self.kept::<A>(id).unwrap_or_else(|| Loaded::empty(id));
        let before = known.version;
        let loaded = self.advance(known).await?;
        if loaded.version > before {
            self.keep(loaded.clone());
        }
        Ok(loaded)
    }

    async fn advance<A: Aggregate>(
        &self,
        mut loaded: Loaded<A>,
    ) -> Result<Loaded<A>, CommandError> {
        let stream = StreamId::of::<A>(loaded.id);
        loop {
            let page = self
                .store
                .read_stream(&stream, loaded.version, Direction::Forwards, PAGE)
                .await?;
            for event in &page {
                loaded = loaded.apply(event)?;
            }
            if page.len() < PAGE {
                return Ok(loaded);
            }
        }
    }
}
