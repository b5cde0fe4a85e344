//! Note events for direct appends to the log, with payloads of 300 bytes.

use std::collections::BTreeSet;

use domain::knowledge::note::{Note, NoteEvent};
use domain::{Actor, ActorKind, EventContract, StreamId};
use store::{Append, EventStore, Expected, Metadata, NewEvent, Position};
use uuid::Uuid;

/// The length of a new note's body that makes its payload 300 bytes long.
pub const BODY: usize = 208;

/// Number of events in one append of a batch.
pub const BATCH: usize = 1000;

/// The author of notes, and their workspace.
#[derive(Clone, Copy)]
pub struct Desk {
    pub product_id: Uuid,
    pub workspace_id: Uuid,
    pub actor: Actor,
}

impl Desk {
    pub fn new() -> Self {
        Self {
            product_id: Uuid::now_v7(),
            workspace_id: Uuid::now_v7(),
            actor: Actor {
                kind: ActorKind::Person,
                id: Uuid::now_v7(),
            },
        }
    }

    /// Returns an append of one new note.
    pub fn new_note(&self) -> Append {
        self.append([(Uuid::now_v7(), 0)])
    }

    /// Returns an append of one event to each note, whose version is checked.
    pub fn append(&self, notes: impl IntoIterator<Item = (Uuid, i64)>) -> Append {
        let (expectations, events) = notes
            .into_iter()
            .map(|(id, version)| {
                let stream = StreamId::of::<Note>(id);
                let (expected, event) = match version {
                    0 => (Expected::NoStream, self.created()),
                    version => (Expected::Exact(version), revised(version)),
                };
                ((stream.clone(), expected), self.event(stream, &event))
            })
            .unzip();
        Append {
            product_id: self.product_id,
            expectations,
            events,
            receipt: None,
        }
    }

    /// Appends new notes in batches; returns their ids and the position of the last.
    pub async fn write(&self, store: &dyn EventStore, count: usize) -> (Vec<Uuid>, Position) {
        let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
        let mut position = 0;
        for batch in ids.chunks(BATCH) {
            let append = self.append(batch.iter().map(|id| (*id, 0)));
            position = store.append(append).await.unwrap().position;
        }
        (ids, position)
    }

    /// Returns an append of the given new notes.
    pub fn append_new(&self, notes: impl IntoIterator<Item = NoteEvent>) -> Append {
        let (expectations, events) = notes
            .into_iter()
            .map(|note| {
                let stream = StreamId::of::<Note>(Uuid::now_v7());
                let event = self.event(stream.clone(), &note);
                ((stream, Expected::NoStream), event)
            })
            .unzip();
        Append {
            product_id: self.product_id,
            expectations,
            events,
            receipt: None,
        }
    }

    fn created(&self) -> NoteEvent {
        NoteEvent::Created {
            workspace_id: self.workspace_id,
            title: "A note".into(),
            body: "x".repeat(BODY),
            tags: BTreeSet::new(),
            aliases: BTreeSet::new(),
            file: None,
        }
    }

    fn event(&self, stream: StreamId, event: &NoteEvent) -> NewEvent {
        NewEvent {
            stream,
            event_id: Uuid::now_v7(),
            event_type: event.event_type().into(),
            contract_version: event.version(),
            data: serde_json::to_string(event).unwrap(),
            metadata: Metadata {
                actor: self.actor,
                credential: None,
                on_behalf_of: None,
                command: "bench".into(),
                command_key: None,
                reason: None,
                traceparent: None,
            },
            correlation_id: Uuid::now_v7(),
            causation_id: None,
            workspace_id: Some(self.workspace_id),
        }
    }
}

fn revised(version: i64) -> NoteEvent {
    NoteEvent::Revised {
        title: Some(format!("Revision {version}")),
        body: Some("x".repeat(BODY + 60)),
        merged: None,
        aliases: None,
        file: None,
    }
}

/// Returns the payload of a new note.
pub fn payload() -> String {
    serde_json::to_string(&Desk::new().created()).unwrap()
}
