//! Rebuilds of read models, as after an update that changed them; the results are not compared with the live ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use domain::Aggregate;
use domain::knowledge::note::{Note, NoteEvent};
use projections::{ApplyError, Consumer, MemoryBudget, Rebuilding, Transaction, models, rebuild};
use store::{EventStore, Purpose, Recorded, Session};
use uuid::Uuid;

use crate::Bench;
use crate::product::{Product, skip_to_head};
use crate::report::Row;

pub const NAMES: [&str; 3] = ["rebuild_note", "rebuild_fold", "rebuild_all"];

/// Measures rebuilds on a log of `events` events, with all consumers at its head.
pub async fn rows(bench: &Bench, product: &Product, events: usize) -> Vec<Row> {
    let [note, fold, all] = NAMES;
    let mut rows = Vec::new();
    if bench.wants(note) {
        let mut models = models();
        models.retain(|model| model.name() == Note::CATEGORY);
        rows.push(row(note, product, &models, events).await);
    }
    if bench.wants(fold) {
        skip_to_head(&product.database, &Activity).await;
        let row = row(fold, product, &[Arc::new(Activity)], events).await;
        rows.push(row.under("one row for each product"));
    }
    if bench.wants(all) {
        let models = models();
        let row = row(all, product, &models, events).await;
        rows.push(row.under(format!("{} models", models.len())));
    }
    rows
}

async fn row(name: &str, product: &Product, models: &[Arc<dyn Consumer>], events: usize) -> Row {
    let client = product.database.session(Purpose::Queries).await.unwrap();
    let outdate = "update log.checkpoints set built_by = 'another version'";
    client.execute(outdate, &[]).await.unwrap();
    let store: Arc<dyn EventStore> = product.store.clone();
    let started = Instant::now();
    let reports = rebuild(
        &product.database,
        &store,
        models,
        true,
        &MemoryBudget::default(),
    )
    .await;
    for report in reports.unwrap() {
        assert!(report.swapped && !report.compared);
    }
    Row::new(
        name,
        "events/s",
        events as f64 / started.elapsed().as_secs_f64(),
    )
}

/// A read model of the activity in each product, which folds all events into a few rows.
struct Activity;

#[async_trait]
impl Consumer for Activity {
    fn name(&self) -> &'static str {
        "bench_activity"
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Note::CATEGORY]
    }

    fn ddl(&self) -> &'static str {
        "create table bench_activity (product_id uuid primary key, events bigint not null, bytes bigint not null)"
    }

    fn rebuilding(&self, _: &MemoryBudget) -> Option<Box<dyn Rebuilding + '_>> {
        Some(Box::new(Totals::default()))
    }

    async fn apply(&self, _: &mut Transaction<'_>, _: &[Recorded]) -> Result<(), ApplyError> {
        unreachable!("it is only rebuilt")
    }
}

/// Number of events and bytes of each product.
#[derive(Default)]
struct Totals(HashMap<Uuid, (i64, i64)>);

#[async_trait]
impl Rebuilding for Totals {
    async fn take(&mut self, _: &Session, events: &[&Recorded]) -> Result<(), ApplyError> {
        for event in events {
            let change = event
                .decode()
                .map_err(|error| ApplyError::contract(event, &error))?;
            let (events, bytes) = self.0.entry(event.product_id).or_default();
            *events += 1;
            *bytes += written(&change);
        }
        Ok(())
    }

    async fn finish(&mut self, session: &Session) -> Result<(), ApplyError> {
        let (products, totals): (Vec<Uuid>, Vec<(i64, i64)>) = self.0.drain().unzip();
        let (events, bytes): (Vec<i64>, Vec<i64>) = totals.into_iter().unzip();
        session
            .execute(INSERT, &[&products, &events, &bytes])
            .await?;
        Ok(())
    }
}

const INSERT: &str =
    "insert into bench_activity select * from unnest($1::uuid[], $2::bigint[], $3::bigint[])";

/// Returns the number of bytes of text.
fn written(change: &NoteEvent) -> i64 {
    let bytes = match change {
        NoteEvent::Created { body, .. } => body.len(),
        NoteEvent::Revised { body, .. } => body.as_ref().map_or(0, String::len),
        NoteEvent::Tagged { .. }
        | NoteEvent::Linked { .. }
        | NoteEvent::Unlinked { .. }
        | NoteEvent::Archived {}
        | NoteEvent::Trashed {}
        | NoteEvent::Restored {}
        | NoteEvent::Purged {} => 0,
    };
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
