//! The log on PostgreSQL.

mod append_connection;
mod condition;
mod conflict_check;
mod database;
mod insert;
mod listener;
mod open_error;
mod read;
mod rights;
mod rows;
mod sessions;
mod setup;
mod tail;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use domain::StreamId;
use futures::future::BoxFuture;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use uuid::Uuid;

pub use condition::Trouble;
pub use database::{Database, Opening, PooledSession, Session};
pub use open_error::OpenError;
pub use sessions::{Purpose, SessionError, SessionLimits};

use crate::failure::describe;
use crate::{
    Append, AppendError, Appended, Direction, EventStore, Filter, Page, Position, ReadError,
    Receipt, Recorded,
};
use append_connection::{AppendConnection, Shared};
use tail::{MAX_MISSING, Tail};
use writer::{Pending, Writer};

/// Capacity of the writer's queue, beyond which callers wait.
const QUEUE: usize = 4096;

/// The log on PostgreSQL: one writer per node with group commit, a pool for reads, and a listener for new events.
pub struct PostgresStore {
    database: Database,
    appends: mpsc::Sender<Pending>,
    head: Arc<watch::Sender<Position>>,
    tail: Arc<Tail>,
    listener: AbortHandle,
    watch: AbortHandle,
}

impl PostgresStore {
    /// Opens the log of a migrated database.
    pub async fn open(database: Database) -> Result<Arc<Self>, OpenError> {
        let position = read::head(&database).await?;
        let head = Arc::new(watch::Sender::new(position));
        let tail = Arc::new(Tail::after(position));
        let (appends, queue) = mpsc::channel(QUEUE);
        let shared = Shared::new(database.clone(), Arc::clone(&head), Arc::clone(&tail));
        let connections = [
            AppendConnection::open(Arc::clone(&shared)).await?,
            AppendConnection::open(shared).await?,
        ];
        tokio::spawn(Writer::new(queue, connections).run());
        let listener = tokio::spawn(listener::run(database.clone(), Arc::clone(&head)));
        let watch = tokio::spawn(condition::run(database.clone()));
        Ok(Arc::new(Self {
            database,
            appends,
            head,
            tail,
            listener: listener.abort_handle(),
            watch: watch.abort_handle(),
        }))
    }
}

/// Stops the background tasks; the writer ends with its queue.
impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.listener.abort();
        self.watch.abort();
    }
}

#[async_trait]
impl EventStore for PostgresStore {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let (reply, answer) = oneshot::channel();
        let queued = self.appends.try_send(Pending { append, reply });
        let stopped = || AppendError::Unavailable("the writer has stopped".into());
        Box::pin(async move {
            match queued {
                Ok(()) => {}
                Err(TrySendError::Closed(_)) => return Err(stopped()),
                Err(TrySendError::Full(pending)) => {
                    let sent = self.appends.send(pending).await;
                    sent.map_err(|_| stopped())?;
                }
            }
            answer.await.map_err(|_| stopped())?
        })
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: i64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        read::stream(&self.database, stream, from, direction, limit).await
    }

    async fn read_all(
        &self,
        after: Position,
        filter: &Filter,
        limit: usize,
    ) -> Result<Page, ReadError> {
        let (database, head) = (&self.database, *self.head.borrow());
        let fetch = async |end| {
            let missing = usize::try_from(MAX_MISSING).unwrap_or(usize::MAX);
            read::all(database, end, head, &Filter::default(), missing).await
        };
        match self.tail.read(after, head, filter, limit, fetch).await? {
            Some(page) => Ok(page),
            None => read::all(database, after, head, filter, limit).await,
        }
    }

    async fn find(&self, event_id: Uuid) -> Result<Option<Recorded>, ReadError> {
        read::find(&self.database, event_id).await
    }

    async fn receipt(&self, key: &[u8; 32]) -> Result<Option<Receipt>, ReadError> {
        read::receipt(&self.database, key).await
    }

    async fn read_head(&self) -> Result<Position, ReadError> {
        let head = read::head(&self.database).await;
        head.map_err(|error| ReadError::Unavailable(describe(&error)))
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }
}
