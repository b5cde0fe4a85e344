//! The read model of webhook endpoints.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::delivery::webhook::{DisableReason, Owner, Webhook, WebhookEvent};
use serde::{Deserialize, Serialize};
use store::{Database, Position, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::rows;
use crate::{QueryError, ReadModel, Row, visible};

/// The status of a webhook endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookStatus {
    Enabled,
    Disabled,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookContent {
    /// The endpoint receives the events that this actor may see with this key.
    pub owner: Owner,
    pub url: String,
    pub events: BTreeSet<String>,
    pub description: String,
    /// Names of the headers that are sent with each request; their values are never shown.
    pub headers: BTreeSet<String>,
    /// Deliveries per second; null: no limit.
    pub rate_limit: Option<u32>,
    pub status: WebhookStatus,
    pub disabled_reason: Option<DisableReason>,
    /// Position after which events were not delivered; replay from here.
    #[schema(value_type = Option<i64>)]
    pub disabled_position: Option<Position>,
    /// The past events that are being replayed.
    pub replay: Option<ReplayRange>,
    /// Time since which every delivery has failed.
    pub failing_since: Option<DateTime<Utc>>,
    /// Number of times that the secret was rotated.
    pub generation: u32,
    pub previous_secret_valid_until: Option<DateTime<Utc>>,
    /// Position of the log when the endpoint was created; only replay delivers events up to it.
    #[schema(value_type = i64)]
    pub created_position: Position,
}

/// The events after one position, up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayRange {
    #[schema(value_type = i64)]
    pub from_position: Position,
    #[schema(value_type = i64)]
    pub to_position: Position,
}

pub struct Webhooks;

impl ReadModel for Webhooks {
    const TABLE: &'static str = "webhooks";
    const VERSION: u32 = 3;
    const DDL: &'static str = include_str!("../../../schema/read/webhook.sql");
    const VISIBLE: &'static str = visible::IN_PRODUCT;
    type Of = Webhook;
    type Content = WebhookContent;

    fn apply(
        webhook: Option<WebhookContent>,
        event: WebhookEvent,
        envelope: &Recorded,
    ) -> Option<WebhookContent> {
        match (webhook, event) {
            (
                _,
                WebhookEvent::Created {
                    owner,
                    url,
                    events,
                    description,
                    headers,
                    rate_limit,
                },
            ) => Some(WebhookContent {
                owner,
                url,
                events,
                description,
                headers: headers.into_keys().collect(),
                rate_limit: rate_limit.filter(|limit| *limit > 0),
                status: WebhookStatus::Enabled,
                disabled_reason: None,
                disabled_position: None,
                replay: None,
                failing_since: None,
                generation: 0,
                previous_secret_valid_until: None,
                created_position: envelope.position,
            }),
            (None, _) | (_, WebhookEvent::Deleted {}) => None,
            (Some(webhook), event) => Some(webhook.after(event, envelope.position)),
        }
    }
}

impl WebhookContent {
    fn after(self, event: WebhookEvent, position: Position) -> Self {
        match event {
            WebhookEvent::Updated {
                url,
                events,
                description,
                headers,
                rate_limit,
            } => Self {
                url: url.unwrap_or(self.url),
                events: events.unwrap_or(self.events),
                description: description.unwrap_or(self.description),
                headers: headers.map_or(self.headers, |headers| headers.into_keys().collect()),
                rate_limit: rate_limit.or(self.rate_limit).filter(|limit| *limit > 0),
                ..self
            },
            WebhookEvent::SecretRotated {
                previous_valid_until,
            } => Self {
                generation: self.generation + 1,
                previous_secret_valid_until: Some(previous_valid_until),
                ..self
            },
            WebhookEvent::EndpointFailing { since } => Self {
                failing_since: Some(since),
                ..self
            },
            WebhookEvent::EndpointRecovered {} => Self {
                failing_since: None,
                ..self
            },
            WebhookEvent::EndpointDisabled { reason } => Self {
                status: WebhookStatus::Disabled,
                disabled_reason: Some(reason),
                // If the endpoint is disabled twice, missed events begin at the first time.
                disabled_position: self.disabled_position.or(Some(position)),
                ..self
            },
            WebhookEvent::EndpointEnabled {} => Self {
                status: WebhookStatus::Enabled,
                disabled_reason: None,
                disabled_position: None,
                failing_since: None,
                ..self
            },
            WebhookEvent::TakenOver { owner } => Self { owner, ..self },
            WebhookEvent::ReplayRequested {
                from_position,
                to_position,
            } => Self {
                replay: Some(ReplayRange {
                    from_position,
                    to_position,
                }),
                ..self
            },
            WebhookEvent::ReplayFinished {} => Self {
                replay: None,
                ..self
            },
            WebhookEvent::Created { .. }
            | WebhookEvent::DeliveryExhausted { .. }
            | WebhookEvent::ExampleRequested { .. }
            | WebhookEvent::Deleted {} => self,
        }
    }
}

/// Returns the endpoints of some products that were enabled at any time after a position.
pub async fn enabled(
    database: &Database,
    products: &[Uuid],
    after: Position,
) -> Result<Vec<Row<WebhookContent>>, QueryError> {
    const ENABLED: &str = "
        select row_to_json(w)::text from webhooks w
        where product_id = any($1) and (status = 'enabled' or disabled_position > $2)";
    rows(database, ENABLED, &[&products, &after]).await
}

/// Returns the endpoints of a product that belong to an API key.
pub async fn of_key(
    database: &Database,
    product_id: Uuid,
    api_key_id: Uuid,
) -> Result<Vec<Uuid>, QueryError> {
    const OF_KEY: &str = "
        select to_json(id)::text from webhooks
        where product_id = $1 and owner ->> 'api_key_id' = $2::text";
    let api_key_id = api_key_id.to_string();
    rows(database, OF_KEY, &[&product_id, &api_key_id]).await
}
