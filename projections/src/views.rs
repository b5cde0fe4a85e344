//! Resources as they were at a version, a position or a time: the read model's own fold, over one stream.

use std::any::Any;
use std::io;
use std::sync::Arc;

use domain::{ContractError, StreamId};
use quick_cache::sync::Cache;
use serde::Serialize;
use store::{Busy, Direction, EventStore, ReadError, Recorded, heavy, is_last, payload};
use uuid::Uuid;

use crate::read_model::{ReadModel, Row, apply};

/// Rows that are kept, so that the next command on the same thing need not read its stream.
const KEPT: usize = 4_096;
/// Rows with more bytes of JSON than this are not: a few of them would take all the memory.
const LARGEST: usize = 16 << 10;
const PAGE: usize = 500;

/// Why a view could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The stream could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event of it cannot be understood.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The server has too much else to do.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// A row with about how many bytes of JSON it has at most: as many as its events.
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

    /// The resource right after a version of its stream. `new` are events that a command has just appended: if they
    /// follow what is kept, nothing needs to be read.
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

    /// Keeps a row that has at most so many bytes, if that is not too large.
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

    /// The row up to a version, from what is known of it.
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

    /// The resource as it was when the condition last held for its events, in their order.
    pub async fn while_holds<M: ReadModel>(
        &self,
        id: Uuid,
        holds: impl Fn(&Recorded) -> bool + Send + Sync,
    ) -> Result<Option<Row<M::Content>>, ViewError> {
        self.fold_while::<M>(id, None, holds).await
    }

    /// A row after those that follow of its events, until one does not meet the condition. They are read page by page.
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

/// The row after more events of its stream.
fn fold<'a, M: ReadModel>(
    row: Option<Row<M::Content>>,
    events: impl IntoIterator<Item = &'a Recorded>,
) -> Result<Option<Row<M::Content>>, ContractError> {
    events.into_iter().try_fold(row, apply::<M>)
}

/// Bytes of a row's JSON.
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
