//! Runs one consumer: on one node at a time, batch by batch, for as long as the node lives.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use store::{Database, EventStore, Filter, Position, ReadError, Session, pages};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::apply::{Place, Stretch, apply};
use crate::progress::Progress;
use crate::quarantine::Quarantine;
use crate::runtime::Reader;
use crate::{Checkpoint, Memory, PostError, checkpoint, rebuild, tables};

/// Events in one transaction.
const BATCH: usize = 2_000;
/// For each so many events that made it write, a consumer lets a millisecond pass: more gather where many come.
const GATHERED: usize = 4;
/// Milliseconds that it lets pass at most.
const LONGEST: u64 = 10;
/// What a crash undoes is posted again: the checkpoint goes with it. A plan made anew for every batch would be the same.
const SETTINGS: &str = "set synchronous_commit = off; set plan_cache_mode = force_generic_plan";
/// How often a node asks whether the one that runs the consumer is gone, and how long errors wait.
const RETRY: Duration = Duration::from_secs(1);

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
            let led = self.lead(&mut head).await;
            self.reader.interrupted(led.is_err());
            if let Err(error) = led {
                self.reader.stop(error.is_lasting());
                tracing::warn!(projection = name, %error, "interrupted; starting over");
            }
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = tokio::time::sleep(RETRY) => {}
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
        let mut quarantine = self.settle(&session, &progress).await?;
        self.reader.advance(progress.position());
        self.reader.interrupted(false);
        tracing::debug!(
            projection = consumer.name(),
            position = progress.position(),
            "running here"
        );
        loop {
            let known = *head.borrow_and_update();
            let mut written = 0;
            while progress.position() < known && !self.shutdown.is_cancelled() {
                written += self.step(&session, &mut progress, &mut quarantine).await?;
                self.reader.stop(false);
                if progress.is_due() {
                    self.flush(&session, &mut progress, &quarantine).await?;
                }
            }
            self.let_gather(written).await;
            tokio::select! {
                () = self.shutdown.cancelled() => {
                    return self.flush(&session, &mut progress, &quarantine).await;
                }
                changed = head.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep_until(progress.due()), if progress.is_ahead() => {
                    self.flush(&session, &mut progress, &quarantine).await?;
                }
                () = self.reader.knows_newer(quarantine.version) => return Ok(()),
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
            self.reader.stop(false);
        }
        Ok(())
    }

    /// The checkpoint, if what it says can be: a log that was restored alone has checkpoints without tables, and an older one has
    /// checkpoints beyond its end.
    async fn live(&self, session: &Session) -> Result<Option<Checkpoint>, PostError> {
        let consumer = self.reader.consumer.as_ref();
        let name = consumer.name();
        let Some(checkpoint) = checkpoint::read(&**session, name).await? else {
            return Ok(None);
        };
        let end = self.store.read_head().await;
        let end = end.map_err(|error| PostError::Retry(error.to_string()))?;
        let missing = tables::missing(&**session, &[consumer]).await?;
        if missing.is_empty() && checkpoint.position <= end {
            return Ok(Some(checkpoint));
        }
        tracing::warn!(
            projection = name,
            checkpoint.position,
            end,
            ?missing,
            "the log was restored without what follows it"
        );
        let position = checkpoint.position.min(end);
        if consumer.ddl().is_empty() {
            checkpoint::create(&**session, name, position, &checkpoint.built_by).await?;
        } else {
            checkpoint::invalidate(&**session, name, position).await?;
        }
        Ok(checkpoint::read(&**session, name).await?)
    }

    /// Makes the read model exist as this build wants it, and says where to go on.
    async fn prepare(&self, session: &Session, head: Position) -> Result<Position, PostError> {
        let consumer = &self.reader.consumer;
        let built_by = consumer.built_by();
        match self.live(session).await? {
            Some(checkpoint) if checkpoint.built_by == built_by => Ok(checkpoint.position),
            Some(_) => {
                tracing::info!(
                    projection = consumer.name(),
                    "not built by this version; rebuilding"
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
                // Tables without a checkpoint hold nobody knows what.
                let left = tables::drop_all(consumer.as_ref());
                session.batch_execute(&left).await?;
                session.batch_execute(consumer.ddl()).await?;
                checkpoint::create(&**session, consumer.name(), start, &built_by).await?;
                session.batch_execute("commit").await?;
                Ok(start)
            }
        }
    }

    /// Loads the quarantine, and tries its streams again: whoever runs the consumer now may know better, and the operator
    /// may have asked for it.
    async fn settle(
        &self,
        session: &Session,
        progress: &Progress,
    ) -> Result<Quarantine, PostError> {
        session.batch_execute("begin").await?;
        let settled = self.try_again(session, progress).await;
        let end = if settled.is_ok() {
            "commit"
        } else {
            "rollback"
        };
        session.batch_execute(end).await?;
        let quarantine = settled?;
        self.reader.know(quarantine.known());
        self.reader.consumer.posted();
        Ok(quarantine)
    }

    async fn try_again(
        &self,
        session: &Session,
        progress: &Progress,
    ) -> Result<Quarantine, PostError> {
        let consumer = self.reader.consumer.as_ref();
        let checkpoint = checkpoint::lock(&**session, consumer.name()).await?;
        let checkpoint = checkpoint.filter(|live| live.position == progress.durable());
        let version = checkpoint.ok_or_else(PostError::moved)?.quarantine;
        let mut quarantine = Quarantine::load(&**session, consumer.name(), version).await?;
        for held in quarantine.streams() {
            held.remove(&**session).await?;
            quarantine.release(&held);
            let filter = Filter {
                stream: Some(held.stream.clone()),
                ..Filter::default()
            };
            let store = Arc::clone(&self.store);
            let waiting = pages(store, held.position - 1, Some(progress.durable()), filter);
            let mut waiting = pin!(waiting);
            while let Some(page) = waiting.try_next().await.map_err(unread)? {
                let stretch = Stretch {
                    events: page.events,
                    to: page.scanned_to,
                };
                let place = Place::Behind {
                    retried: held.retried.saturating_add(1),
                };
                apply(consumer, session, &mut quarantine, stretch, place).await?;
                if quarantine.holds(&held.stream) {
                    break;
                }
            }
        }
        Ok(quarantine)
    }

    /// Applies one batch; returns how many events of it made the consumer write.
    async fn step(
        &self,
        session: &Session,
        progress: &mut Progress,
        quarantine: &mut Quarantine,
    ) -> Result<usize, PostError> {
        let consumer = self.reader.consumer.as_ref();
        let filter = Filter::categories(consumer.categories().iter().copied());
        let page = self.store.read_all(progress.position(), &filter, BATCH);
        let page = page.await.map_err(unread)?;
        let stretch = Stretch {
            events: page.events,
            to: page.scanned_to,
        };
        let held = quarantine.len();
        let place = Place::Live(progress);
        let written = apply(consumer, session, quarantine, stretch, place).await?;
        if written > 0 {
            consumer.posted();
        }
        if quarantine.len() > held {
            self.reader.know(quarantine.known());
        }
        self.reader.advance(progress.position());
        Ok(written)
    }

    /// Writes down how far it has come, if that was not done with what it wrote.
    async fn flush(
        &self,
        session: &Session,
        progress: &mut Progress,
        quarantine: &Quarantine,
    ) -> Result<(), PostError> {
        if !progress.is_ahead() {
            return Ok(());
        }
        let (name, position) = (self.reader.consumer.name(), progress.position());
        let version = quarantine.version;
        if !checkpoint::advance(session, name, version, progress.durable(), position).await? {
            return Err(PostError::moved());
        }
        progress.advance(position, true);
        Ok(())
    }
}

fn unread(error: ReadError) -> PostError {
    PostError::Retry(error.to_string())
}
