//! Webhook endpoints as they are now.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::ContractError;
use domain::delivery::webhook::{DisableReason, WebhookEvent};
use serde::{Deserialize, Serialize};
use store::{Database, Position, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::{row, rows};
use crate::{Cursor, List, QueryError, ReadModel, Viewer};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookRow {
    pub id: Uuid,
    pub product_id: Uuid,
    pub url: String,
    pub events: BTreeSet<String>,
    pub description: String,
    pub headers: BTreeMap<String, String>,
    pub rate_limit: Option<u32>,
    /// `enabled` or `disabled`.
    pub status: String,
    pub disabled_reason: Option<DisableReason>,
    /// Events after it were not delivered; replay from here.
    pub disabled_position: Option<Position>,
    pub failing_since: Option<DateTime<Utc>>,
    pub generation: u32,
    pub previous_secret_valid_until: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub created_position: Position,
    pub updated_at: DateTime<Utc>,
    pub created_by: Uuid,
    pub position: Position,
}

pub struct Webhooks;

impl ReadModel for Webhooks {
    const NAME: &'static str = "webhook";
    const TABLE: &'static str = "webhooks";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/webhook.sql");
    const CATEGORIES: &'static [&'static str] = &["webhook"];
    type Row = WebhookRow;

    fn post(
        row: Option<WebhookRow>,
        event: &Recorded,
    ) -> Result<Option<WebhookRow>, ContractError> {
        let row = match (row, event.decode::<WebhookEvent>()?) {
            (
                _,
                WebhookEvent::Created {
                    url,
                    events,
                    description,
                    headers,
                    rate_limit,
                },
            ) => Some(WebhookRow {
                id: event.stream.id,
                product_id: event.product_id,
                url,
                events,
                description,
                headers,
                rate_limit: rate_limit.filter(|limit| *limit > 0),
                status: "enabled".into(),
                disabled_reason: None,
                disabled_position: None,
                failing_since: None,
                generation: 0,
                previous_secret_valid_until: None,
                version: event.version,
                created_at: event.recorded_at,
                created_position: event.position,
                updated_at: event.recorded_at,
                created_by: event.metadata.actor.id,
                position: event.position,
            }),
            (None, _) | (_, WebhookEvent::Deleted {}) => None,
            (Some(row), change) => Some(row.after(change, event.position)),
        };
        Ok(row.map(|row| WebhookRow {
            version: event.version,
            updated_at: event.recorded_at,
            position: event.position,
            ..row
        }))
    }
}

impl WebhookRow {
    fn after(self, change: WebhookEvent, position: Position) -> Self {
        match change {
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
                headers: headers.unwrap_or(self.headers),
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
                status: "disabled".into(),
                disabled_reason: Some(reason),
                disabled_position: Some(position),
                ..self
            },
            WebhookEvent::EndpointEnabled {} => Self {
                status: "enabled".into(),
                disabled_reason: None,
                disabled_position: None,
                failing_since: None,
                ..self
            },
            WebhookEvent::Created { .. }
            | WebhookEvent::DeliveryExhausted { .. }
            | WebhookEvent::ExampleRequested { .. }
            | WebhookEvent::ReplayRequested { .. }
            | WebhookEvent::Deleted {} => self,
        }
    }
}

/// An endpoint of the viewer's product.
pub async fn get(
    database: &Database,
    viewer: Viewer,
    id: Uuid,
) -> Result<Option<WebhookRow>, QueryError> {
    const GET: &str = "
        select row_to_json(w)::text from webhooks w
        where id = $1 and ($2::uuid is null or product_id = $2)";
    row(database, GET, &[&id, &viewer.product_id]).await
}

/// The endpoints of the viewer's product, newest first.
pub async fn list(
    database: &Database,
    viewer: Viewer,
    cursor: Cursor,
) -> Result<List<WebhookRow>, QueryError> {
    const LIST: &str = "
        select row_to_json(w)::text from webhooks w
        where id < $1 and ($2::uuid is null or product_id = $2) order by id desc limit $3";
    let found = rows(
        database,
        LIST,
        &[&cursor.from(), &viewer.product_id, &cursor.rows()],
    )
    .await?;
    Ok(List::of(found, cursor, |row: &WebhookRow| row.id))
}

/// The enabled endpoints of some products.
pub async fn enabled(
    database: &Database,
    products: &[Uuid],
) -> Result<Vec<WebhookRow>, QueryError> {
    const ENABLED: &str = "
        select row_to_json(w)::text from webhooks w where product_id = any($1) and status = 'enabled'";
    rows(database, ENABLED, &[&products]).await
}
