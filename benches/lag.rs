//! The time from an append's return until the note can be read, at a constant rate, with the whole product running.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Aggregate;
use domain::knowledge::note::Note;
use projections::Readers;
use store::{Append, EventStore, Position, PostgresStore};
use tokio::task::JoinSet;

use crate::Bench;
use crate::load::{MEASURED, Seen, WARM_UP};
use crate::notes::Desk;
use crate::product::Product;
use crate::report::Row;

pub async fn rows(bench: &Bench) -> Vec<Row> {
    let mut rows = Vec::new();
    for rate in [1_000, 10_000] {
        let name = format!("lag_{rate}");
        if bench.wants(&name) {
            let product = bench.product(&name).await;
            product.start();
            let seen = measure(&product, rate).await;
            product.stop().await;
            bench.clear(&name).await;
            let row =
                Row::of(&name, "events/s", &seen).limited("the rate that is wanted", rate.into());
            rows.push(row.under("the milliseconds are the lag"));
        }
    }
    rows
}

/// Measures the lag, and the rate that was reached.
pub async fn measure(product: &Product, rate: u32) -> Seen {
    let warm_up = count(rate, WARM_UP);
    let events = warm_up + count(rate, MEASURED);
    let head = product.store.read_head().await.unwrap();
    let last = head + Position::try_from(events).unwrap();
    let watching = tokio::spawn(watch(product.readers.clone(), head, last));
    let mut appended = append_at(product.store.clone(), rate, events).await;
    let visible = watching.await.unwrap();

    let measured = appended.split_off(warm_up);
    let took = measured.last().unwrap().1 - appended.last().unwrap().1;
    Seen::of(lags(measured, &visible), took)
}

fn count(rate: u32, time: Duration) -> usize {
    usize::try_from(u64::from(rate) * time.as_secs()).unwrap()
}

/// Positions, and the times when they were reached.
type Moments = Vec<(Position, Instant)>;

/// Appends new notes, each at its due time, without waiting for earlier ones; returns them in order of their positions.
async fn append_at(store: Arc<PostgresStore>, rate: u32, events: usize) -> Moments {
    let desk = Desk::new();
    let start = Instant::now();
    let mut appends = JoinSet::new();
    for event in 0..events {
        let due = start + Duration::from_secs_f64(event as f64 / f64::from(rate));
        tokio::time::sleep_until(due.into()).await;
        appends.spawn(append(store.clone(), desk.new_note()));
    }
    let mut appended = appends.join_all().await;
    appended.sort_unstable();
    appended
}

async fn append(store: Arc<PostgresStore>, append: Append) -> (Position, Instant) {
    let appended = store.append(append).await.unwrap();
    (appended.position, Instant::now())
}

/// Records the times at which the read model reached its positions.
async fn watch(readers: Readers, mut position: Position, last: Position) -> Moments {
    let mut visible = Vec::new();
    while position < last {
        position = readers.wait(Note::CATEGORY, position + 1).await.unwrap();
        visible.push((position, Instant::now()));
    }
    visible
}

/// Returns the time from each append until it was visible; zero if it was visible before its append returned.
fn lags(appended: Moments, visible: &[(Position, Instant)]) -> Vec<Duration> {
    let lag = |(position, at): (Position, Instant)| {
        let seen = visible.partition_point(|(seen, _)| *seen < position);
        visible[seen].1.saturating_duration_since(at)
    };
    appended.into_iter().map(lag).collect()
}
