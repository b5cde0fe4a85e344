//! A batch of rows, written in one call.

use chrono::{DateTime, Utc};
use domain::StreamId;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::{NewEvent, Position, Receipt};

pub const APPEND: &str = "select base, at from log.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
     $15, $16, $17, $18, $19, $20, $21)";

/// Columns of what a batch inserts, and of what must hold for it.
#[derive(Default)]
pub struct Batch<'a> {
    guarded_categories: Vec<&'a str>,
    guarded_ids: Vec<Uuid>,
    guarded_versions: Vec<i64>,
    products: Vec<Uuid>,
    categories: Vec<&'a str>,
    stream_ids: Vec<Uuid>,
    versions: Vec<i64>,
    event_ids: Vec<Uuid>,
    types: Vec<&'a str>,
    contract_versions: Vec<i16>,
    data: Vec<&'a str>,
    metadata: Vec<String>,
    correlation_ids: Vec<Uuid>,
    causation_ids: Vec<Option<Uuid>>,
    receipts: Vec<(&'a [u8], Receipt)>,
}

impl<'a> Batch<'a> {
    /// The batch holds only while the stream ends with this version.
    pub fn guard(&mut self, stream: &'a StreamId, version: i64) {
        self.guarded_categories.push(&stream.category);
        self.guarded_ids.push(stream.id);
        self.guarded_versions.push(version);
    }

    /// Returns its place in the batch, from 1.
    pub fn add_event(&mut self, product_id: Uuid, event: &'a NewEvent, version: i64) -> Position {
        self.products.push(product_id);
        self.categories.push(&event.stream.category);
        self.stream_ids.push(event.stream.id);
        self.versions.push(version);
        self.event_ids.push(event.event_id);
        self.types.push(&event.event_type);
        self.contract_versions
            .push(event.contract_version.cast_signed());
        self.data.push(&event.data);
        // Strings and UUIDs: they always serialise.
        self.metadata
            .push(serde_json::to_string(&event.metadata).unwrap_or_default());
        self.correlation_ids.push(event.correlation_id);
        self.causation_ids.push(event.causation_id);
        self.events()
    }

    /// The receipt's position is a place in the batch.
    pub fn add_receipt(&mut self, key: &'a [u8], receipt: Receipt) {
        self.receipts.push((key, receipt));
    }

    /// How many events there are.
    pub fn events(&self) -> Position {
        Position::try_from(self.event_ids.len()).unwrap_or(Position::MAX)
    }

    /// Inserts everything, holding the log's lock; returns the position before the first event, and the time.
    pub async fn write(
        &self,
        client: &Client,
        append: &Statement,
    ) -> Result<(Position, DateTime<Utc>), tokio_postgres::Error> {
        let keys: Vec<_> = self.receipts.iter().map(|(key, _)| *key).collect();
        let columns: [&(dyn ToSql + Sync); 21] = [
            &self.guarded_categories,
            &self.guarded_ids,
            &self.guarded_versions,
            &self.products,
            &self.categories,
            &self.stream_ids,
            &self.versions,
            &self.event_ids,
            &self.types,
            &self.contract_versions,
            &self.data,
            &self.metadata,
            &self.correlation_ids,
            &self.causation_ids,
            &keys,
            &self.receipt_column(|receipt| receipt.fingerprint.as_slice()),
            &self.receipt_column(|receipt| receipt.position),
            &self.receipt_column(|receipt| receipt.stream.category.as_str()),
            &self.receipt_column(|receipt| receipt.stream.id),
            &self.receipt_column(|receipt| receipt.version),
            &self.receipt_column(|receipt| array(&receipt.event_ids)),
        ];
        let row = client.query_one(append, &columns).await?;
        Ok((row.get(0), row.get(1)))
    }

    fn receipt_column<'r, T>(&'r self, value: impl Fn(&'r Receipt) -> T) -> Vec<T> {
        self.receipts
            .iter()
            .map(|(_, receipt)| value(receipt))
            .collect()
    }
}

/// The text of a PostgreSQL array.
fn array(ids: &[Uuid]) -> String {
    let ids: Vec<_> = ids.iter().map(Uuid::to_string).collect();
    format!("{{{}}}", ids.join(","))
}
