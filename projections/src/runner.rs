//! Runs one consumer: on one node at a time, batch by batch, for as long as the node lives.

use std::sync::Arc;
use std::time::Duration;

use store::{Database, EventStore, Filter, Position, Recorded};
use tokio::sync::watch;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::runtime::Reader;
use crate::{Consumer, PostError, checkpoint, rebuild};

/// Events in one transaction.
const BATCH: usize = 2_000;
/// How often a node asks whether the one that runs the consumer is gone, and how long errors wait.
const RETRY: Duration = Duration::from_secs(1);
/// How long a consumer that met an event it cannot apply waits before it looks again.
const STOPPED_RETRY: Duration = Duration::from_secs(15);

pub(crate) struct Runner {
    pub database: Database,
    pub store: Arc<dyn EventStore>,
    pub reader: Arc<Reader>,
    pub shutdown: CancellationToken,
}

impl Runner {
    /// Runs until shutdown, starting over after every error.
    pub async fn run(self) {
        let mut head = self.store.head();
        while !self.shutdown.is_cancelled() {
            let name = self.reader.consumer.name();
            let pause = match self.lead(&mut head).await {
                Ok(()) => RETRY,
                Err(error @ PostError::Event { .. }) => {
                    tracing::error!(projection = name, %error, "stopped by an event it cannot apply");
                    self.record_stop(&error).await;
                    STOPPED_RETRY
                }
                Err(error) => {
                    tracing::warn!(projection = name, %error, "interrupted; starting over");
                    RETRY
                }
            };
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn record_stop(&self, error: &PostError) {
        self.reader.stop(Some(error.to_string()));
        let name = self.reader.consumer.name();
        if let Ok(client) = self.database.pool.get().await {
            let written = checkpoint::stop(&**client, name, &error.to_string()).await;
            if let Err(error) = written {
                tracing::warn!(projection = name, %error, "cannot record why it stopped");
            }
        }
    }

    /// Takes the lock if it is free, and consumes on the session that holds it: losing one loses the other.
    async fn lead(&self, head: &mut watch::Receiver<Position>) -> Result<(), PostError> {
        let mut client = self.database.connect().await?;
        let consumer = &self.reader.consumer;
        while !self.lock(&client).await? {
            self.follow(&client).await?;
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        // What a crash undoes here is posted again: the checkpoint goes with it.
        client.batch_execute("set synchronous_commit = off").await?;
        let known = *head.borrow();
        let mut position = self.prepare(&mut client, known).await?;
        self.reader.advance(position);
        tracing::debug!(projection = consumer.name(), position, "running here");
        loop {
            let known = *head.borrow_and_update();
            while position < known && !self.shutdown.is_cancelled() {
                position = self.step(&mut client, position, BATCH).await?;
                self.reader.stop(None);
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                changed = head.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    async fn lock(&self, client: &Client) -> Result<bool, PostError> {
        const LOCK: &str =
            "select pg_try_advisory_lock(hashtextextended('daybook consumer ' || $1, 0))";
        let name = self.reader.consumer.name();
        Ok(client.query_one(LOCK, &[&name]).await?.get(0))
    }

    /// Another node runs it: keep an eye on how far that one is.
    async fn follow(&self, client: &Client) -> Result<(), PostError> {
        let name = self.reader.consumer.name();
        if let Some(checkpoint) = checkpoint::read(client, name).await? {
            self.reader.advance(checkpoint.position);
            self.reader.stop(checkpoint.stopped);
        }
        Ok(())
    }

    /// Makes the read model exist as this build wants it, and says where to go on.
    async fn prepare(&self, client: &mut Client, head: Position) -> Result<Position, PostError> {
        let consumer = &self.reader.consumer;
        let built_by = consumer.built_by();
        match checkpoint::read(client, consumer.name()).await? {
            Some(checkpoint) if checkpoint.built_by == built_by => Ok(checkpoint.position),
            Some(_) => {
                tracing::info!(
                    projection = consumer.name(),
                    "built by another version; rebuilding"
                );
                rebuild(&self.database, &self.store, consumer.as_ref(), true)
                    .await
                    .map(|report| report.position)
                    .map_err(|error| PostError::Retry(error.to_string()))
            }
            None => {
                let start = if consumer.starts_at_head() { head } else { 0 };
                let tx = client.transaction().await?;
                tx.batch_execute(consumer.ddl()).await?;
                checkpoint::create(&tx, consumer.name(), start, &built_by).await?;
                tx.commit().await?;
                Ok(start)
            }
        }
    }

    /// One batch; a batch that the database refuses is taken event by event, to find the one at fault.
    async fn step(
        &self,
        client: &mut Client,
        position: Position,
        limit: usize,
    ) -> Result<Position, PostError> {
        let consumer = self.reader.consumer.as_ref();
        let filter = Filter::categories(consumer.categories().iter().copied());
        let page = self
            .store
            .read_all(position, &filter, limit)
            .await
            .map_err(|error| PostError::Retry(error.to_string()))?;
        match post(client, consumer, position, page.scanned_to, &page.events).await {
            Err(PostError::Database(error)) if error.as_db_error().is_some() => {
                if let [event] = page.events.as_slice() {
                    let reason = PostError::Database(error).to_string();
                    let position = event.position;
                    return Err(PostError::Event { position, reason });
                }
                Box::pin(self.step(client, position, 1)).await
            }
            Err(error) => Err(error),
            Ok(()) => {
                consumer.posted();
                self.reader.advance(page.scanned_to);
                Ok(page.scanned_to)
            }
        }
    }
}

/// The batch and its checkpoint, in one transaction. The checkpoint comes first: its lock keeps a rebuild's swap away.
pub(crate) async fn post(
    client: &mut Client,
    consumer: &dyn Consumer,
    from: Position,
    to: Position,
    events: &[Recorded],
) -> Result<(), PostError> {
    let tx = client.transaction().await?;
    if !checkpoint::advance(&tx, consumer.name(), from, to).await? {
        return Err(PostError::Retry(
            "another node has moved the checkpoint".into(),
        ));
    }
    if !events.is_empty() {
        consumer.post(&tx, events).await?;
    }
    tx.commit().await?;
    Ok(())
}
