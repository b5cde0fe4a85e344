//! The sweep: removes unreferenced objects from the store. A process leaves them if it dies between writing bytes
//! and recording them, or between recording their removal and deleting them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use blobs::{ARRIVING, BlobError, Blobs, Object};
use chrono::{TimeDelta, Utc};
use commands::{Executor, Request};
use domain::identity::product::OPERATOR;
use domain::operations::blob::{Blob, BlobKey};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use store::{Database, Purpose};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Settings, drop};
use crate::NewJob;
use crate::job_handler::{JobHandler, Outcome};
use crate::jobs::{self, Job};

/// Id of the one job that all nodes share.
const ID: Uuid = Uuid::from_u128(0x5eeb);
/// Maximum time of one run, well within a lease.
const TURN: Duration = Duration::from_secs(20);
/// Wait before another attempt to schedule the first sweep.
const RETRY: Duration = Duration::from_secs(5);

/// The result of checking an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Fate {
    /// A file references the object.
    Kept,
    /// The object is not referenced, but may be part of an upload in flight.
    Young,
    /// The object is not Daybook's.
    Foreign,
    /// The object is not referenced: it is removed, or would be in a dry run.
    Orphan,
}

/// Reasons why a sweep ended early.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] BlobError),
    /// The log could not tell if an object is referenced.
    #[error("{0}")]
    Log(String),
}

/// Checks every object once.
pub struct Sweep {
    pub executor: Arc<Executor>,
    pub blobs: Blobs,
    /// Minimum age of unreferenced objects that are removed.
    pub grace: Duration,
    /// True if nothing is removed.
    pub dry_run: bool,
}

impl Sweep {
    /// Checks the objects with names after one, until a time; returns the name to continue from, unless it has reached the end.
    pub async fn run(
        &self,
        after: Option<&str>,
        until: Option<Instant>,
        mut report: impl FnMut(&Object, Fate) + Send,
    ) -> Result<Option<String>, SweepError> {
        if after.is_none() {
            let cleared = self.blobs.clear_leftovers(self.grace, self.dry_run).await?;
            self.count(Fate::Orphan, cleared);
        }
        let mut objects = self.blobs.list(after);
        while let Some(object) = objects.next().await {
            let object = object?;
            let fate = self.look(&object).await?;
            self.count(fate, 1);
            report(&object, fate);
            if until.is_some_and(|until| Instant::now() > until) {
                return Ok(Some(object.name));
            }
        }
        Ok(None)
    }

    fn count(&self, fate: Fate, objects: u64) {
        if !self.dry_run && objects > 0 {
            let fate: &str = fate.into();
            metrics::counter!("daybook_files_swept_total", "fate" => fate).increment(objects);
        }
    }

    async fn look(&self, object: &Object) -> Result<Fate, SweepError> {
        let grace = TimeDelta::from_std(self.grace).unwrap_or(TimeDelta::MAX);
        let is_young = Utc::now().signed_duration_since(object.modified_at) < grace;
        if let Ok(key) = object.name.parse::<BlobKey>() {
            return self.look_at_blob(&key, is_young).await;
        }
        let fate = match object.name.strip_prefix(ARRIVING) {
            Some(rest) if rest.starts_with('/') && is_young => Fate::Young,
            Some(rest) if rest.starts_with('/') => Fate::Orphan,
            Some(_) | None => Fate::Foreign,
        };
        if fate == Fate::Orphan && !self.dry_run {
            self.blobs.delete(&object.name).await?;
        }
        Ok(fate)
    }

    async fn look_at_blob(&self, key: &BlobKey, is_young: bool) -> Result<Fate, SweepError> {
        let repository = self.executor.repository();
        let blob = repository.latest::<Blob>(key.id()).await;
        let blob = blob
            .map_err(|error| SweepError::Log(error.to_string()))?
            .state;
        if key.generation > blob.generation {
            return Ok(Fate::Foreign);
        }
        if key.generation == blob.generation {
            if !blob.files.is_empty() {
                return Ok(Fate::Kept);
            }
            if is_young {
                return Ok(Fate::Young);
            }
        }
        if self.dry_run {
            return Ok(Fate::Orphan);
        }
        let id = Uuid::now_v7();
        let request = Request::reaction(key.product_id, id, id, format!("sweep:{id}"));
        let request = Request {
            causation_id: None,
            ..request
        };
        let gone = drop::release(&self.executor, &self.blobs, &request, key).await;
        match gone.map_err(SweepError::Log)? {
            true => Ok(Fate::Orphan),
            false => Ok(Fate::Kept),
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
pub struct Progress {
    /// Name of the last object that was checked.
    after: Option<String>,
}

/// Sweeps periodically, on one node at a time.
pub struct Sweeping {
    sweep: Sweep,
    interval: Duration,
}

impl Sweeping {
    pub fn new(executor: Arc<Executor>, settings: &Settings) -> Self {
        Self {
            sweep: Sweep {
                executor,
                blobs: settings.blobs.clone(),
                grace: settings.sweep_grace,
                dry_run: false,
            },
            interval: settings.sweep_interval,
        }
    }
}

#[async_trait]
impl JobHandler for Sweeping {
    const KIND: &'static str = "file.sweep";
    type Payload = Progress;

    async fn run(&self, _: &Job, progress: Progress) -> Result<Outcome, String> {
        let until = Instant::now() + TURN;
        let report = |object: &Object, fate| {
            if fate == Fate::Orphan {
                tracing::info!(name = object.name, size = object.size, "swept away");
            }
        };
        let swept = self
            .sweep
            .run(progress.after.as_deref(), Some(until), report);
        let after = swept.await.map_err(|error| error.to_string())?;
        Ok(Outcome::Again {
            at: match after {
                Some(_) => Utc::now(),
                None => Utc::now() + self.interval,
            },
            payload: serde_json::json!(Progress { after }),
        })
    }
}

/// Schedules the first sweep, unless it was scheduled before.
pub async fn seed(database: Database, interval: Duration, shutdown: CancellationToken) {
    let first = NewJob {
        id: ID,
        kind: Sweeping::KIND,
        partition: String::new(),
        product_id: OPERATOR,
        payload: serde_json::json!(Progress::default()),
        run_at: Utc::now() + interval,
    };
    while !shutdown.is_cancelled() {
        match schedule(&database, &first).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "cannot schedule the sweep of files"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn schedule(database: &Database, item: &NewJob) -> Result<(), jobs::Error> {
    let client = database.session(Purpose::Jobs).await?;
    let client: &tokio_postgres::Client = &client;
    Ok(jobs::schedule(client, std::slice::from_ref(item)).await?)
}
