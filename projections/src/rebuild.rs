//! Building a read model anew beside the live one, comparing the two row by row, and swapping them.

use std::sync::Arc;

use serde::Serialize;
use store::{Database, EventStore, Filter, Position, ReadError};
use tokio_postgres::{Client, Transaction};

use crate::{Consumer, PostError, Posting, checkpoint};

/// Events in one transaction of a rebuild.
const BATCH: usize = 10_000;
/// Differing rows that a report shows.
const SAMPLES: i64 = 20;

/// Why a rebuild did not come to its end; the live model is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The consumer keeps no read model.
    #[error("{0} keeps no read model that could be rebuilt")]
    NoModel(&'static str),
    /// Another rebuild of the same model is under way.
    #[error("{0} is being rebuilt already")]
    UnderWay(&'static str),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event could not be applied.
    #[error(transparent)]
    Post(#[from] PostError),
    /// The database refused.
    #[error("database: {}", .0.as_db_error().map_or_else(|| .0.to_string(), ToString::to_string))]
    Database(#[from] tokio_postgres::Error),
}

/// A row that is only in one of the two models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub table: String,
    /// `live` or `rebuilt`.
    pub only_in: String,
    pub row: String,
}

/// What a rebuild found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub name: &'static str,
    /// Both models were compared at this position.
    pub position: Position,
    pub events: u64,
    /// Rows that differ; none if the live model was built by another version and so not compared.
    pub differences: i64,
    pub samples: Vec<Difference>,
    pub compared: bool,
    pub swapped: bool,
}

/// Rebuilds a read model beside the live one and compares them; swaps them if told to. Reads go on throughout;
/// posting pauses while the two are compared.
pub async fn rebuild(
    database: &Database,
    store: &Arc<dyn EventStore>,
    consumer: &dyn Consumer,
    swap: bool,
) -> Result<Report, RebuildError> {
    if consumer.ddl().is_empty() {
        return Err(RebuildError::NoModel(consumer.name()));
    }
    let mut client = database.connect().await?;
    let locked = client
        .query_one(
            "select pg_try_advisory_lock(hashtextextended('daybook rebuild ' || $1, 0))",
            &[&consumer.name()],
        )
        .await?;
    if !locked.get::<_, bool>(0) {
        return Err(RebuildError::UnderWay(consumer.name()));
    }
    let schema = format!("rebuild_{}", consumer.name());
    let rebuilt = Rebuild {
        store,
        consumer,
        schema: &schema,
    }
    .run(&mut client, swap)
    .await;
    client
        .batch_execute(&format!("drop schema if exists {schema} cascade"))
        .await?;
    rebuilt
}

struct Rebuild<'a> {
    store: &'a Arc<dyn EventStore>,
    consumer: &'a dyn Consumer,
    schema: &'a str,
}

impl Rebuild<'_> {
    async fn run(&self, client: &mut Client, swap: bool) -> Result<Report, RebuildError> {
        let schema = self.schema;
        client
            .batch_execute(&format!(
                "set synchronous_commit = off; drop schema if exists {schema} cascade; create schema {schema}; \
                 set search_path = {schema}"
            ))
            .await?;
        client.batch_execute(self.consumer.ddl()).await?;

        // Most of it first, without keeping the live model from moving on.
        let mut progress = Progress::default();
        let target = self.live_position(client).await?;
        while progress.position < target {
            let tx = client.transaction().await?;
            self.step(&tx, &mut progress, target).await?;
            tx.commit().await?;
        }

        let tx = client.transaction().await?;
        let live = checkpoint::lock(&tx, self.consumer.name()).await?;
        let target = live.as_ref().map_or(0, |live| live.position);
        while progress.position < target {
            self.step(&tx, &mut progress, target).await?;
        }
        let built_by = self.consumer.built_by();
        let mut report = Report {
            name: self.consumer.name(),
            position: progress.position,
            events: progress.events,
            differences: 0,
            samples: vec![],
            compared: live.is_some_and(|live| live.built_by == built_by),
            swapped: swap,
        };
        let tables = tables(&tx, self.schema).await?;
        if report.compared {
            for table in &tables {
                self.compare(&tx, table, &mut report).await?;
            }
        }
        if swap {
            self.swap(&tx, &tables).await?;
            checkpoint::create(&tx, self.consumer.name(), progress.position, &built_by).await?;
        }
        tx.commit().await?;
        Ok(report)
    }

    async fn live_position(&self, client: &Client) -> Result<Position, RebuildError> {
        let live = checkpoint::read(client, self.consumer.name()).await?;
        Ok(live.map_or(0, |live| live.position))
    }

    /// Posts one batch, none of it beyond the target.
    async fn step(
        &self,
        tx: &Transaction<'_>,
        progress: &mut Progress,
        target: Position,
    ) -> Result<(), RebuildError> {
        let filter = Filter::categories(self.consumer.categories().iter().copied());
        let mut page = self
            .store
            .read_all(progress.position, &filter, BATCH)
            .await?;
        page.events.retain(|event| event.position <= target);
        if !page.events.is_empty() {
            let mut posting = Posting::within(tx.client());
            self.consumer.post(&mut posting, &page.events).await?;
        }
        progress.position = page.scanned_to.min(target);
        progress.events += page.events.len() as u64;
        Ok(())
    }

    async fn compare(
        &self,
        tx: &Transaction<'_>,
        table: &str,
        report: &mut Report,
    ) -> Result<(), RebuildError> {
        let schema = self.schema;
        let differences = format!(
            "select only_in, row from (
                (select 'live' as only_in, l::text as row from (select * from read.{table} except all select * from {schema}.{table}) l)
                union all
                (select 'rebuilt', r::text from (select * from {schema}.{table} except all select * from read.{table}) r)
             ) differing"
        );
        let count = tx
            .query_one(&format!("select count(*) from ({differences}) d"), &[])
            .await?;
        report.differences += count.get::<_, i64>(0);
        let samples = tx
            .query(&format!("{differences} order by row limit {SAMPLES}"), &[])
            .await?;
        report.samples.extend(samples.iter().map(|row| Difference {
            table: table.to_owned(),
            only_in: row.get(0),
            row: row.get(1),
        }));
        Ok(())
    }

    async fn swap(&self, tx: &Transaction<'_>, tables: &[String]) -> Result<(), RebuildError> {
        let schema = self.schema;
        for table in tables {
            tx.batch_execute(&format!(
                "drop table if exists read.{table}; alter table {schema}.{table} set schema read"
            ))
            .await?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Progress {
    position: Position,
    events: u64,
}

async fn tables(tx: &Transaction<'_>, schema: &str) -> Result<Vec<String>, RebuildError> {
    let rows = tx
        .query(
            "select tablename::text from pg_tables where schemaname = $1 order by 1",
            &[&schema],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
