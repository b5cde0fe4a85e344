//! What a note has attached goes with it.

use async_trait::async_trait;
use commands::Request;
use commands::knowledge::artifact::Change;
use domain::Aggregate;
use domain::knowledge::artifact::{Artifact, ArtifactCommand};
use domain::knowledge::note::{Note, NoteEvent};
use projections::knowledge::artifact;
use projections::{PostError, Readers};
use serde::{Deserialize, Serialize};
use store::{Position, Recorded};
use uuid::Uuid;

use crate::dispatcher::{Outcome, Work};
use crate::due_work::Item;
use crate::reaction::{Consequences, Reaction};
use crate::{NewItem, Office};

const KIND: &str = "note.remove_artifacts";

#[derive(Serialize, Deserialize)]
struct Purge {
    note_id: Uuid,
    event_id: Uuid,
    position: Position,
    correlation_id: Uuid,
}

/// Schedules the end of whatever a note that is gone had attached.
pub struct Purges;

#[async_trait]
impl Reaction for Purges {
    const NAME: &'static str = "artifact_purges";
    const CATEGORIES: &'static [&'static str] = &[Note::CATEGORY];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, PostError> {
        let mut consequences = Consequences::default();
        for event in events {
            let change = event
                .decode::<NoteEvent>()
                .map_err(|error| PostError::contract(event, &error))?;
            if change == (NoteEvent::Purged {}) {
                let purge = Purge {
                    note_id: event.stream.id,
                    event_id: event.event_id,
                    position: event.position,
                    correlation_id: event.correlation_id,
                };
                consequences.schedule.push(NewItem {
                    // The note's lines have an item of the event's own id.
                    id: Uuid::new_v5(&event.event_id, KIND.as_bytes()),
                    kind: KIND,
                    lane: event.product_id.to_string(),
                    product_id: event.product_id,
                    payload: serde_json::json!(purge),
                    run_at: event.recorded_at,
                });
            }
        }
        Ok(consequences)
    }
}

/// Removes what a note that is gone had attached.
pub struct Remove {
    office: Office,
    readers: Readers,
}

impl Remove {
    pub const fn new(office: Office, readers: Readers) -> Self {
        Self { office, readers }
    }

    /// Nothing is attached to a note that is gone: those that the read model has are all there ever will be.
    async fn remove_all(&self, item: &Item, purge: &Purge) -> Result<(), String> {
        self.readers
            .wait(Artifact::CATEGORY, purge.position)
            .await
            .map_err(|error| error.to_string())?;
        let artifacts = artifact::of_note(&self.office.database, purge.note_id)
            .await
            .map_err(|error| error.to_string())?;
        for id in artifacts {
            let request = Request::reaction(
                item.product_id,
                purge.correlation_id,
                purge.event_id,
                format!("purge:{}:{id}", purge.event_id),
            );
            let command = ArtifactCommand::Remove;
            self.office
                .executor
                .execute(&request, &Change { id, command })
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

#[async_trait]
impl Work for Remove {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn run(&self, item: &Item) -> Outcome {
        match serde_json::from_value(item.payload.clone()) {
            Ok(purge) => match self.remove_all(item, &purge).await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Failed(error),
            },
            Err(error) => Outcome::Park(error.to_string()),
        }
    }
}
