//! Resources as of a version, a position or a time: the read model's own `apply`, over one stream.

use std::any::Any;
use std::io;
use std::sync::Arc;

use domain::{ContractError, StreamId};
use quick_cache::sync::Cache;
use serde::Serialize;
use store::{Busy, Direction, EventStore, ReadError, Recorded, heavy, is_last, payload};
use uuid::Uuid;

use crate::read_model::{ReadModel, Row, apply};

/// Number of cached rows, so that the next command on the same resource need not read its stream.
const KEPT: usize = 4_096;
/// Maximum size of a cached row in bytes of JSON: a few larger ones would take all the memory.
const LARGEST: usize = 16 << 10;
const PAGE: usize = 500;

/// Reasons why a view could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The stream could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event of the stream violates its contract.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The server is too busy.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// A row with an upper estimate of its bytes of JSON: those of its events.
#[derive(Clone)]
struct Kept<C> {
    row: Row<C>,
    bytes: usize,
}

/// Makes views of single streams.
pub struct Views {
    store: Arc<dyn EventStore>,
    kept: Cache<StreamId, Arc<dyn Any + Send + Sync>>,
}

impl Views {
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self {
            store,
            kept: Cache::new(KEPT),
        }
    }

    /// Returns the resource right after a version of its stream. `new` are events that a command has just appended: if they
    /// follow the cached row, nothing is read.
    pub async fn at_version<M: ReadModel>(
        &self,
        id: Uuid,
        version: i64,
        new: &[Recorded],
    ) -> Result<Option<Row<M::Content>>, ViewError> {
        let stream = StreamId::new(M::NAME, id);
        let (base, bytes) = self
            .kept::<M>(&stream)
            .filter(|kept| kept.row.metadata.version <= version)
            .map_or((None, 0), |kept| (Some(kept.row), kept.bytes));
        let base_version = base.as_ref().map_or(0, |row| row.metadata.version);
        let next: Vec<&Recorded> = new
            .iter()
            .filter(|event| event.stream == stream && event.version > base_version)
            .collect();
        let complete = i64::try_from(next.len()).is_ok_and(|n| base_version + n == version);
        let (row, bytes) = if complete {
            let more: usize = next.iter().map(|event| event.data.len()).sum();
            (fold::<M>(base, next)?, bytes + more)
        } else {
            let row = self.advance::<M>(id, base, version).await?;
            let bytes = row.as_ref().map_or(0, size);
            (row, bytes)
        };
        self.keep::<M>(stream, row.as_ref(), bytes);
        Ok(row)
    }

    /// Caches a row with at most so many bytes, unless it is too large.
    fn keep<M: ReadModel>(&self, stream: StreamId, row: Option<&Row<M::Content>>, bytes: usize) {
        let small = row.and_then(|row| {
            let bytes = if bytes > LARGEST { size(row) } else { bytes };
            let row = row.clone();
            (bytes <= LARGEST).then_some(Kept { row, bytes })
        });
        match small {
            Some(small) => self.kept.insert(stream, Arc::new(small)),
            None => {
                self.kept.remove(&stream);
            }
        }
    }

    /// Returns the row at a version, starting from a known row.
    async fn advance<M: ReadModel>(
        &self,
        id: Uuid,
        base: Option<Row<M::Content>>,
        version: i64,
    ) -> Result<Option<Row<M::Content>>, ViewError> {
        self.fold_while::<M>(id, base, |event| event.version <= version)
            .await
    }

    fn kept<M: ReadModel>(&self, stream: &StreamId) -> Option<Kept<M::Content>> {
        let kept = self.kept.get(stream)?;
        kept.downcast_ref::<Kept<M::Content>>().cloned()
    }

    /// Returns the resource as it was when the condition last held for its events, in order.
    pub async fn while_holds<M: ReadModel>(
        &self,
        id: Uuid,
        holds: impl Fn(&Recorded) -> bool + Send + Sync,
    ) -> Result<Option<Row<M::Content>>, ViewError> {
        self.fold_while::<M>(id, None, holds).await
    }

    /// Applies the following events to a row, until one does not meet the condition. It reads them page by page.
    async fn fold_while<M: ReadModel>(
        &self,
        id: Uuid,
        mut row: Option<Row<M::Content>>,
        holds: impl Fn(&Recorded) -> bool + Send + Sync,
    ) -> Result<Option<Row<M::Content>>, ViewError> {
        let stream = StreamId::new(M::NAME, id);
        let mut version = row.as_ref().map_or(0, |row| row.metadata.version);
        loop {
            let page = self
                .store
                .read_stream(&stream, version, Direction::Forwards, PAGE)
                .await?;
            let next = || fold::<M>(row, page.iter().take_while(|event| holds(event)));
            row = heavy(payload(&page), next).await??;
            match page.last() {
                Some(last) if holds(last) && !is_last(&page, PAGE) => version = last.version,
                Some(_) | None => return Ok(row),
            }
        }
    }
}

/// Returns the row after more events of its stream.
fn fold<'a, M: ReadModel>(
    row: Option<Row<M::Content>>,
    events: impl IntoIterator<Item = &'a Recorded>,
) -> Result<Option<Row<M::Content>>, ContractError> {
    events.into_iter().try_fold(row, apply::<M>)
}

/// Returns the size of a row's JSON in bytes.
fn size(row: &impl Serialize) -> usize {
    let mut counter = Counter(0);
    match serde_json::to_writer(&mut counter, row) {
        Ok(()) => counter.0,
        Err(_) => usize::MAX,
    }
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
