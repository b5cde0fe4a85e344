//! A long log that the database itself generates in minutes.

use std::sync::Arc;

use projections::models;
use store::{Database, NewEvent};
use tokio_postgres::Transaction;
use uuid::Uuid;

use crate::Bench;
use crate::notes::Desk;
use crate::product::{Product, skip_to_head};

/// Number of events per note.
const EVENTS_PER_NOTE: i64 = 10;

/// Files created in the same transaction are not written ahead (`wal_level` is minimal). Indexes that are not ready are
/// not maintained.
const BEGIN: &str = "
    set local maintenance_work_mem = '1GB';
    alter table log.events disable trigger refuse_change;
    truncate log.events, read.notes;
    alter table log.events enable always trigger refuse_change;
    -- Vacuuming would read and write all of it once more, in the midst of what is measured or before it.
    alter table log.events set (autovacuum_enabled = off);
    alter table read.notes set (autovacuum_enabled = off);
    update pg_index set indisready = false where indrelid in ('log.events'::regclass, 'read.notes'::regclass);
    -- As UUIDv7 has it: what was made later sorts later.
    create function pg_temp.id(n bigint) returns uuid language sql immutable return
        (lpad(to_hex(1760000000000 + n / 20), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid";

const NOTES: &str = "
    insert into read.notes (id, product_id, version, created_at, created_by, updated_at, position, workspace_id, title,
        body, tags, links, status)
    select pg_temp.id(n), $2, 10, now(), $3, now(), n + 1, $4, 'A note', repeat('x', 208), '{}', '[]', 'active'
    from generate_series(0, $1::bigint - 1) as n";

const END: &str = "
    update log.head set (position, recorded_at) = (select position, recorded_at from log.events order by position desc limit 1)";

/// A database with a generated log, and the read model of its notes.
pub struct Filled {
    database: Database,
    pub notes: Arc<[Uuid]>,
}

impl Filled {
    pub async fn new(bench: &Bench, name: &str, events: i64) -> Self {
        let database = bench.database(name).await;
        for model in models() {
            skip_to_head(&database, model.as_ref()).await;
        }
        let mut client = bench.client(name).await;
        let transaction = client.transaction().await.unwrap();
        transaction.batch_execute(BEGIN).await.unwrap();
        let notes = events / EVENTS_PER_NOTE;
        fill(&transaction, events, notes).await;
        let sql = "reindex table log.events; reindex table read.notes";
        transaction.batch_execute(sql).await.unwrap();
        transaction.execute(END, &[]).await.unwrap();
        let ids = transaction
            .query("select id from read.notes", &[])
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        for sql in ["analyze log.events, read.notes", "checkpoint"] {
            client.batch_execute(sql).await.unwrap();
        }
        Self {
            database,
            notes: ids.iter().map(|row| row.get(0)).collect(),
        }
    }

    /// Opens the product on the database, with all consumers at the head of the log.
    pub async fn product(&self) -> Product {
        let product = Product::open(self.database.clone()).await;
        product.skip_to_head().await;
        product
    }
}

async fn fill(transaction: &Transaction<'_>, events: i64, notes: i64) {
    let desk = Desk::new();
    let samples = desk
        .append([(Uuid::now_v7(), 0), (Uuid::now_v7(), 1)])
        .events;
    let [created, revised] = samples.as_slice() else {
        unreachable!("two were asked for")
    };
    let insert = transaction.prepare(include_str!("fill.sql")).await.unwrap();
    let stretch = async |first: i64, last: i64, sample: &NewEvent| {
        let metadata = serde_json::to_string(&sample.metadata).unwrap();
        transaction
            .execute(
                &insert,
                &[
                    &first,
                    &last,
                    &notes,
                    &desk.product_id,
                    &sample.event_type,
                    &sample.data,
                    &metadata,
                    &desk.workspace_id,
                ],
            )
            .await
            .unwrap();
    };
    stretch(1, notes, created).await;
    stretch(notes + 1, events, revised).await;
    transaction
        .execute(
            NOTES,
            &[&notes, &desk.product_id, &desk.actor.id, &desk.workspace_id],
        )
        .await
        .unwrap();
}
