//! Events for deliveries, read and cached page by page: the next delivery is most likely about the next event.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use store::{EventStore, Filter, Position, ReadError, Recorded};
use tokio::sync::Mutex;

/// Capacity of the cache in bytes.
const BYTES: u64 = 8 << 20;
/// Bytes per event, besides its payload.
const OVERHEAD: usize = 512;
/// Number of events that are read together.
const PAGE: usize = 128;

#[derive(Clone)]
struct Bytewise;

impl Weighter<Position, Arc<Recorded>> for Bytewise {
    fn weight(&self, _: &Position, event: &Arc<Recorded>) -> u64 {
        (event.data.len() + OVERHEAD) as u64
    }
}

pub struct Events {
    store: Arc<dyn EventStore>,
    kept: Cache<Position, Arc<Recorded>, Bytewise>,
    /// One reader reads a page for all.
    reading: Mutex<()>,
}

impl Events {
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            kept: Cache::with_weighter(BYTES as usize / OVERHEAD, BYTES, Bytewise),
            reading: Mutex::default(),
        }
    }

    pub async fn at(&self, position: Position) -> Result<Option<Arc<Recorded>>, ReadError> {
        if let Some(event) = self.kept.get(&position) {
            return Ok(Some(event));
        }
        let _turn = self.reading.lock().await;
        if let Some(event) = self.kept.get(&position) {
            return Ok(Some(event));
        }
        let page = self
            .store
            .read_all(position - 1, &Filter::default(), PAGE)
            .await?;
        let mut wanted = None;
        for event in page.events.into_iter().map(Arc::new) {
            if event.position == position {
                wanted = Some(Arc::clone(&event));
            }
            self.kept.insert(event.position, event);
        }
        Ok(wanted)
    }
}
