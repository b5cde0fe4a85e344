//! The interface of every backend of the log. `tests/contract` tests each of them against it.

use async_trait::async_trait;
use domain::StreamId;
use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{Append, Appended, Expected, Filter, Page, Position, Receipt, Recorded};

/// Reasons why an append failed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A stream does not have the version that the command was decided on. Read it again and decide again.
    #[error("{stream} is at version {actual}, not {expected:?}")]
    Conflict {
        stream: StreamId,
        expected: Expected,
        /// 0: the stream has no event.
        actual: i64,
    },
    /// The idempotency key was used before, by other events; nothing was appended now.
    #[error("the idempotency key was used before")]
    Repeated(Box<Receipt>),
    /// The events themselves cannot be stored.
    #[error("the log does not take these events: {0}")]
    Rejected(String),
    /// The log could not be reached, or gave up. If that was during the commit, the events may be recorded: append them again to
    /// find out.
    #[error("the log is not available: {0}")]
    Unavailable(String),
    /// There is no room for more events.
    #[error("the log has no room: {0}")]
    Full(String),
}

/// Reasons why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log could not be reached; try again.
    #[error("the log is not available: {0}")]
    Unavailable(String),
    /// A recorded event is damaged.
    #[error("event at position {position} is damaged: {detail}")]
    Damaged { position: Position, detail: String },
}

/// The direction in which a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Versions after the given one, ascending.
    Forwards,
    /// Versions before the given one, descending; 0 starts at the end.
    Backwards,
}

/// Payload bytes after which a page ends, so that large events do not fill the memory.
pub const PAGE_BYTES: usize = 8 << 20;

/// Returns the payload bytes of events.
#[must_use]
pub fn payload(events: &[Recorded]) -> usize {
    events.iter().map(|event| event.data.len()).sum()
}

/// Returns true if no events follow a page that was read with this limit.
#[must_use]
pub fn is_last(page: &[Recorded], limit: usize) -> bool {
    page.len() < limit && payload(page) <= PAGE_BYTES
}

/// An append-only log of events in streams.
///
/// A reader that has seen position N never later sees a new event at or below N.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Appends all the events or none. Repeating an append whose event ids are all in the log returns their positions.
    ///
    /// Takes its place in the queue when it is called, not when it is first awaited: appends of one node to one stream reach
    /// the log in the order of the calls, unless the queue was full.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>>;

    /// Reads at most `limit` events of a stream, starting beyond version `from`; fewer if they are large. [`is_last`] tells if a page
    /// reaches the end.
    async fn read_stream(
        &self,
        stream: &StreamId,
        from: i64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError>;

    /// Reads at most `limit` matching events after a position. It examines a bounded stretch of the
    /// log: an empty page whose `scanned_to` is below the head is not the end.
    async fn read_all(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, ReadError>;

    /// Finds an event by its id.
    async fn find(&self, event_id: Uuid) -> Result<Option<Recorded>, ReadError>;

    /// Returns the receipt of an idempotency key.
    async fn receipt(&self, key: &[u8; 32]) -> Result<Option<Receipt>, ReadError>;

    /// Reads the last position from the log itself.
    async fn read_head(&self) -> Result<Position, ReadError>;

    /// Returns the last position known to this node; it wakes its watchers within milliseconds of an append by any node.
    fn head(&self) -> watch::Receiver<Position>;
}
