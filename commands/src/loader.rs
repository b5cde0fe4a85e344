//! Current and past states, folded from their streams; recent ones are kept.

use std::any::Any;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{Actor, Aggregate, StreamId};
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Weighter};
use store::{Direction, EventStore, Position, ReadError, Recorded};
use uuid::Uuid;

use crate::CommandError;

/// Payload bytes behind the states that are kept.
const CACHE_BYTES: u64 = 64 << 20;
/// What a kept state costs beside its payload.
const ENTRY_BYTES: u64 = 512;
const PAGE: usize = 500;

/// What every stream tells about its thing, whatever it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub product_id: Uuid,
    pub created_at: DateTime<Utc>,
    pub created_by: Actor,
    /// Of the first event.
    pub created_position: Position,
    pub updated_at: DateTime<Utc>,
    pub updated_by: Actor,
    /// Of the last event.
    pub position: Position,
}

/// A state with the version it was folded up to.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    pub id: Uuid,
    pub state: A,
    /// 0: nothing happened yet.
    pub version: i64,
    /// None where nothing happened yet.
    pub facts: Option<Facts>,
    pub(crate) bytes: u64,
}

impl<A: Aggregate> Loaded<A> {
    pub(crate) fn empty(id: Uuid) -> Self {
        Self {
            id,
            state: A::default(),
            version: 0,
            facts: None,
            bytes: ENTRY_BYTES,
        }
    }

    fn apply(mut self, event: &Recorded) -> Result<Self, CommandError> {
        self.state = self.state.evolve(&event.decode::<A::Event>()?);
        self.bytes += event.data.len() as u64;
        self.note(
            event.product_id,
            event.metadata.actor,
            event.version,
            event.position,
            event.recorded_at,
        );
        Ok(self)
    }

    pub(crate) fn note(
        &mut self,
        product_id: Uuid,
        actor: Actor,
        version: i64,
        position: Position,
        at: DateTime<Utc>,
    ) {
        self.version = version;
        let facts = self.facts.get_or_insert(Facts {
            product_id,
            created_at: at,
            created_by: actor,
            created_position: position,
            updated_at: at,
            updated_by: actor,
            position,
        });
        facts.updated_at = at;
        facts.updated_by = actor;
        facts.position = position;
    }

    /// The same thing as another product sees it: absent.
    #[must_use]
    pub fn seen_by(self, product_id: Uuid) -> Self {
        match &self.facts {
            Some(facts) if facts.product_id != product_id => Self::empty(self.id),
            Some(_) | None => self,
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
        let loaded = self.advance(known, |_| true).await?;
        if loaded.version > before {
            self.keep(loaded.clone());
        }
        Ok(loaded)
    }

    /// The state right after a version.
    pub async fn at_version<A: Aggregate>(
        &self,
        id: Uuid,
        version: i64,
    ) -> Result<Loaded<A>, CommandError> {
        let known = self
            .kept::<A>(id)
            .filter(|kept| kept.version <= version)
            .unwrap_or_else(|| Loaded::empty(id));
        if known.version == version {
            return Ok(known);
        }
        self.advance(known, |event| event.version <= version).await
    }

    /// The state as it was when the predicate last held for its events, in order.
    pub async fn as_of<A: Aggregate>(
        &self,
        id: Uuid,
        holds: impl Fn(&Recorded) -> bool + Send,
    ) -> Result<Loaded<A>, CommandError> {
        self.advance(Loaded::empty(id), holds).await
    }

    /// Every event of a stream.
    pub async fn history<A: Aggregate>(&self, id: Uuid) -> Result<Vec<Recorded>, ReadError> {
        let stream = StreamId::of::<A>(id);
        let mut events = Vec::new();
        loop {
            let from = events.last().map_or(0, |event: &Recorded| event.version);
            let page = self
                .store
                .read_stream(&stream, from, Direction::Forwards, PAGE)
                .await?;
            let more = page.len() == PAGE;
            events.extend(page);
            if !more {
                return Ok(events);
            }
        }
    }

    async fn advance<A: Aggregate>(
        &self,
        mut loaded: Loaded<A>,
        holds: impl Fn(&Recorded) -> bool + Send,
    ) -> Result<Loaded<A>, CommandError> {
        let stream = StreamId::of::<A>(loaded.id);
        loop {
            let page = self
                .store
                .read_stream(&stream, loaded.version, Direction::Forwards, PAGE)
                .await?;
            for event in &page {
                if !holds(event) {
                    return Ok(loaded);
                }
                loaded = loaded.apply(event)?;
            }
            if page.len() < PAGE {
                return Ok(loaded);
            }
        }
    }
}
