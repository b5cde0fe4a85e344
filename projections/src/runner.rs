//! Runs one consumer: on one node at a time, batch by batch, for as long as the node lives.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use store::{Database, EventStore, Filter, Position, Purpose, ReadError, Session, pages};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::batch::{Place, Stretch, apply_batch};
use crate::idle::Move;
use crate::progress::Progress;
use crate::quarantine::Quarantine;
use crate::reader::{Lease, Reader};
use crate::{ApplyError, Checkpoint, MemoryBudget, checkpoint, rebuild, tables};

/// Events per transaction.
const BATCH: usize = 2_000;
/// Number of events with writes for which a consumer waits one millisecond, so that more events gather under load.
const GATHERED: usize = 4;
/// Maximum wait in milliseconds.
const LONGEST: u64 = 10;
/// Time between two looks that makes them follow each other closely; longer than the maximum wait.
const CLOSE: Duration = Duration::from_millis(15);
/// Wait after an error.
const RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Runner {
    pub database: Database,
    pub store: Arc<dyn EventStore>,
    pub reader: Arc<Reader>,
    /// The memory budget that all rebuilds share.
    pub memory: MemoryBudget,
    pub rebuilds: Arc<Semaphore>,
    pub moves: mpsc::Sender<Move>,
    pub shutdown: CancellationToken,
}

impl Runner {
    /// Runs whenever this node holds the lease, until shutdown; restarts after every error.
    pub async fn run(self) {
        const OURS: [Lease; 2] = [Lease::Held, Lease::Ending];
        let mut head = self.store.head();
        while !self.shutdown.is_cancelled() {
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                () = self.reader.becomes(|lease| OURS.contains(&lease)) => {}
            }
            if self.reader.lease() == Lease::Held {
                let led = self.lead(&mut head).await;
                self.reader.interrupted(led.is_err());
                if let Err(error) = led {
                    let name = self.reader.consumer.name();
                    self.reader.stop(error.is_lasting());
                    tracing::warn!(projection = name, %error, "interrupted; starting over");
                }
            }
            if self.reader.change(&[Lease::Ending], Lease::Left) {
                continue;
            }
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = self.reader.becomes(|lease| lease != Lease::Held) => {}
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        self.reader.change(&OURS, Lease::Left);
    }

    /// Consumes until the lease ends, or another process has changed the quarantine.
    async fn lead(&self, head: &mut watch::Receiver<Position>) -> Result<(), ApplyError> {
        let known = *head.borrow();
        let mut progress = Progress::at(self.prepare(known).await?);
        let mut quarantine = self.settle(&progress).await?;
        self.reader.advance(progress.position());
        self.reader.interrupted(false);
        tracing::debug!(
            projection = self.reader.consumer.name(),
            position = progress.position(),
            "running here"
        );
        let ends = || self.shutdown.is_cancelled() || self.reader.lease() != Lease::Held;
        let mut pace = Pace::from(Instant::now());
        loop {
            let known = *head.borrow_and_update();
            while progress.position() < known && !ends() {
                let step = self.step(&mut progress, &mut quarantine).await?;
                pace.note(&step, Instant::now());
                self.reader.stop(false);
                if progress.is_due() {
                    self.flush(&mut progress, &quarantine).await?;
                }
            }
            self.let_gather(pace.take()).await;
            tokio::select! {
                () = self.shutdown.cancelled() => {
                    return self.flush(&mut progress, &quarantine).await;
                }
                () = self.reader.becomes(|lease| lease != Lease::Held) => {
                    return self.flush(&mut progress, &quarantine).await;
                }
                changed = head.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep_until(progress.due()), if progress.is_ahead() => {
                    self.flush(&mut progress, &quarantine).await?;
                }
                () = self.reader.knows_newer(quarantine.version) => return Ok(()),
            }
        }
    }

