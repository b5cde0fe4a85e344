//! Which endpoints get an event.

use async_trait::async_trait;
use domain::covers;
use projections::delivery::webhook::{self, WebhookContent};
use projections::{PostError, Readers, Row};
use store::Recorded;
use uuid::Uuid;

use super::payload::{delivery, is_delivered};
use crate::Office;
use crate::reaction::{Consequences, Reaction};

/// Schedules a delivery for every endpoint that has subscribed to an event.
pub struct Fanout {
    office: Office,
    readers: Readers,
}

impl Fanout {
    pub const fn new(office: Office, readers: Readers) -> Self {
        Self { office, readers }
    }
}

#[async_trait]
impl Reaction for Fanout {
    const NAME: &'static str = "webhook_fanout";
    const CATEGORIES: &'static [&'static str] = &[];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, PostError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(Consequences::default());
        };
        let retry = |error: &dyn std::error::Error| PostError::Retry(error.to_string());
        self.readers
            .wait("webhook", last.position)
            .await
            .map_err(|error| retry(&error))?;
        let mut products: Vec<Uuid> = events.iter().map(|event| event.product_id).collect();
        products.sort_unstable();
        products.dedup();
        let endpoints = webhook::enabled(&self.office.database, &products, first.position)
            .await
            .map_err(|error| retry(&error))?;
        Ok(Consequences {
            schedule: events
                .iter()
                .flat_map(|event| {
                    endpoints
                        .iter()
                        .filter(|endpoint| subscribes(endpoint, event))
                        .map(|endpoint| delivery(event, endpoint.facts.id, None))
                })
                .collect(),
            ..Consequences::default()
        })
    }
}

/// Whether an endpoint wants an event that happened after it was created and before it was disabled. The read model
/// may be ahead of the event: what was disabled since gets it once it is enabled.
fn subscribes(endpoint: &Row<WebhookContent>, event: &Recorded) -> bool {
    let content = &endpoint.content;
    endpoint.facts.product_id == event.product_id
        && content.created_position < event.position
        && content
            .disabled_position
            .is_none_or(|at| event.position < at)
        && wants(content.events.iter(), &event.event_type)
}

/// Whether any of the patterns covers a type that may be delivered.
pub fn wants<'a>(mut patterns: impl Iterator<Item = &'a String>, event_type: &str) -> bool {
    is_delivered(event_type) && patterns.any(|pattern| covers(pattern, event_type))
}
