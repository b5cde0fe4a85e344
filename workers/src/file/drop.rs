//! Bytes that a file has let go of, and no other has: dropped, and deleted from the store.

use async_trait::async_trait;
use blobs::Blobs;
use commands::{Executor, On, Request};
use domain::Aggregate;
use domain::operations::blob::{Blob, BlobCommand, BlobEvent, BlobKey};
use projections::PostError;
use serde::{Deserialize, Serialize};
use store::Recorded;
use uuid::Uuid;

use crate::dispatcher::{Outcome, Work};
use crate::due_work::Item;
use crate::reaction::{Consequences, Reaction};
use crate::{NewItem, Office};

const KIND: &str = "blob.drop";

#[derive(Serialize, Deserialize)]
struct Drop {
    /// The name of the object.
    key: String,
    correlation_id: Uuid,
    event_id: Uuid,
}

/// Schedules a look at whatever a file has let go of.
pub struct Releases;

#[async_trait]
impl Reaction for Releases {
    const NAME: &'static str = "blob_releases";
    const CATEGORIES: &'static [&'static str] = &[Blob::CATEGORY];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, PostError> {
        let mut consequences = Consequences::default();
        for event in events {
            let change = event
                .decode::<BlobEvent>()
                .map_err(|error| PostError::contract(event, &error))?;
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
                consequences.schedule.push(NewItem {
                    id: event.event_id,
                    kind: KIND,
                    lane: product_id.to_string(),
                    product_id,
                    payload: serde_json::json!(drop),
                    run_at: event.recorded_at,
                });
            }
        }
        Ok(consequences)
    }
}

/// Drops bytes that no file has, and deletes the object.
pub struct DropBlob {
    office: Office,
    blobs: Blobs,
}

impl DropBlob {
    pub const fn new(office: Office, blobs: Blobs) -> Self {
        Self { office, blobs }
    }

    async fn drop(&self, item: &Item, drop: &Drop) -> Result<(), String> {
        let key: BlobKey = drop.key.parse().map_err(|_| drop.key.clone())?;
        let cause = drop.event_id;
        let request = Request::reaction(
            item.product_id,
            drop.correlation_id,
            cause,
            format!("drop:{cause}"),
        );
        release(&self.office.executor, &self.blobs, &request, &key)
            .await
            .map(std::mem::drop)
    }
}

/// Deletes the object unless a file has it; returns whether it is gone. First the log: from then on nobody relies on it.
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
    let blob = executor.loader().latest::<Blob>(id).await;
    let is_dropped = blob.map_err(|error| error.to_string())?.state.generation > key.generation;
    if is_dropped {
        let deleted = blobs.delete(&key.to_string()).await;
        deleted.map_err(|error| error.to_string())?;
    }
    Ok(is_dropped)
}

#[async_trait]
impl Work for DropBlob {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn run(&self, item: &Item) -> Outcome {
        match serde_json::from_value(item.payload.clone()) {
            Ok(drop) => match self.drop(item, &drop).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Failed(error),
            },
            Err(error) => Outcome::Park(error.to_string()),
        }
    }
}
