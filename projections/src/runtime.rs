//! The consumers of a node, how far each has come, and waiting for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::StreamId;
use serde::Serialize;
use store::{Database, EventStore, Filter, Position};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::quarantine::{self, Known};
use crate::runner::Runner;
use crate::{Consumer, Memory, QueryError, checkpoint, tables};

/// How long a read waits for its read model.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a waiting read looks at the checkpoint itself, in case another node runs the projection.
const LOOK: Duration = Duration::from_millis(5);

/// From how many interruptions in a row on a consumer counts as one that does not run: one may be a deadlock.
const INTERRUPTIONS: u32 = 3;

/// How often the lag is measured.
const MEASURE: Duration = Duration::from_secs(1);

/// The read model has not come as far as the read asks; try again a little later.
#[derive(Debug, thiserror::Error)]
#[error("the read model {name} is at position {position}, not yet at {wanted}")]
pub struct TooFarBehind {
    pub name: &'static str,
    pub position: Position,
    pub wanted: Position,
}

/// A consumer as this node sees it.
pub(crate) struct Reader {
    pub consumer: Arc<dyn Consumer>,
    position: watch::Sender<Position>,
    /// Told whenever a read begins to wait.
    pub waiting: Notify,
    /// It cannot go on at all.
    stopped: AtomicBool,
    quarantine: watch::Sender<Known>,
    /// How often its runner was interrupted in a row.
    interruptions: AtomicU32,
}

impl Reader {
    fn new(consumer: Arc<dyn Consumer>) -> Self {
        let reader = Self {
            consumer,
            position: watch::Sender::new(-1),
            waiting: Notify::new(),
            stopped: AtomicBool::default(),
            quarantine: watch::Sender::default(),
            interruptions: AtomicU32::new(0),
        };
        reader.stop(false);
        reader.know(Known::default());
        reader
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

/// What queries ask before they read.
#[derive(Clone)]
pub struct Readers {
    database: Database,
    store: Arc<dyn EventStore>,
    readers: Arc<Vec<Arc<Reader>>>,
}

impl Readers {
    /// Waits until a read model has taken in everything up to a position; returns how far it is.
    pub async fn wait(&self, name: &str, wanted: Position) -> Result<Position, TooFarBehind> {
        let Some(reader) = self.readers.iter().find(|r| r.consumer.name() == name) else {
            return Ok(wanted);
        };
        let known = *reader.position.borrow();
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
                if moved.is_err() {
                    self.look(reader, wanted).await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, reached)
            .await
            .map_err(|_| TooFarBehind {
                name: reader.consumer.name(),
                position: *reader.position.borrow(),
                wanted,
            })
    }

    /// Goes by the checkpoint, and beyond it as far as nothing follows that the consumer has to do with.
    async fn look(&self, reader: &Reader, wanted: Position) {
        let consumer = &reader.consumer;
        if let Ok(client) = self.database.pool.get().await
            && let Ok(Some(checkpoint)) = checkpoint::read(&**client, consumer.name()).await
        {
            reader.advance(checkpoint.position);
            let filter = Filter::categories(consumer.categories().iter().copied());
            if checkpoint.position < wanted
                && let Ok(page) = self.store.read_all(checkpoint.position, &filter, 1).await
                && page.events.is_empty()
            {
                reader.advance(page.scanned_to);
            }
        }
    }

    /// How every consumer is doing.
    #[must_use]
    pub fn health(&self) -> Vec<Health> {
        self.readers
            .iter()
            .map(|reader| Health {
                name: reader.consumer.name(),
                position: *reader.position.borrow(),
                stopped: reader.stopped.load(Ordering::Relaxed),
                interrupted: reader.interruptions.load(Ordering::Relaxed) >= INTERRUPTIONS,
                quarantined: reader.quarantine.borrow().streams.len(),
            })
            .collect()
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
        let client = self.database.pool.get().await?;
        let consumers: Vec<_> = self.readers.iter().map(|r| r.consumer.as_ref()).collect();
        let missing = tables::missing(&**client, &consumers).await;
        Ok(missing.map_err(|error| self.database.noticed(error))?)
    }
}

/// Runs the consumers of a node.
pub struct Runtime {
    database: Database,
    store: Arc<dyn EventStore>,
    readers: Readers,
}

impl Runtime {
    pub fn new(
        database: Database,
        store: Arc<dyn EventStore>,
        consumers: Vec<Arc<dyn Consumer>>,
    ) -> Self {
        let readers = consumers.into_iter().map(Reader::new).map(Arc::new);
        Self {
            readers: Readers {
                database: database.clone(),
                store: Arc::clone(&store),
                readers: Arc::new(readers.collect()),
            },
            database,
            store,
        }
    }

    pub fn readers(&self) -> Readers {
        self.readers.clone()
    }

    /// Starts a runner for each; they end at shutdown, after the batch under way.
    pub fn start(&self, tasks: &TaskTracker, shutdown: &CancellationToken) {
        let memory = Memory::default();
        for reader in self.readers.readers.iter() {
            let runner = Runner {
                database: self.database.clone(),
                store: Arc::clone(&self.store),
                reader: Arc::clone(reader),
                memory: memory.clone(),
                shutdown: shutdown.clone(),
            };
            tasks.spawn(runner.run());
        }
        let (readers, store) = (self.readers.clone(), Arc::clone(&self.store));
        tasks.spawn(measure(readers, store, shutdown.clone()));
    }
}

/// Keeps an eye on the quarantine, and the lag gauges up to date, also those of a consumer that stands still.
async fn measure(readers: Readers, store: Arc<dyn EventStore>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        match quarantine::known(&readers.database).await {
            Ok(mut known) => {
                for reader in readers.readers.iter() {
                    reader.know(known.remove(reader.consumer.name()).unwrap_or_default());
                }
            }
            Err(error) => tracing::debug!(%error, "cannot look at the quarantine"),
        }
        for reader in readers.readers.iter() {
            let name = reader.consumer.name();
            let position = *reader.position.borrow();
            let behind = *store.head().borrow() - position;
            #[expect(clippy::cast_precision_loss, reason = "a metric")]
            metrics::gauge!("daybook_projection_lag_positions", "projection" => name)
                .set(behind.max(0) as f64);
            metrics::gauge!("daybook_projection_lag_seconds", "projection" => name).set(
                if behind > 0 {
                    age_of_next(store.as_ref(), position).await
                } else {
                    0.0
                },
            );
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(MEASURE) => {}
        }
    }
}

/// Seconds since the first event that a consumer has not seen yet was recorded.
async fn age_of_next(store: &dyn EventStore, position: Position) -> f64 {
    let next = store.read_all(position, &Filter::default(), 1).await;
    let recorded_at = next
        .ok()
        .and_then(|page| Some(page.events.first()?.recorded_at));
    let age = recorded_at.map_or(TimeDelta::zero(), |at| Utc::now() - at);
    age.as_seconds_f64().max(0.0)
}
