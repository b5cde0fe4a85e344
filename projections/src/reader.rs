//! A consumer as seen from one node, and waiting for its progress.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use domain::StreamId;
use serde::Serialize;
use store::{Database, EventStore, Filter, Position, Purpose};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::Instant;

use crate::quarantine::Known;
use crate::{Checkpoint, Consumer, QueryError, checkpoint, tables};

/// Maximum time that a read waits for its read model.
const PATIENCE: Duration = Duration::from_secs(5);
/// Interval at which waiting reads check the checkpoints, if another node runs the consumer.
const LOOK: Duration = Duration::from_millis(5);

/// Number of consecutive interruptions from which a consumer counts as not running: a single one may be a deadlock.
const INTERRUPTIONS: u32 = 3;

/// Reasons why a read fails while it waits.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The read model has not reached the requested position; try again a little later.
    #[error("the read model {name} is at position {position}, not yet at {wanted}")]
    TooFarBehind {
        name: &'static str,
        position: Position,
        wanted: Position,
    },
    /// This build has no such read model.
    #[error(
        "no read model {0} is registered; add it to models() in the mod.rs of its group in projections/src"
    )]
    Unknown(String),
}

/// This node's right to run a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lease {
    /// No known node has the lease.
    Free,
    /// Another node has the lease.
    Elsewhere,
    /// This node has the lease.
    Held,
    /// This node is giving up the lease, and waits until the consumer has stopped.
    Ending,
    /// The consumer has stopped.
    Left,
}

/// A consumer as seen from this node.
pub(crate) struct Reader {
    pub consumer: Arc<dyn Consumer>,
    position: watch::Sender<Position>,
    lease: watch::Sender<Lease>,
    /// Notified whenever a read begins to wait.
    pub waiting: Notify,
    /// True if the consumer cannot continue at all.
    stopped: AtomicBool,
    quarantine: watch::Sender<Known>,
    /// Consecutive interruptions of the runner.
    interruptions: AtomicU32,
}

impl Reader {
    pub fn new(consumer: Arc<dyn Consumer>) -> Self {
        let reader = Self {
            consumer,
            position: watch::Sender::new(-1),
            lease: watch::Sender::new(Lease::Free),
            waiting: Notify::new(),
            stopped: AtomicBool::default(),
            quarantine: watch::Sender::default(),
            interruptions: AtomicU32::new(0),
        };
        reader.stop(false);
        reader.know(Known::default());
        reader
    }

    /// Returns the position that the read model is known to have reached; -1: not known yet.
    pub fn position(&self) -> Position {
        *self.position.borrow()
    }

    pub fn advance(&self, position: Position) {
        self.position.send_if_modified(|current| {
            let further = position > *current;
            if further {
                *current = position;
            }
            further
        });
    }

    pub fn lease(&self) -> Lease {
        *self.lease.borrow()
    }

    /// Changes the lease from one of these states to another; returns true if it was in one of them.
    pub fn change(&self, from: &[Lease], to: Lease) -> bool {
        self.lease.send_if_modified(|lease| {
            let changes = from.contains(lease);
            if changes {
                *lease = to;
            }
            changes
        })
    }

    /// Returns once the lease meets a condition.
    pub async fn becomes(&self, holds: impl Fn(Lease) -> bool) {
        let mut lease = self.lease.subscribe();
        // The sender lives as long as the reader.
        let _ = lease.wait_for(|lease| holds(*lease)).await;
    }

    /// Adopts the progress in the checkpoint of a consumer that another node runs. The first time, the same version must have built
    /// the read model.
    pub fn follow(&self, checkpoint: &Checkpoint) {
        let is_elsewhere = self.lease() == Lease::Elsewhere;
        if is_elsewhere && (self.position() >= 0 || checkpoint.built_by == self.consumer.built_by())
        {
            self.advance(checkpoint.position);
            self.stop(false);
            self.interrupted(false);
        }
    }

    /// Counts an interruption of the runner; false: the runner is running.
    pub fn interrupted(&self, is_interrupted: bool) {
        if is_interrupted {
            self.interruptions.fetch_add(1, Ordering::Relaxed);
        } else {
            self.interruptions.store(0, Ordering::Relaxed);
        }
    }

    /// Records that the consumer cannot continue, or that it can again.
    pub fn stop(&self, stopped: bool) {
        self.stopped.store(stopped, Ordering::Relaxed);
        let name = self.consumer.name();
        metrics::gauge!("daybook_projection_stopped", "projection" => name)
            .set(f64::from(u8::from(stopped)));
    }

    /// Records the streams in quarantine.
    pub fn know(&self, quarantine: Known) {
        let name = self.consumer.name();
        #[expect(clippy::cast_precision_loss, reason = "a metric")]
        metrics::gauge!("daybook_projection_quarantined_streams", "projection" => name)
            .set(quarantine.streams.len() as f64);
        self.quarantine.send_replace(quarantine);
    }

