//! Removes the artifacts of purged notes.

use async_trait::async_trait;
use commands::Request;
use commands::knowledge::artifact::Change;
use domain::Aggregate;
use domain::knowledge::artifact::{Artifact, ArtifactCommand};
use domain::knowledge::note::{Note, NoteEvent};
use projections::knowledge::artifact;
use projections::{ApplyError, Readers};
use serde::{Deserialize, Serialize};
use store::{Position, Recorded};
use uuid::Uuid;

use crate::job_handler::{JobHandler, Outcome};
use crate::jobs::Job;
use crate::reaction::{Consequences, Reaction};
use crate::{NewJob, WorkerContext};

#[derive(Serialize, Deserialize)]
pub struct Purge {
    note_id: Uuid,
    event_id: Uuid,
    position: Position,
    correlation_id: Uuid,
}

/// Schedules the removal of a purged note's artifacts.
pub struct Purges;

#[async_trait]
impl Reaction for Purges {
    const NAME: &'static str = "artifact_purges";
    const CATEGORIES: &'static [&'static str] = &[Note::CATEGORY];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, ApplyError> {
        let mut consequences = Consequences::default();
        for event in events {
            let change = event
                .decode::<NoteEvent>()
                .map_err(|error| ApplyError::contract(event, &error))?;
            if change == (NoteEvent::Purged {}) {
                let purge = Purge {
                    note_id: event.stream.id,
                    event_id: event.event_id,
                    position: event.position,
                    correlation_id: event.correlation_id,
                };
                consequences.schedule.push(NewJob {
                    // The job for the note's lines has the event's own id.
                    id: Uuid::new_v5(&event.event_id, Remove::KIND.as_bytes()),
                    ..NewJob::of::<Remove>(event, &purge)
                });
            }
        }
        Ok(consequences)
    }
}

/// Removes the artifacts of a purged note.
pub struct Remove {
    context: WorkerContext,
    readers: Readers,
}

impl Remove {
    pub const fn new(context: WorkerContext, readers: Readers) -> Self {
        Self { context, readers }
    }
}

#[async_trait]
impl JobHandler for Remove {
    const KIND: &'static str = "note.remove_artifacts";
    type Payload = Purge;

    /// Removes all artifacts in the read model: nothing can be attached to a purged note, so no more can follow.
    async fn run(&self, job: &Job, purge: Purge) -> Result<Outcome, String> {
        self.readers
            .wait(Artifact::CATEGORY, purge.position)
            .await
            .map_err(|error| error.to_string())?;
        let artifacts = artifact::of_note(&self.context.database, purge.note_id)
            .await
            .map_err(|error| error.to_string())?;
        for id in artifacts {
            let request = Request::reaction(
                job.product_id,
                purge.correlation_id,
                purge.event_id,
                format!("purge:{}:{id}", purge.event_id),
            );
            let command = ArtifactCommand::Remove;
            self.context
                .executor
                .execute(&request, &Change { id, command })
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(Outcome::Done)
    }
}