    /// Lets events gather for some time; returns early if a read waits.
    async fn let_gather(&self, time: Duration) {
        if !time.is_zero() {
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = self.reader.waiting.notified() => {}
                () = tokio::time::sleep(time) => {}
            }
        }
    }

    /// Returns the checkpoint, if it is plausible: a log that was restored alone has checkpoints without tables, and an older log has
    /// checkpoints beyond its end.
    async fn live(&self, session: &Session) -> Result<Option<Checkpoint>, ApplyError> {
        let consumer = self.reader.consumer.as_ref();
        let name = consumer.name();
        let Some(checkpoint) = checkpoint::read(&**session, name).await? else {
            return Ok(None);
        };
        let end = self.store.read_head().await;
        let end = end.map_err(|error| ApplyError::Retry(error.to_string()))?;
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

    /// Creates or rebuilds the read model if necessary; returns the position to continue from.
    async fn prepare(&self, head: Position) -> Result<Position, ApplyError> {
        let consumer = &self.reader.consumer;
        let built_by = consumer.built_by();
        let mut session = self.database.session(Purpose::Consumers).await?;
        match self.live(&session).await? {
            Some(checkpoint) if checkpoint.built_by == built_by => Ok(checkpoint.position),
            Some(_) => {
                drop(session);
                self.rebuild().await
            }
            None => {
                let start = if consumer.starts_at_head() { head } else { 0 };
                let transaction = session.transaction().await?;
                // Tables without a checkpoint have unknown content.
                let left = tables::drop_all(consumer.as_ref());
                transaction.batch_execute(&left).await?;
                transaction.batch_execute(consumer.ddl()).await?;
                checkpoint::create(&*transaction, consumer.name(), start, &built_by).await?;
                transaction.commit().await?;
                Ok(start)
            }
        }
    }

    /// Rebuilds the read model; returns its position.
    async fn rebuild(&self) -> Result<Position, ApplyError> {
        let consumer = &self.reader.consumer;
        let _turn = self.rebuilds.acquire().await;
        tracing::info!(
            projection = consumer.name(),
            "not built by this version; rebuilding"
        );
        let consumers = std::slice::from_ref(consumer);
        let rebuilt = rebuild(&self.database, &self.store, consumers, true, &self.memory).await;
        let reports = rebuilt.map_err(|error| ApplyError::Retry(error.to_string()))?;
        Ok(reports.first().map_or(0, |report| report.position))
    }

    /// Loads the quarantine, and retries its streams: this version may be able to apply them, and the operator may have asked for it.
    async fn settle(&self, progress: &Progress) -> Result<Quarantine, ApplyError> {
        let session = self.database.session(Purpose::Consumers).await?;
        session.batch_execute("begin").await?;
        let settled = self.try_again(&session, progress).await;
        let end = if settled.is_ok() {
            "commit"
        } else {
            "rollback"
        };
        session.batch_execute(end).await?;
        let quarantine = settled?;
        self.reader.know(quarantine.known());
        self.reader.consumer.applied();
        Ok(quarantine)
    }

    async fn try_again(
        &self,
        session: &Session,
        progress: &Progress,
    ) -> Result<Quarantine, ApplyError> {
        let consumer = self.reader.consumer.as_ref();
        let checkpoint = checkpoint::lock(&**session, consumer.name()).await?;
        let checkpoint = checkpoint.filter(|live| live.position == progress.durable());
        let version = checkpoint.ok_or_else(ApplyError::moved)?.quarantine;
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
                let place = Place::Behind(session, held.retried.saturating_add(1));
                apply_batch(consumer, &mut quarantine, stretch, place).await?;
                if quarantine.holds(&held.stream) {
                    break;
                }
            }
        }
        Ok(quarantine)
    }

    /// Applies one batch.
    async fn step(
        &self,
        progress: &mut Progress,
        quarantine: &mut Quarantine,
    ) -> Result<Step, ApplyError> {
        let consumer = self.reader.consumer.as_ref();
        let filter = Filter::categories(consumer.categories().iter().copied());
        let page = self.store.read_all(progress.position(), &filter, BATCH);
        let page = page.await.map_err(unread)?;
        let stretch = Stretch {
            events: page.events,
            to: page.scanned_to,
        };
        let (seen, held) = (stretch.events.len(), quarantine.len());
        let place = Place::Live(&self.database, progress);
        let written = apply_batch(consumer, quarantine, stretch, place).await?;
        if written > 0 {
            consumer.applied();
        }
        if quarantine.len() > held {
            self.reader.know(quarantine.known());
        }
        self.reader.advance(progress.position());
        Ok(Step { seen, written })
    }

    /// Stores the progress that was not stored with a write: together with other consumers, or alone if the checkpoint is not as
    /// expected or another process holds it.
    async fn flush(
        &self,
        progress: &mut Progress,
        quarantine: &Quarantine,
    ) -> Result<(), ApplyError> {
        if !progress.is_ahead() {
            return Ok(());
        }
        let (name, version) = (self.reader.consumer.name(), quarantine.version);
        let (from, to) = (progress.durable(), progress.position());
        let (done, moved) = oneshot::channel();
        let wanted = Move {
            name,
            quarantine: version,
            from,
            to,
            done,
        };
        let is_moved = self.moves.send(wanted).await.is_ok() && moved.await.unwrap_or(false);
        if !is_moved {
            let session = self.database.session(Purpose::Consumers).await?;
            if !checkpoint::advance(&session, name, version, from, to).await? {
                return Err(ApplyError::moved());
            }
        }
        progress.advance(to, true);
        Ok(())
    }
}

