//! The effect of a long log: the same measurements on 20 million events and on 100,000.

use std::time::Duration;

use projections::knowledge::note::Notes;
use projections::{Viewer, get};
use tokio::process::Command;
use uuid::Uuid;

use crate::fill::Filled;
use crate::load::Seen;
use crate::report::Row;
use crate::server::Server;
use crate::{Bench, append, lag, limit, load, program};

const NAMES: [&str; 5] = [
    "growth_20m",
    "growth_20m_reads",
    "growth_20m_lag",
    "start_20m",
    "idle_memory",
];
const LARGE: i64 = 20_000_000;
/// Name of the variable that sets another number of events.
pub const EVENTS: &str = "DAYBOOK_BENCH_EVENTS";
const SMALL: i64 = 100_000;
/// The name of the limit in the table.
const SAME: &str = "the same on 100,000 events";

const CLIENTS: usize = 64;
/// Number of appends per second while the lag is measured.
const RATE: u32 = 1000;
/// Size of an event in bytes, including its indexes and its share of a note.
const BYTES_PER_EVENT: i64 = 800;
/// Idle time before the memory of a server is measured.
const IDLE: Duration = Duration::from_secs(5);

pub async fn rows(bench: &Bench) -> Vec<Row> {
    if !bench.wants_any(&NAMES) {
        return vec![];
    }
    let [appends_name, reads_name, lag_name, start_name, memory_name] = NAMES;
    let events = events(bench).await;
    let small = Filled::new(bench, "growth_small", SMALL).await;
    let large = Filled::new(bench, "growth_large", events).await;
    let conditions = format!("{} million events", events / 1_000_000);

    let mut rows = Vec::new();
    if bench.wants(appends_name) {
        let small = async || appends(&small).await.per_second;
        let (seen, limit) = limit::around(small, async || appends(&large).await).await;
        rows.push(Row::of(appends_name, "events/s", &seen).limited(SAME, limit));
    }
    if bench.wants(reads_name) {
        let small = async || reads(&small).await.per_second;
        let (seen, limit) = limit::around(small, async || reads(&large).await).await;
        rows.push(Row::of(reads_name, "reads/s", &seen).limited(SAME, limit));
    }
    if bench.wants(lag_name) {
        let small = async || median_lag(&small).await.p50_ms;
        let (seen, limit) = limit::around(small, async || median_lag(&large).await).await;
        rows.push(Row::new(lag_name, "ms", seen.p50_ms).limited(SAME, limit));
    }
    if bench.wants_any(&[start_name, memory_name]) {
        let server = Server::start(&bench.postgres.url("growth_large")).await;
        rows.push(Row::new(start_name, "s", server.started_in.as_secs_f64()));
        tokio::time::sleep(IDLE).await;
        rows.push(Row::new(memory_name, "MB", server.resident_mb()));
        server.stop().await;
    }
    bench.clear("growth_small").await;
    bench.clear("growth_large").await;
    rows.into_iter()
        .map(|row| row.under(conditions.clone()))
        .collect()
}

/// Returns the requested number of events, or as many as fit a third of the free space, in whole millions.
async fn events(bench: &Bench) -> i64 {
    if let Ok(events) = std::env::var(EVENTS) {
        return events.parse().expect("a number of events");
    }
    let mut df = Command::new("df");
    df.args(["--block-size=1", "--output=avail"])
        .arg(bench.directory.path());
    let output = program::run(&mut df).await;
    let free: i64 = output.lines().last().unwrap().trim().parse().unwrap();
    let fitting = free / 3 / BYTES_PER_EVENT / 1_000_000 * 1_000_000;
    LARGE.min(fitting.max(1_000_000))
}

async fn appends(log: &Filled) -> Seen {
    append::new_notes(log.product().await.store, CLIENTS).await
}

/// Reads random notes by id.
async fn reads(log: &Filled) -> Seen {
    let database = log.product().await.database;
    let notes = log.notes.clone();
    let viewer = Viewer {
        product_id: None,
        actor_id: Uuid::nil(),
    };
    load::run(CLIENTS, move |_| {
        let database = database.clone();
        let id = notes[rand::random_range(0..notes.len())];
        async move {
            get::<Notes>(&database, viewer, id).await.unwrap().unwrap();
        }
    })
    .await
}

async fn median_lag(log: &Filled) -> Seen {
    let product = log.product().await;
    product.start();
    let seen = lag::measure(&product, RATE).await;
    product.stop().await;
    seen
}