    /// Returns once the quarantine has a newer version.
    pub async fn knows_newer(&self, version: i64) {
        let mut known = self.quarantine.subscribe();
        // The sender lives as long as the reader.
        let _ = known.wait_for(|known| known.version > version).await;
    }

    fn health(&self) -> Health {
        Health {
            name: self.consumer.name(),
            position: self.position(),
            stopped: self.stopped.load(Ordering::Relaxed),
            interrupted: self.interruptions.load(Ordering::Relaxed) >= INTERRUPTIONS,
            quarantined: self.quarantine.borrow().streams.len(),
        }
    }
}

/// The health of a consumer.
#[derive(Debug, Clone, Serialize)]
pub struct Health {
    pub name: &'static str,
    /// Position of the consumer; -1: not known yet.
    pub position: Position,
    /// True if the consumer cannot continue at all; the log file has the reason.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// True if the consumer keeps being interrupted on this node; the log file has the reason.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Number of streams in quarantine.
    #[serde(skip_serializing_if = "is_zero")]
    pub quarantined: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The consumers that queries wait for.
#[derive(Clone)]
pub struct Readers {
    database: Database,
    store: Arc<dyn EventStore>,
    readers: Arc<Vec<Arc<Reader>>>,
    looked: Arc<Mutex<Option<Instant>>>,
}

impl Readers {
    pub(crate) fn of(
        database: Database,
        store: Arc<dyn EventStore>,
        readers: Vec<Arc<Reader>>,
    ) -> Self {
        Self {
            database,
            store,
            readers: Arc::new(readers),
            looked: Arc::default(),
        }
    }

    /// Returns true if a consumer of this name is registered.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.readers.iter().any(|r| r.consumer.name() == name)
    }

    /// Waits until a read model has applied every event up to a position; returns its position.
    pub async fn wait(&self, name: &str, wanted: Position) -> Result<Position, WaitError> {
        let reader = self.readers.iter().find(|r| r.consumer.name() == name);
        let reader = reader.ok_or_else(|| WaitError::Unknown(name.to_owned()))?;
        let known = reader.position();
        if known >= wanted {
            return Ok(known);
        }
        reader.waiting.notify_one();
        let mut position = reader.position.subscribe();
        let reached = async {
            loop {
                let known = *position.borrow_and_update();
                if known >= wanted {
                    return known;
                }
                let moved = tokio::time::timeout(LOOK, position.changed()).await;
                if moved.is_err() && reader.lease() == Lease::Elsewhere {
                    self.look(reader, wanted).await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, reached)
            .await
            .map_err(|_| WaitError::TooFarBehind {
                name: reader.consumer.name(),
                position: reader.position(),
                wanted,
            })
    }

    /// Finds the position of a consumer on another node: its checkpoint, or a later one if no event in between concerns it.
    async fn look(&self, reader: &Reader, wanted: Position) {
        // One read checks for all that wait.
        let Ok(mut looked) = self.looked.try_lock() else {
            return;
        };
        if looked.is_none_or(|last| last.elapsed() >= LOOK) {
            if let Ok(checkpoints) = checkpoint::all(&self.database).await {
                self.follow(&checkpoints);
            }
            *looked = Some(Instant::now());
        }
        drop(looked);
        let (consumer, position) = (&reader.consumer, reader.position());
        let filter = Filter::categories(consumer.categories().iter().copied());
        if (0..wanted).contains(&position)
            && let Ok(page) = self.store.read_all(position, &filter, 1).await
            && page.events.is_empty()
        {
            reader.advance(page.scanned_to);
        }
    }

    /// Adopts the checkpoints of consumers that other nodes run.
    pub(crate) fn follow(&self, checkpoints: &[Checkpoint]) {
        let checkpoints: HashMap<&str, &Checkpoint> = checkpoints
            .iter()
            .map(|checkpoint| (checkpoint.name.as_str(), checkpoint))
            .collect();
        for reader in self.readers.iter() {
            if let Some(checkpoint) = checkpoints.get(reader.consumer.name()) {
                reader.follow(checkpoint);
            }
        }
    }

    /// Returns the health of every consumer.
    #[must_use]
    pub fn health(&self) -> Vec<Health> {
        self.readers.iter().map(|reader| reader.health()).collect()
    }

    /// Returns the position from which a read model lacks the events of a stream, if the stream is in quarantine.
    #[must_use]
    pub fn quarantined(&self, stream: &StreamId) -> Option<Position> {
        let mut readers = self.readers.iter();
        let reader = readers.find(|reader| reader.consumer.name() == stream.category)?;
        reader.quarantine.borrow().streams.get(stream).copied()
    }

    /// Returns the names of missing tables of read models.
    pub async fn missing_tables(&self) -> Result<Vec<String>, QueryError> {
        let client = self.database.session(Purpose::Queries).await?;
        let consumers: Vec<_> = self.readers.iter().map(|r| r.consumer.as_ref()).collect();
        let missing = tables::missing(&**client, &consumers).await;
        Ok(missing.map_err(|error| self.database.noticed(error))?)
    }
}
