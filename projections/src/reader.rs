//! A consumer as one node sees it, and waiting for its progress.

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

/// How long a read waits for its read model.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often reads that wait look at the checkpoints, if another node runs the consumer.
const LOOK: Duration = Duration::from_millis(5);

/// From how many interruptions in a row on a consumer counts as one that does not run: one may be a deadlock.
const INTERRUPTIONS: u32 = 3;

/// A read that is not answered.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The read model has not come as far as the read asks; try again a little later.
    #[error("the read model {name} is at position {position}, not yet at {wanted}")]
    TooFarBehind {
        name: &'static str,
        position: Position,
        wanted: Position,
    },
    /// This build has no such read model.
    #[error("no read model {0} is registered; add it to projections/src/models.rs")]
    Unknown(String),
}

/// This node's right to run a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lease {
    /// This node does not know of anybody who has it.
    Free,
    /// Another node has it.
    Elsewhere,
    /// This node has it.
    Held,
    /// This node gives it up, and waits until the consumer has stopped.
    Ending,
    /// The consumer has stopped.
    Left,
}

/// A consumer as this node sees it.
pub(crate) struct Reader {
    pub consumer: Arc<dyn Consumer>,
    position: watch::Sender<Position>,
    lease: watch::Sender<Lease>,
    /// Told whenever a read begins to wait.
    pub waiting: Notify,
    /// It cannot go on at all.
    stopped: AtomicBool,
    quarantine: watch::Sender<Known>,
    /// How often its runner was interrupted in a row.
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

    /// Returns the position up to which its read model is known to be; -1: not known yet.
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

    /// Takes over the progress that a checkpoint shows of another node's consumer. Until this node knows better, it must have been
    /// built by the same version.
    pub fn follow(&self, checkpoint: &Checkpoint) {
        let is_elsewhere = self.lease() == Lease::Elsewhere;
        if is_elsewhere && (self.position() >= 0 || checkpoint.built_by == self.consumer.built_by())
        {
            self.advance(checkpoint.position);
            self.stop(false);
            self.interrupted(false);
        }
    }

    /// Counts an interruption of the runner; false: it runs.
    pub fn interrupted(&self, is_interrupted: bool) {
        if is_interrupted {
            self.interruptions.fetch_add(1, Ordering::Relaxed);
        } else {
            self.interruptions.store(0, Ordering::Relaxed);
        }
    }

    /// Notes that it cannot go on at all, or that it can.
    pub fn stop(&self, stopped: bool) {
        self.stopped.store(stopped, Ordering::Relaxed);
        let name = self.consumer.name();
        metrics::gauge!("daybook_projection_stopped", "projection" => name)
            .set(f64::from(u8::from(stopped)));
    }

    /// Notes which streams it goes on without.
    pub fn know(&self, quarantine: Known) {
        let name = self.consumer.name();
        #[expect(clippy::cast_precision_loss, reason = "a metric")]
        metrics::gauge!("daybook_projection_quarantined_streams", "projection" => name)
            .set(quarantine.streams.len() as f64);
        self.quarantine.send_replace(quarantine);
    }

    /// Returns once somebody else has changed the quarantine since a version.
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

/// How a consumer is doing.
#[derive(Debug, Clone, Serialize)]
pub struct Health {
    pub name: &'static str,
    /// -1: not known yet.
    pub position: Position,
    /// It cannot go on at all; the log says why.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// It does not get to run here; the log says why.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Streams that it goes on without, because of an event that it cannot apply.
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

    /// Waits until a read model has taken in everything up to a position; returns how far it is.
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

    /// Looks how far another node's consumer is: goes by its checkpoint, and beyond it as far as nothing follows that concerns it.
    async fn look(&self, reader: &Reader, wanted: Position) {
        // One read looks for all that wait.
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

    /// Takes over what checkpoints show of the consumers that other nodes run.
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

    /// How every consumer is doing.
    #[must_use]
    pub fn health(&self) -> Vec<Health> {
        self.readers.iter().map(|reader| reader.health()).collect()
    }

    /// The position from which on a read model shows nothing of a stream, if that is in quarantine.
    #[must_use]
    pub fn quarantined(&self, stream: &StreamId) -> Option<Position> {
        let mut readers = self.readers.iter();
        let reader = readers.find(|reader| reader.consumer.name() == stream.category)?;
        reader.quarantine.borrow().streams.get(stream).copied()
    }

    /// Names the tables of read models that do not exist.
    pub async fn missing_tables(&self) -> Result<Vec<String>, QueryError> {
        let client = self.database.session(Purpose::Queries).await?;
        let consumers: Vec<_> = self.readers.iter().map(|r| r.consumer.as_ref()).collect();
        let missing = tables::missing(&**client, &consumers).await;
        Ok(missing.map_err(|error| self.database.noticed(error))?)
    }
}
