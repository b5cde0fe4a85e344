//! Deliveries that were attempted.

use chrono::{DateTime, Utc};
use domain::ContractError;
use domain::delivery::webhook_delivery::DeliveryEvent;
use serde::{Deserialize, Serialize};
use store::{Database, Position, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::{row, rows};
use crate::{Cursor, List, QueryError, ReadModel, Viewer};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryRow {
    pub id: Uuid,
    pub product_id: Uuid,
    pub webhook_id: Uuid,
    pub event_id: Uuid,
    pub event_type: String,
    /// `retrying`, `succeeded` or `exhausted`.
    pub status: String,
    pub attempts: u32,
    pub last_status: Option<u16>,
    pub last_error: Option<String>,
    pub last_response: String,
    pub duration_ms: u64,
    pub last_attempt_at: DateTime<Utc>,
    pub next_attempt_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub position: Position,
}

pub struct Deliveries;

impl ReadModel for Deliveries {
    const NAME: &'static str = "webhook_delivery";
    const TABLE: &'static str = "webhook_deliveries";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/webhook_delivery.sql");
    const CATEGORIES: &'static [&'static str] = &["webhook_delivery"];
    type Row = DeliveryRow;

    fn post(
        row: Option<DeliveryRow>,
        event: &Recorded,
    ) -> Result<Option<DeliveryRow>, ContractError> {
        Ok(match event.decode::<DeliveryEvent>()? {
            DeliveryEvent::Attempted {
                webhook_id,
                event_id,
                event_type,
                attempt,
                succeeded,
                status,
                error,
                duration_ms,
                response,
                next_attempt_at,
            } => Some(DeliveryRow {
                id: event.stream.id,
                product_id: event.product_id,
                webhook_id,
                event_id,
                event_type,
                status: match (succeeded, next_attempt_at) {
                    (true, _) => "succeeded",
                    (false, Some(_)) => "retrying",
                    (false, None) => "exhausted",
                }
                .into(),
                attempts: attempt,
                last_status: status,
                last_error: error,
                // PostgreSQL's text has no NUL.
                last_response: response.replace('\0', "\u{fffd}"),
                duration_ms,
                last_attempt_at: event.recorded_at,
                next_attempt_at,
                created_at: row.map_or(event.recorded_at, |row| row.created_at),
                position: event.position,
            }),
            DeliveryEvent::ResendRequested { .. } => row,
        })
    }
}

/// A delivery of the viewer's product.
pub async fn get(
    database: &Database,
    viewer: Viewer,
    id: Uuid,
) -> Result<Option<DeliveryRow>, QueryError> {
    const GET: &str = "
        select row_to_json(d)::text from webhook_deliveries d
        where id = $1 and ($2::uuid is null or product_id = $2)";
    row(database, GET, &[&id, &viewer.product_id]).await
}

/// The deliveries of an endpoint, in the order of their ids.
pub async fn list(
    database: &Database,
    viewer: Viewer,
    webhook_id: Uuid,
    status: Option<&str>,
    cursor: Cursor,
) -> Result<List<DeliveryRow>, QueryError> {
    const LIST: &str = "
        select row_to_json(d)::text from webhook_deliveries d
        where id < $1 and webhook_id = $2
            and ($3::text is null or status = $3) and ($4::uuid is null or product_id = $4)
        order by id desc limit $5";
    let found = rows(
        database,
        LIST,
        &[
            &cursor.from(),
            &webhook_id,
            &status,
            &viewer.product_id,
            &cursor.rows(),
        ],
    )
    .await?;
    Ok(List::of(found, cursor, |row: &DeliveryRow| row.id))
}
