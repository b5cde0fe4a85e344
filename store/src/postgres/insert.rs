//! Writes a batch of rows: few are inserted in one call, many are copied.

use std::ops::RangeInclusive;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use domain::StreamId;
use futures::{SinkExt, try_join};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};
use uuid::Uuid;

use super::rows::EVENT_COLUMNS;
use crate::{NewEvent, Position, Receipt};

/// Time per event that COPY saves; it costs one more round trip.
const SAVED_BY_COPY: Duration = Duration::from_micros(5);
/// Bounds for the number of events from which COPY is used.
const MANY: RangeInclusive<usize> = 2..=32;

// Independent of the database's default: each statement must see all commits before the lock was taken.
pub const BEGIN: &str = "begin isolation level read committed";

const APPEND: &str = "select base, at from log.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
     $15, $16, $17, $18, $19, $20, $21, $22)";
const TAKE_PLACES: &str = "update log.head set position = position + $1, recorded_at = greatest(clock_timestamp(), recorded_at) \
     returning position - $1, recorded_at";
const TAKE_GUARDED_PLACES: &str = "select base, at from log.take_places($1, $2, $3, $4)";
const KEEP_RECEIPTS: &str = "select from log.keep_receipts($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// The header of COPY's binary format (its signature, no flags, no extension), and its trailer.
const COPY_BEGINS: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const COPY_ENDS: i16 = -1;
/// Microseconds between 1970 and 2000, PostgreSQL's epoch.
const UNTIL_2000: i64 = 946_684_800_000_000;

type Param<'a> = &'a (dyn ToSql + Sync);

/// The statements that write a batch, prepared on a connection.
pub struct Statements {
    append: Statement,
    take_places: Statement,
    take_guarded_places: Statement,
    copy: Statement,
    keep_receipts: Statement,
    /// Number of events from which COPY is used.
    many: usize,
}

impl Statements {
    pub async fn prepare(client: &Client) -> Result<Self, Error> {
        let copy = format!("copy log.events ({EVENT_COLUMNS}) from stdin (format binary)");
        Ok(Self {
            append: client.prepare(APPEND).await?,
            take_places: client.prepare(TAKE_PLACES).await?,
            take_guarded_places: client.prepare(TAKE_GUARDED_PLACES).await?,
            copy: client.prepare(&copy).await?,
            keep_receipts: client.prepare(KEEP_RECEIPTS).await?,
            many: many(round_trip(client).await?),
        })
    }
}

fn many(round_trip: Duration) -> usize {
    let paid_by = round_trip.as_micros() / SAVED_BY_COPY.as_micros();
    let paid_by = usize::try_from(paid_by).unwrap_or(usize::MAX);
    paid_by.clamp(*MANY.start(), *MANY.end())
}

/// Measures the shortest of several round trips.
async fn round_trip(client: &Client) -> Result<Duration, Error> {
    let mut shortest = Duration::MAX;
    for _ in 0..5 {
        let sent = Instant::now();
        client.batch_execute("").await?;
        shortest = shortest.min(sent.elapsed());
    }
    Ok(shortest)
}

/// Columns of the rows that a batch inserts, and the stream heads that it requires.
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
    workspace_ids: Vec<Option<Uuid>>,
    receipts: Vec<(&'a [u8], Receipt)>,
}

impl<'a> Batch<'a> {
    /// Makes the batch fail unless the stream's head is this version.
    pub fn guard(&mut self, stream: &'a StreamId, version: i64) {
        self.guarded_categories.push(&stream.category);
        self.guarded_ids.push(stream.id);
        self.guarded_versions.push(version);
    }

