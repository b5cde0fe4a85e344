//! The log as an auditor reads it: from a position onwards, one JSON line per event.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::error::DemoError;
use crate::client::{Cause, Client};

/// An event, as every reader of the log receives it.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    pub position: i64,
    pub event_id: Uuid,
    pub r#type: String,
    /// Id of the stream: `category-uuid`.
    pub stream: String,
    pub data: Value,
    pub metadata: Metadata,
}

/// The actor and context of an event.
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    pub actor: Actor,
    /// Author of the proposal.
    pub on_behalf_of: Option<Actor>,
    pub correlation_id: Uuid,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Actor {
    pub id: Uuid,
}

impl Event {
    /// Returns the event as the cause of further commands.
    pub const fn as_cause(&self) -> Cause {
        Cause {
            event_id: self.event_id,
            correlation_id: self.metadata.correlation_id,
        }
    }

    pub fn is_about_notes_or_proposals(&self) -> bool {
        self.r#type.starts_with("note.") || self.r#type.starts_with("proposal.")
    }
}

/// The part of a product's log that was read.
pub struct Log {
    client: Client,
    position: i64,
    /// Position of the endpoint; earlier events are not delivered.
    endpoint_position: i64,
    pub events: usize,
    pub by_type: BTreeMap<String, usize>,
    /// Events that are due for delivery by webhook.
    pub to_deliver: HashSet<Uuid>,
    /// Those of them whose delivery is in the log.
    pub delivered: HashSet<Uuid>,
}

impl Log {
    pub fn after(client: Client, position: i64, endpoint_position: i64) -> Self {
        Self {
            client,
            position,
            endpoint_position,
            events: 0,
            by_type: BTreeMap::new(),
            to_deliver: HashSet::new(),
            delivered: HashSet::new(),
        }
    }

    /// Reads the events since the last call.
    pub async fn read_on(&mut self) -> Result<(), DemoError> {
        let client = self.client.clone();
        let path = format!("/v1/events?after={}", self.position);
        client
            .lines(&path, |event: Event| self.take(&event))
            .await?;
        Ok(())
    }

    fn take(&mut self, event: &Event) {
        self.position = event.position;
        self.events += 1;
        *self.by_type.entry(event.r#type.clone()).or_default() += 1;
        if event.is_about_notes_or_proposals() && event.position > self.endpoint_position {
            self.to_deliver.insert(event.event_id);
        }
        if event.r#type == "webhook.delivery_attempted" && event.data["succeeded"] == true {
            let delivered = event.data["event_id"].as_str();
            self.delivered
                .extend(delivered.and_then(|id| Uuid::try_parse(id).ok()));
        }
    }
}
