//! cqrs-es on postgres-es: one command, and thus one event, for each new aggregate.

mod http;
#[path = "../../load.rs"]
mod load;
mod note;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use cqrs_es::persist::QueryReplay;
use cqrs_es::{EventEnvelope, Query};
use note::{Create, Note};
use postgres_es::{PostgresCqrs, PostgresEventRepository, postgres_cqrs};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPool};
use uuid::Uuid;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The table in the crate's `db/init.sql`.
const EVENTS: &str = "create table events (
    aggregate_type text not null,
    aggregate_id text not null,
    sequence bigint check (sequence >= 0) not null,
    event_type text not null,
    event_version text not null,
    payload json not null,
    metadata json not null,
    primary key (aggregate_type, aggregate_id, sequence)
)";

type Cqrs = Arc<PostgresCqrs<Note>>;

#[tokio::main]
async fn main() {
    // Ten connections, as in the crate's own default pool.
    let pool = PgPool::connect_with(PgConnectOptions::new()).await.unwrap();
    sqlx::query(EVENTS).execute(&pool).await.unwrap();
    let cqrs = Arc::new(postgres_cqrs(pool.clone(), Vec::new(), ()));
    for writers in std::env::args().skip(1) {
        append(&cqrs, writers.parse().unwrap()).await;
    }
    replay(pool).await;
    http::measure(cqrs).await;
}

async fn append(cqrs: &Cqrs, writers: usize) {
    let cqrs = Arc::clone(cqrs);
    let seen = load::run(writers, move |_| create(Arc::clone(&cqrs))).await;
    println!(
        "{}",
        json!({
            "peer": "cqrs-es", "version": VERSION, "writers": writers,
            "appends_per_second": seen.per_second, "p50_ms": seen.p50_ms, "p99_ms": seen.p99_ms,
        })
    );
}

async fn create(cqrs: Cqrs) {
    cqrs.execute(&Uuid::now_v7().to_string(), Create)
        .await
        .unwrap();
}

/// Counts the replayed events.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU64>);

#[async_trait]
impl Query<Note> for Count {
    async fn dispatch(&self, _: &str, events: &[EventEnvelope<Note>]) {
        self.0.fetch_add(events.len() as u64, Ordering::Relaxed);
    }
}

async fn replay(pool: PgPool) {
    let count = Count::default();
    let replay = QueryReplay::new(PostgresEventRepository::new(pool), count.clone());
    let start = Instant::now();
    replay.replay_all().await.unwrap();
    let events = count.0.load(Ordering::Relaxed);
    println!(
        "{}",
        json!({
            "peer": "cqrs-es", "version": VERSION, "events": events,
            "replayed_per_second": events as f64 / start.elapsed().as_secs_f64(),
        })
    );
}
