//! Registers, runs and measures the consumers of a node.

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use store::{Database, EventStore, Filter, Position};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::reader::{Reader, Readers};
use crate::runner::Runner;
use crate::{Consumer, MemoryBudget, QueryError, checkpoint, idle, leases, quarantine};

/// Interval at which the lag is measured.
const MEASURE: Duration = Duration::from_secs(1);
/// Maximum number of checkpoints that wait to advance.
const MOVES: usize = 64;

/// The runtime of a node's consumers.
#[derive(Clone)]
pub struct Runtime {
    database: Database,
    store: Arc<dyn EventStore>,
    readers: Vec<Arc<Reader>>,
}

impl Runtime {
    #[must_use]
    pub const fn new(database: Database, store: Arc<dyn EventStore>) -> Self {
        Self {
            database,
            store,
            readers: vec![],
        }
    }

    /// Adds consumers; returns the readers that queries wait on.
    pub fn add(&mut self, consumers: Vec<Arc<dyn Consumer>>) -> Readers {
        let readers: Vec<_> = consumers
            .into_iter()
            .map(Reader::new)
            .map(Arc::new)
            .collect();
        self.readers.extend(readers.iter().cloned());
        self.readers_of(readers)
    }

    /// Starts all consumers. They end at shutdown, after the current batch.
    pub fn start(&self, tasks: &TaskTracker, shutdown: &CancellationToken) {
        let memory = MemoryBudget::default();
        let (moves, moved) = mpsc::channel(MOVES);
        tasks.spawn(idle::run(self.database.clone(), moved));
        // Each rebuild has a session of its own.
        let rebuilds = Arc::new(Semaphore::new(1));
        for reader in &self.readers {
            let runner = Runner {
                database: self.database.clone(),
                store: Arc::clone(&self.store),
                reader: Arc::clone(reader),
                memory: memory.clone(),
                rebuilds: Arc::clone(&rebuilds),
                moves: moves.clone(),
                shutdown: shutdown.clone(),
            };
            tasks.spawn(runner.run());
        }
        tasks.spawn(leases::run(
            self.database.clone(),
            self.readers.clone(),
            shutdown.clone(),
        ));
        tasks.spawn(self.clone().measure(shutdown.clone()));
    }

    fn readers_of(&self, readers: Vec<Arc<Reader>>) -> Readers {
        Readers::of(self.database.clone(), Arc::clone(&self.store), readers)
    }

    /// Follows the progress on other nodes, and updates the lag gauges, also those of stopped consumers.
    async fn measure(self, shutdown: CancellationToken) {
        let all = self.readers_of(self.readers.clone());
        while !shutdown.is_cancelled() {
            if let Err(error) = self.look(&all).await {
                tracing::debug!(%error, "cannot look at the checkpoints");
            }
            for reader in &self.readers {
                self.measure_lag(reader).await;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(MEASURE) => {}
            }
        }
    }

    async fn look(&self, all: &Readers) -> Result<(), QueryError> {
        let checkpoints = checkpoint::all(&self.database).await?;
        all.follow(&checkpoints);
        let mut known = quarantine::known(&self.database, &checkpoints).await?;
        for reader in &self.readers {
            reader.know(known.remove(reader.consumer.name()).unwrap_or_default());
        }
        Ok(())
    }

    async fn measure_lag(&self, reader: &Reader) {
        let name = reader.consumer.name();
        let position = reader.position();
        let behind = *self.store.head().borrow() - position;
        #[expect(clippy::cast_precision_loss, reason = "a metric")]
        metrics::gauge!("daybook_projection_lag_positions", "projection" => name)
            .set(behind.max(0) as f64);
        let seconds = if behind > 0 {
            age_of_next(self.store.as_ref(), position).await
        } else {
            0.0
        };
        metrics::gauge!("daybook_projection_lag_seconds", "projection" => name).set(seconds);
    }
}

/// Returns the seconds since the first event that a consumer has not seen was recorded.
async fn age_of_next(store: &dyn EventStore, position: Position) -> f64 {
    let next = store.read_all(position, &Filter::default(), 1).await;
    let recorded_at = next
        .ok()
        .and_then(|page| Some(page.events.first()?.recorded_at));
    let age = recorded_at.map_or(TimeDelta::zero(), |at| Utc::now() - at);
    age.as_seconds_f64().max(0.0)
}
