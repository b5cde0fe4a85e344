//! Runs one consumer: on one node at a time, batch by batch, for as long as the node lives.

use std::sync::Arc;
use std::time::Duration;

use store::{Database, EventStore, Filter, Position, Session};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::posting::{Posting, Step};
use crate::runtime::Reader;
use crate::{Memory, PostError, checkpoint, rebuild};

/// Events in one transaction.
const BATCH: usize = 2_000;
/// For each so many events that made it write, a consumer lets a millisecond pass: more gather where many come.
const GATHERED: usize = 4;
/// Milliseconds that it lets pass at most.
const LONGEST: u64 = 10;
/// How long the checkpoint of a consumer that has nothing to write may lag behind.
const FLUSH: Duration = Duration::from_millis(250);
/// What a crash undoes is posted again: the checkpoint goes with it. A plan made anew for every batch would be the same.
const SETTINGS: &str = "set synchronous_commit = off; set plan_cache_mode = force_generic_plan";
/// How often a node asks whether the one that runs the consumer is gone, and how long errors wait.
const RETRY: Duration = Duration::from_secs(1);
/// How long a consumer that met an event it cannot apply waits before it looks again.
const STOPPED_RETRY: Duration = Duration::from_secs(15);

pub(crate) struct Runner {
    pub database: Database,
    pub store: Arc<dyn EventStore>,
    pub reader: Arc<Reader>,
    /// For rebuilds, whoever runs them.
    pub memory: Memory,
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
        let session = self.database.connect().await?;
        let consumer = &self.reader.consumer;
        while !self.lock(&session).await? {
            self.follow(&session).await?;
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        session.batch_execute(SETTINGS).await?;
        checkpoint::prepare(&session).await?;
        let known = *head.borrow();
        let mut progress = Progress::at(self.prepare(&session, known).await?);
        self.reader.advance(progress.position);
        tracing::debug!(
            projection = consumer.name(),
            progress.position,
            "running here"
        );
        loop {
            let known = *head.borrow_and_update();
            let mut written = 0;
            while progress.position < known && !self.shutdown.is_cancelled() {
                written += self.step(&session, &mut progress, BATCH).await?;
                self.reader.stop(None);
                if progress.is_due() {
                    self.flush(&session, &mut progress).await?;
                }
            }
            self.let_gather(written).await;
            tokio::select! {
                () = self.shutdown.cancelled() => return self.flush(&session, &mut progress).await,
                changed = head.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep_until(progress.due()), if progress.is_ahead() => {
                    self.flush(&session, &mut progress).await?;
                }
            }
        }
    }

    /// Lets events gather after a batch of many, so that the next ones share a transaction, too; unless a read waits.
    async fn let_gather(&self, written: usize) {
        let milliseconds = u64::try_from(written / GATHERED).unwrap_or(LONGEST);
        if milliseconds > 0 {
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = self.reader.waiting.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(milliseconds.min(LONGEST))) => {}
            }
        }
    }

    async fn lock(&self, session: &Session) -> Result<bool, PostError> {
        const LOCK: &str =
            "select pg_try_advisory_lock(hashtextextended('daybook consumer ' || $1, 0))";
        let name = self.reader.consumer.name();
        Ok(session.query_one(LOCK, &[&name]).await?.get(0))
    }

    /// Another node runs it: keep an eye on how far that one is.
    async fn follow(&self, session: &Session) -> Result<(), PostError> {
        let name = self.reader.consumer.name();
        if let Some(checkpoint) = checkpoint::read(&**session, name).await? {
            self.reader.advance(checkpoint.position);
            self.reader.stop(checkpoint.stopped);
        }
        Ok(())
    }

    /// Makes the read model exist as this build wants it, and says where to go on.
    async fn prepare(&self, session: &Session, head: Position) -> Result<Position, PostError> {
        let consumer = &self.reader.consumer;
        let built_by = consumer.built_by();
        match checkpoint::read(&**session, consumer.name()).await? {
            Some(checkpoint) if checkpoint.built_by == built_by => Ok(checkpoint.position),
            Some(_) => {
                tracing::info!(
                    projection = consumer.name(),
                    "built by another version; rebuilding"
                );
                let consumers = std::slice::from_ref(consumer);
                let rebuilt =
                    rebuild(&self.database, &self.store, consumers, true, &self.memory).await;
                let reports = rebuilt.map_err(|error| PostError::Retry(error.to_string()))?;
                Ok(reports.first().map_or(0, |report| report.position))
            }
            None => {
                let start = if consumer.starts_at_head() { head } else { 0 };
                session.batch_execute("begin").await?;
                session.batch_execute(consumer.ddl()).await?;
                checkpoint::create(&**session, consumer.name(), start, &built_by).await?;
                session.batch_execute("commit").await?;
                Ok(start)
            }
        }
    }

    /// One batch, and how many events of it made the consumer write; a batch that the database refuses is taken event by
    /// event, to find the one at fault.
    async fn step(
        &self,
        session: &Session,
        progress: &mut Progress,
        limit: usize,
    ) -> Result<usize, PostError> {
        let consumer = self.reader.consumer.as_ref();
        let filter = Filter::categories(consumer.categories().iter().copied());
        let page = self
            .store
            .read_all(progress.position, &filter, limit)
            .await
            .map_err(|error| PostError::Retry(error.to_string()))?;
        let step = Step {
            name: consumer.name(),
            from: progress.durable,
            to: page.scanned_to,
        };
        let mut posting = Posting::of(session, step);
        let posted = if page.events.is_empty() {
            Ok(())
        } else {
            consumer.post(&mut posting, &page.events).await
        };
        match posted {
            Err(PostError::Database(error)) if error.as_db_error().is_some() => {
                session.batch_execute("rollback").await?;
                if let [event] = page.events.as_slice() {
                    let reason = PostError::Database(error).to_string();
                    let position = event.position;
                    return Err(PostError::Event { position, reason });
                }
                Box::pin(self.step(session, progress, 1)).await
            }
            Err(error) => Err(error),
            Ok(()) => {
                let wrote = posting.begun();
                progress.advance(page.scanned_to, wrote);
                if wrote {
                    consumer.posted();
                }
                self.reader.advance(page.scanned_to);
                Ok(if wrote { page.events.len() } else { 0 })
            }
        }
    }

    /// Writes down how far it has come, if that was not done with what it wrote.
    async fn flush(&self, session: &Session, progress: &mut Progress) -> Result<(), PostError> {
        if !progress.is_ahead() {
            return Ok(());
        }
        let name = self.reader.consumer.name();
        if !checkpoint::advance(session, name, progress.durable, progress.position).await? {
            return Err(PostError::moved());
        }
        progress.advance(progress.position, true);
        Ok(())
    }
}

/// How far a consumer has come, and how much of that is written down.
struct Progress {
    position: Position,
    durable: Position,
    /// Since when the two differ.
    ahead_since: Instant,
}

impl Progress {
    fn at(position: Position) -> Self {
        Self {
            position,
            durable: position,
            ahead_since: Instant::now(),
        }
    }

    fn advance(&mut self, position: Position, durable: bool) {
        if !self.is_ahead() {
            self.ahead_since = Instant::now();
        }
        self.position = position;
        if durable {
            self.durable = position;
        }
    }

    const fn is_ahead(&self) -> bool {
        self.position > self.durable
    }

    fn due(&self) -> Instant {
        self.ahead_since + FLUSH
    }

    fn is_due(&self) -> bool {
        self.is_ahead() && self.due() <= Instant::now()
    }
}