/// The events of one batch.
struct Step {
    /// Events of the consumer's categories.
    seen: usize,
    /// Events that made it write.
    written: usize,
}

/// Decides how long a consumer lets events gather before it looks again. After many writes, the next events share a transaction. While
/// appends follow each other closely, a consumer that none of them concerns looks less and less often: where consumers are many, a
/// wake-up of each for every append would cost more than the appends.
struct Pace {
    /// Events that made the consumer write since it last waited.
    written: usize,
    /// Looks in close succession that found no event of its categories.
    quiet: u64,
    looked: Instant,
}

impl Pace {
    fn from(now: Instant) -> Self {
        Self {
            written: 0,
            quiet: 0,
            looked: now,
        }
    }

    fn note(&mut self, step: &Step, now: Instant) {
        let is_close = now.duration_since(self.looked) <= CLOSE;
        self.written += step.written;
        self.quiet = if step.seen == 0 && is_close {
            self.quiet + 1
        } else {
            0
        };
        self.looked = now;
    }

    /// Returns the time to wait, and begins anew.
    fn take(&mut self) -> Duration {
        let written = u64::try_from(std::mem::take(&mut self.written) / GATHERED);
        let milliseconds = written.unwrap_or(LONGEST).max(self.quiet);
        Duration::from_millis(milliseconds.min(LONGEST))
    }
}

fn unread(error: ReadError) -> ApplyError {
    ApplyError::Retry(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_waits_after_many_writes_and_while_close_appends_do_not_concern_it() {
        let step = |seen, written| Step { seen, written };
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut pace = Pace::from(start);
        pace.note(&step(3, 3), at(0));
        assert_eq!(pace.take(), Duration::ZERO);
        pace.note(&step(40, 20), at(1));
        assert_eq!(pace.take(), Duration::from_millis(5));
        for looks in 1..=20 {
            pace.note(&step(0, 0), at(1 + looks));
            assert_eq!(pace.take(), Duration::from_millis(looks.min(LONGEST)));
        }
        pace.note(&step(1, 0), at(22));
        assert_eq!(pace.take(), Duration::ZERO);
        pace.note(&step(0, 0), at(122));
        assert_eq!(pace.take(), Duration::ZERO, "few appends delay nothing");
    }
}
