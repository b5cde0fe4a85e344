//! Deletes blobs that no file references any more, from the log and from the store.

use async_trait::async_trait;
use blobs::Blobs;
use commands::{Executor, On, Request};
use domain::Aggregate;
use domain::operations::blob::{Blob, BlobCommand, BlobEvent, BlobKey};
use projections::ApplyError;
use serde::{Deserialize, Serialize};
use store::Recorded;
use uuid::Uuid;

use crate::job_handler::{JobHandler, Outcome};
use crate::jobs::Job;
use crate::reaction::{Consequences, Reaction};
use crate::{NewJob, WorkerContext};

#[derive(Serialize, Deserialize)]
pub struct Drop {
    /// Name of the object.
    key: String,
    correlation_id: Uuid,
    event_id: Uuid,
}

/// Schedules a check of every blob that a file has released.
pub struct Releases;

#[async_trait]
impl Reaction for Releases {
    const NAME: &'static str = "blob_releases";
    const CATEGORIES: &'static [&'static str] = &[Blob::CATEGORY];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, ApplyError> {
        let mut consequences = Consequences::default();
        for event in events {
            let change = event
                .decode::<BlobEvent>()
                .map_err(|error| ApplyError::contract(event, &error))?;
            if let BlobEvent::Released {
                container,
                sha256,
                generation,
                ..
            } = change
            {
                let product_id = event.product_id;
                let key = BlobKey {
                    product_id,
                    container,
                    sha256,
                    generation,
                };
                let drop = Drop {
                    key: key.to_string(),
                    correlation_id: event.correlation_id,
                    event_id: event.event_id,
                };
                let job = NewJob::of::<DropBlob>(event, &drop);
                consequences.schedule.push(job);
            }
        }
        Ok(consequences)
    }
}

/// Drops a blob that no file references, and deletes its object.
pub struct DropBlob {
    context: WorkerContext,
    blobs: Blobs,
}

impl DropBlob {
    pub const fn new(context: WorkerContext, blobs: Blobs) -> Self {
        Self { context, blobs }
    }
}

#[async_trait]
impl JobHandler for DropBlob {
    const KIND: &'static str = "blob.drop";
    type Payload = Drop;

    async fn run(&self, job: &Job, drop: Drop) -> Result<Outcome, String> {
        let key: BlobKey = drop.key.parse().map_err(|_| drop.key)?;
        let cause = drop.event_id;
        let request = Request::reaction(
            job.product_id,
            drop.correlation_id,
            cause,
            format!("drop:{cause}"),
        );
        release(&self.context.executor, &self.blobs, &request, &key).await?;
        Ok(Outcome::Done)
    }
}

/// Deletes the object unless a file references it; returns true if it is gone. The log comes first, so that no file relies on it
/// afterwards.
pub(super) async fn release(
    executor: &Executor,
    blobs: &Blobs,
    request: &Request,
    key: &BlobKey,
) -> Result<bool, String> {
    let id = key.id();
    let command = BlobCommand::Drop { key: key.clone() };
    executor
        .execute(request, &On::<Blob> { id, command })
        .await
        .map_err(|error| error.to_string())?;
    let blob = executor.repository().latest::<Blob>(id).await;
    let is_dropped = blob.map_err(|error| error.to_string())?.state.generation > key.generation;
    if is_dropped {
        let deleted = blobs.delete(&key.to_string()).await;
        deleted.map_err(|error| error.to_string())?;
    }
    Ok(is_dropped)
}