    /// Adds an event; returns its place in the batch, from 1.
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
        // Strings and UUIDs: serialization cannot fail.
        self.metadata
            .push(serde_json::to_string(&event.metadata).unwrap_or_default());
        self.correlation_ids.push(event.correlation_id);
        self.causation_ids.push(event.causation_id);
        self.workspace_ids.push(event.workspace_id);
        self.events()
    }

    /// Adds a receipt, whose position is a place in the batch.
    pub fn add_receipt(&mut self, key: &'a [u8], receipt: Receipt) {
        self.receipts.push((key, receipt));
    }

    /// Returns the number of events.
    pub fn events(&self) -> Position {
        Position::try_from(self.event_ids.len()).unwrap_or(Position::MAX)
    }

    /// Writes everything in one transaction; returns the position before the first event, and the time. Other nodes
    /// would wait for the round trip of a COPY, too, so a node that is not alone uses it less.
    pub async fn commit(
        &self,
        client: &Client,
        statements: &Statements,
        alone: bool,
    ) -> Result<(Position, DateTime<Utc>), Error> {
        let many = if alone { statements.many } else { *MANY.end() };
        if self.event_ids.len() < many {
            self.insert(client, statements).await
        } else {
            self.copy(client, statements).await
        }
    }

    /// Inserts everything, holding the log's lock; returns the same as [`Self::commit`].
    pub async fn insert(
        &self,
        client: &Client,
        statements: &Statements,
    ) -> Result<(Position, DateTime<Utc>), Error> {
        let events: [Param<'_>; 12] = [
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
            &self.workspace_ids,
        ];
        let receipts = self.receipt_columns();
        let params = [&self.guards()[..], &events, &receipts.params()].concat();
        let row = client.query_one(&statements.append, &params).await?;
        Ok((row.get(0), row.get(1)))
    }

    async fn copy(
        &self,
        client: &Client,
        statements: &Statements,
    ) -> Result<(Position, DateTime<Utc>), Error> {
        let begun = try_join!(
            client.batch_execute(BEGIN),
            self.take_places(client, statements),
            client.copy_in(&statements.copy),
        );
        if begun.is_err() {
            client.batch_execute("rollback").await?;
        }
        let ((), (base, at), sink) = begun?;
        let copy = async {
            let mut sink = pin!(sink);
            sink.feed(self.rows(base, at)).await?;
            sink.finish().await
        };
        // A commit after a failed statement rolls back, and the error of the statement is returned.
        try_join!(
            copy,
            self.keep_receipts(client, statements, base, at),
            client.batch_execute("commit"),
        )?;
        Ok((base, at))
    }

    async fn take_places(
        &self,
        client: &Client,
        statements: &Statements,
    ) -> Result<(Position, DateTime<Utc>), Error> {
        let places: [Param<'_>; 1] = [&self.events()];
        let row = if self.guarded_ids.is_empty() {
            client.query_one(&statements.take_places, &places).await?
        } else {
            let params = [&self.guards()[..], &places].concat();
            client
                .query_one(&statements.take_guarded_places, &params)
                .await?
        };
        Ok((row.get(0), row.get(1)))
    }

    /// Returns the events in the format of COPY.
    fn rows(&self, base: Position, at: DateTime<Utc>) -> Bytes {
        let mut rows = BytesMut::new();
        rows.put_slice(COPY_BEGINS);
        let at = (at.timestamp_micros() - UNTIL_2000).to_be_bytes();
        for (position, n) in (base + 1..).zip(0..self.event_ids.len()) {
            let columns: [Option<&[u8]>; 14] = [
                Some(&position.to_be_bytes()),
                Some(self.products[n].as_bytes()),
                Some(self.categories[n].as_bytes()),
                Some(self.stream_ids[n].as_bytes()),
                Some(&self.versions[n].to_be_bytes()),
                Some(self.event_ids[n].as_bytes()),
                Some(self.types[n].as_bytes()),
                Some(&self.contract_versions[n].to_be_bytes()),
                Some(self.data[n].as_bytes()),
                Some(self.metadata[n].as_bytes()),
                Some(self.correlation_ids[n].as_bytes()),
                self.causation_ids[n].as_ref().map(|id| &id.as_bytes()[..]),
                Some(&at),
                self.workspace_ids[n].as_ref().map(|id| &id.as_bytes()[..]),
            ];
            put_row(&mut rows, &columns);
        }
        rows.put_i16(COPY_ENDS);
        rows.freeze()
    }

    async fn keep_receipts(
        &self,
        client: &Client,
        statements: &Statements,
        base: Position,
        at: DateTime<Utc>,
    ) -> Result<(), Error> {
        if self.receipts.is_empty() {
            return Ok(());
        }
        let receipts = self.receipt_columns();
        let place: [Param<'_>; 2] = [&base, &at];
        let params = [&place[..], &receipts.params()].concat();
        client.query_one(&statements.keep_receipts, &params).await?;
        Ok(())
    }

    fn guards(&self) -> [Param<'_>; 3] {
        [
            &self.guarded_categories,
            &self.guarded_ids,
            &self.guarded_versions,
        ]
    }

    fn receipt_columns(&self) -> ReceiptColumns<'_> {
        let receipts = || self.receipts.iter().map(|(_, receipt)| receipt);
        ReceiptColumns {
            keys: self.receipts.iter().map(|(key, _)| *key).collect(),
            fingerprints: receipts().map(|r| r.fingerprint.as_slice()).collect(),
            places: receipts().map(|r| r.position).collect(),
            categories: receipts().map(|r| r.stream.category.as_str()).collect(),
            stream_ids: receipts().map(|r| r.stream.id).collect(),
            versions: receipts().map(|r| r.version).collect(),
            event_ids: receipts().map(|r| array(&r.event_ids)).collect(),
        }
    }
}

struct ReceiptColumns<'a> {
    keys: Vec<&'a [u8]>,
    fingerprints: Vec<&'a [u8]>,
    places: Vec<Position>,
    categories: Vec<&'a str>,
    stream_ids: Vec<Uuid>,
    versions: Vec<i64>,
    event_ids: Vec<String>,
}

impl ReceiptColumns<'_> {
    fn params(&self) -> [Param<'_>; 7] {
        [
            &self.keys,
            &self.fingerprints,
            &self.places,
            &self.categories,
            &self.stream_ids,
            &self.versions,
            &self.event_ids,
        ]
    }
}

/// Appends a row in COPY's binary format: the number of columns, and each column with its length before it.
fn put_row(rows: &mut BytesMut, columns: &[Option<&[u8]>]) {
    // PostgreSQL supports neither so many columns nor so long values.
    rows.put_i16(i16::try_from(columns.len()).unwrap_or(i16::MAX));
    for column in columns {
        let length = column.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        rows.put_i32(length);
        rows.put_slice(column.unwrap_or_default());
    }
}

/// Returns the text of a PostgreSQL array.
fn array(ids: &[Uuid]) -> String {
    let ids: Vec<_> = ids.iter().map(Uuid::to_string).collect();
    format!("{{{}}}", ids.join(","))
}
