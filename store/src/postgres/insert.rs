//! A batch of rows, written in one call.

use chrono::{DateTime, Utc};
use domain::StreamId;
use postgres_types::ToSql;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::rows::JsonText;
use crate::{NewEvent, Position, Receipt};

pub const APPEND: &str = "select base, at from log.append($1, $2, $3)";

/// What a batch inserts, and what must hold for it.
#[derive(Default)]
pub struct Batch<'a> {
    guards: Vec<GuardRow<'a>>,
    events: Vec<EventRow<'a>>,
    receipts: Vec<ReceiptRow<'a>>,
}

#[derive(Debug, ToSql)]
#[postgres(name = "guard")]
struct GuardRow<'a> {
    category: &'a str,
    stream_id: Uuid,
    version: i64,
}

#[derive(Debug, ToSql)]
#[postgres(name = "new_event")]
struct EventRow<'a> {
    product_id: Uuid,
    category: &'a str,
    stream_id: Uuid,
    version: i64,
    event_id: Uuid,
    #[postgres(name = "type")]
    event_type: &'a str,
    contract_version: i16,
    data: JsonText<&'a str>,
    metadata: JsonText<String>,
    correlation_id: Uuid,
    causation_id: Option<Uuid>,
}

#[derive(Debug, ToSql)]
#[postgres(name = "new_receipt")]
struct ReceiptRow<'a> {
    key: &'a [u8],
    fingerprint: Vec<u8>,
    place: Position,
    category: String,
    stream_id: Uuid,
    version: i64,
    event_ids: Vec<Uuid>,
}

impl<'a> Batch<'a> {
    /// The batch holds only while the stream ends with this version.
    pub fn guard(&mut self, stream: &'a StreamId, version: i64) {
        self.guards.push(GuardRow {
            category: &stream.category,
            stream_id: stream.id,
            version,
        });
    }

    /// Returns its place in the batch, from 1.
    pub fn add_event(&mut self, product_id: Uuid, event: &'a NewEvent, version: i64) -> Position {
        // Strings and UUIDs: they always serialise.
        let metadata = serde_json::to_string(&event.metadata).unwrap_or_default();
        self.events.push(EventRow {
            product_id,
            category: &event.stream.category,
            stream_id: event.stream.id,
            version,
            event_id: event.event_id,
            event_type: &event.event_type,
            contract_version: event.contract_version.cast_signed(),
            data: JsonText(&event.data),
            metadata: JsonText(metadata),
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
        });
        self.events()
    }

    /// The receipt's position is a place in the batch.
    pub fn add_receipt(&mut self, key: &'a [u8], receipt: Receipt) {
        self.receipts.push(ReceiptRow {
            key,
            fingerprint: receipt.fingerprint,
            place: receipt.position,
            category: receipt.stream.category,
            stream_id: receipt.stream.id,
            version: receipt.version,
            event_ids: receipt.event_ids,
        });
    }

    /// How many events there are.
    pub fn events(&self) -> Position {
        Position::try_from(self.events.len()).unwrap_or(Position::MAX)
    }

    /// Inserts everything, holding the log's lock; returns the position before the first event, and the time.
    pub async fn write(
        &self,
        client: &Client,
        append: &Statement,
    ) -> Result<(Position, DateTime<Utc>), tokio_postgres::Error> {
        let row = client
            .query_one(append, &[&self.guards, &self.events, &self.receipts])
            .await?;
        Ok((row.get(0), row.get(1)))
    }
}
