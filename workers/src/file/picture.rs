//! Renditions of actors' pictures in other sizes.

use async_trait::async_trait;
use blobs::{Blobs, picture};
use commands::operations::file::Keeper;
use commands::{On, Request};
use domain::Aggregate;
use domain::operations::container::Container;
use domain::operations::file::{File, FileCommand, FileEvent, Stored};
use projections::ApplyError;
use serde::{Deserialize, Serialize};
use store::Recorded;
use uuid::Uuid;

use crate::job_handler::{JobHandler, Outcome};
use crate::jobs::Job;
use crate::reaction::{Consequences, Reaction};
use crate::{NewJob, WorkerContext};

/// Edge lengths in pixels.
const SIZES: [u32; 3] = [64, 128, 256];

#[derive(Serialize, Deserialize)]
pub struct Picture {
    file_id: Uuid,
    correlation_id: Uuid,
    /// The event that stored the file.
    event_id: Uuid,
}

/// Schedules the renditions of every stored picture.
pub struct Pictures;

#[async_trait]
impl Reaction for Pictures {
    const NAME: &'static str = "file_pictures";
    const CATEGORIES: &'static [&'static str] = &[File::CATEGORY];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, ApplyError> {
        let mut consequences = Consequences::default();
        for event in events {
            let change = event
                .decode::<FileEvent>()
                .map_err(|error| ApplyError::contract(event, &error))?;
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
                let job = NewJob::of::<Resize>(event, &picture);
                consequences.schedule.push(job);
            }
        }
        Ok(consequences)
    }
}

/// Makes the renditions, or records the reason for their absence.
pub struct Resize {
    context: WorkerContext,
    blobs: Blobs,
}

impl Resize {
    pub const fn new(context: WorkerContext, blobs: Blobs) -> Self {
        Self { context, blobs }
    }

    async fn resize(&self, item: &Job, picture: &Picture) -> Result<(), String> {
        let id = picture.file_id;
        let executor = &self.context.executor;
        let file = executor.repository().latest::<File>(id).await;
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

    /// Returns the renditions, or the reason why there cannot be any; an error: try again.
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
            // A file that makes a decoder panic is not a picture either.
            .or_else(|error| Ok(Err(error.to_string())))
    }
}

#[async_trait]
impl JobHandler for Resize {
    const KIND: &'static str = "file.resize";
    type Payload = Picture;

    /// One at a time, because each takes the memory of a whole picture.
    fn concurrency(&self) -> usize {
        1
    }

    async fn run(&self, job: &Job, picture: Picture) -> Result<Outcome, String> {
        self.resize(job, &picture).await?;
        Ok(Outcome::Done)
    }
}
