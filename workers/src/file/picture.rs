//! Pictures of actors in other sizes.

use async_trait::async_trait;
use blobs::{Blobs, picture};
use commands::operations::file::Keeper;
use commands::{On, Request};
use domain::Aggregate;
use domain::operations::container::Container;
use domain::operations::file::{File, FileCommand, FileEvent, Stored};
use projections::PostError;
use serde::{Deserialize, Serialize};
use store::Recorded;
use uuid::Uuid;

use crate::dispatcher::{Outcome, Work};
use crate::due_work::Item;
use crate::reaction::{Consequences, Reaction};
use crate::{NewItem, Office};

const KIND: &str = "file.resize";
/// Pixels of an edge.
const SIZES: [u32; 3] = [64, 128, 256];

#[derive(Serialize, Deserialize)]
struct Picture {
    file_id: Uuid,
    correlation_id: Uuid,
    /// The event that says that it is there.
    event_id: Uuid,
}

/// Schedules the other sizes of every picture that has come.
pub struct Pictures;

#[async_trait]
impl Reaction for Pictures {
    const NAME: &'static str = "file_pictures";
    const CATEGORIES: &'static [&'static str] = &[File::CATEGORY];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, PostError> {
        let mut consequences = Consequences::default();
        for event in events {
            let change = event
                .decode::<FileEvent>()
                .map_err(|error| PostError::contract(event, &error))?;
            if let FileEvent::Stored {
                container: Container::Avatars,
                ..
            } = change
            {
                let picture = Picture {
                    file_id: event.stream.id,
                    correlation_id: event.correlation_id,
                    event_id: event.event_id,
                };
                consequences.schedule.push(NewItem {
                    id: event.event_id,
                    kind: KIND,
                    lane: event.product_id.to_string(),
                    product_id: event.product_id,
                    payload: serde_json::json!(picture),
                    run_at: event.recorded_at,
                });
            }
        }
        Ok(consequences)
    }
}

/// Makes the other sizes, or says why there are none.
pub struct Resize {
    office: Office,
    blobs: Blobs,
}

impl Resize {
    pub const fn new(office: Office, blobs: Blobs) -> Self {
        Self { office, blobs }
    }

    async fn resize(&self, item: &Item, picture: &Picture) -> Result<(), String> {
        let id = picture.file_id;
        let executor = &self.office.executor;
        let file = executor.loader().latest::<File>(id).await;
        let file = file.map_err(|error| error.to_string())?.state;
        let Some(stored) = file.stored() else {
            return Ok(());
        };
        let cause = picture.event_id;
        let request = Request::reaction(
            item.product_id,
            picture.correlation_id,
            cause,
            format!("resize:{cause}"),
        );
        match self.squares(item.product_id, stored).await? {
            Ok(squares) => {
                let keeper = Keeper {
                    executor,
                    blobs: &self.blobs,
                    request: &request,
                };
                let done = keeper.resize(id, stored, &squares).await;
                done.map(drop).map_err(|error| error.to_string())
            }
            Err(reason) => {
                let command = FileCommand::FailResize { reason };
                let done = executor
                    .execute(&request, &On::<File> { id, command })
                    .await;
                done.map(drop).map_err(|error| error.to_string())
            }
        }
    }

    /// The other sizes, or why there are none; an error: nobody knows yet.
    async fn squares(
        &self,
        product_id: Uuid,
        stored: &Stored,
    ) -> Result<Result<Vec<picture::Square>, String>, String> {
        let mut keys = stored.blobs(product_id);
        let name = keys.swap_remove(0).to_string();
        let bytes = self.blobs.read_all(&name).await;
        let bytes = bytes.map_err(|error| error.to_string())?;
        tokio::task::spawn_blocking(move || picture::squares(&bytes, &SIZES))
            .await
            .map(|squares| squares.map_err(|reason| reason.to_string()))
            // Whatever makes a decoder panic is no picture either.
            .or_else(|error| Ok(Err(error.to_string())))
    }
}

#[async_trait]
impl Work for Resize {
    fn kind(&self) -> &'static str {
        KIND
    }

    /// Each takes the memory of a whole picture.
    fn concurrency(&self) -> usize {
        1
    }

    async fn run(&self, item: &Item) -> Outcome {
        match serde_json::from_value(item.payload.clone()) {
            Ok(picture) => match self.resize(item, &picture).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Failed(error),
            },
            Err(error) => Outcome::Park(error.to_string()),
        }
    }
}
