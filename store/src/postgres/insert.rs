//! The rows of one batch, written in one round trip.

use chrono::{DateTime, Utc};
use postgres_types::{Json, ToSql};
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::{Metadata, NewEvent, Position, Receipt};

const EVENTS: &str = "
insert into log.events (position, product_id, category, stream_id, version, event_id, type, contract_version,
    data, metadata, correlation_id, causation_id, recorded_at)
select position, product_id, category, stream_id, version, event_id, type, contract_version,
    data::json, metadata, correlation_id, causation_id, $13
from unnest($1::bigint[], $2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::uuid[], $7::text[], $8::smallint[],
    $9::text[], $10::json[], $11::uuid[], $12::uuid[])
    as row (position, product_id, category, stream_id, version, event_id, type, contract_version,
        data, metadata, correlation_id, causation_id)";

// An array of arrays would have to be rectangular, so the event ids come as text.
const RECEIPTS: &str = "
insert into log.receipts (key, fingerprint, position, category, stream_id, version, event_ids, recorded_at)
select key, fingerprint, position, category, stream_id, version, event_ids::uuid[], $8
from unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::text[], $5::uuid[], $6::bigint[], $7::text[])
    as row (key, fingerprint, position, category, stream_id, version, event_ids)";

const HEAD: &str = "update log.head set position = $1, recorded_at = $2";

pub struct Statements {
    events: Statement,
    receipts: Statement,
    head: Statement,
}

impl Statements {
    pub async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            events: client.prepare(EVENTS).await?,
            receipts: client.prepare(RECEIPTS).await?,
            head: client.prepare(HEAD).await?,
        })
    }
}

/// Columns of the events, and the receipts, that a batch inserts.
pub struct Rows<'a> {
    pub recorded_at: DateTime<Utc>,
    positions: Vec<Position>,
    products: Vec<Uuid>,
    categories: Vec<&'a str>,
    stream_ids: Vec<Uuid>,
    versions: Vec<i64>,
    event_ids: Vec<Uuid>,
    types: Vec<&'a str>,
    contract_versions: Vec<i16>,
    data: Vec<&'a str>,
    metadata: Vec<Json<&'a Metadata>>,
    correlation_ids: Vec<Uuid>,
    causation_ids: Vec<Option<Uuid>>,
    receipts: Vec<(&'a [u8], Receipt)>,
}

impl<'a> Rows<'a> {
    pub const fn new(recorded_at: DateTime<Utc>) -> Self {
        Self {
            recorded_at,
            positions: vec![],
            products: vec![],
            categories: vec![],
            stream_ids: vec![],
            versions: vec![],
            event_ids: vec![],
            types: vec![],
            contract_versions: vec![],
            data: vec![],
            metadata: vec![],
            correlation_ids: vec![],
            causation_ids: vec![],
            receipts: vec![],
        }
    }

    pub fn add_event(
        &mut self,
        product_id: Uuid,
        event: &'a NewEvent,
        position: Position,
        version: i64,
    ) {
        self.positions.push(position);
        self.products.push(product_id);
        self.categories.push(&event.stream.category);
        self.stream_ids.push(event.stream.id);
        self.versions.push(version);
        self.event_ids.push(event.event_id);
        self.types.push(&event.event_type);
        self.contract_versions
            .push(event.contract_version.cast_signed());
        self.data.push(&event.data);
        self.metadata.push(Json(&event.metadata));
        self.correlation_ids.push(event.correlation_id);
        self.causation_ids.push(event.causation_id);
    }

    pub fn add_receipt(&mut self, key: &'a [u8], receipt: Receipt) {
        self.receipts.push((key, receipt));
    }

    /// Inserts everything and commits; without rows, only gives the lock back.
    pub async fn write(
        &self,
        client: &Client,
        statements: &Statements,
        head: Position,
    ) -> Result<(), tokio_postgres::Error> {
        // Pipelined: a commit behind a failed statement rolls back, and the statement's own error is returned.
        futures::try_join!(
            self.write_events(client, statements, head),
            self.write_receipts(client, statements),
            client.batch_execute("commit")
        )?;
        Ok(())
    }

    async fn write_events(
        &self,
        client: &Client,
        statements: &Statements,
        head: Position,
    ) -> Result<(), tokio_postgres::Error> {
        if self.positions.is_empty() {
            return Ok(());
        }
        let columns: [&(dyn ToSql + Sync); 13] = [
            &self.positions,
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
            &self.recorded_at,
        ];
        let position: [&(dyn ToSql + Sync); 2] = [&head, &self.recorded_at];
        futures::try_join!(
            client.execute(&statements.events, &columns),
            client.execute(&statements.head, &position),
        )?;
        Ok(())
    }

    async fn write_receipts(
        &self,
        client: &Client,
        statements: &Statements,
    ) -> Result<(), tokio_postgres::Error> {
        if self.receipts.is_empty() {
            return Ok(());
        }
        fn column<'a, T>(
            receipts: &'a [(&'a [u8], Receipt)],
            value: impl Fn(&'a Receipt) -> T,
        ) -> Vec<T> {
            receipts.iter().map(|(_, receipt)| value(receipt)).collect()
        }
        let keys: Vec<_> = self.receipts.iter().map(|(key, _)| *key).collect();
        let columns: [&(dyn ToSql + Sync); 8] = [
            &keys,
            &column(&self.receipts, |receipt| receipt.fingerprint.as_slice()),
            &column(&self.receipts, |receipt| receipt.position),
            &column(&self.receipts, |receipt| receipt.stream.category.as_str()),
            &column(&self.receipts, |receipt| receipt.stream.id),
            &column(&self.receipts, |receipt| receipt.version),
            &column(&self.receipts, |receipt| array(&receipt.event_ids)),
            &self.recorded_at,
        ];
        client.execute(&statements.receipts, &columns).await?;
        Ok(())
    }
}

/// The text of a PostgreSQL array.
fn array(ids: &[Uuid]) -> String {
    let ids: Vec<_> = ids.iter().map(Uuid::to_string).collect();
    format!("{{{}}}", ids.join(","))
}
