//! The limits of the same PostgreSQL.

use std::pin::pin;
use std::time::Instant;

use axum::body::Bytes;
use futures::{SinkExt, TryStreamExt};
use tokio::process::Command;
use tokio_postgres::Client;

use crate::{Bench, notes, program};

/// The name of [`inserts_per_second`] in the table.
pub const INSERTS: &str = "pgbench one-row insert, as many clients, 64 at most";
/// The name of [`copied_per_second`] in the table.
pub const COPY: &str = "COPY of the same rows";

const TABLE: &str = "drop table if exists limit_rows; \
    create table limit_rows (id bigserial primary key, data json not null)";

/// Duration of one run in seconds.
const SECONDS: &str = "5";

/// Measures between two runs of the limit; returns the mean of the two.
pub async fn around<T>(limit: impl AsyncFn() -> f64, measure: impl AsyncFnOnce() -> T) -> (T, f64) {
    let before = limit().await;
    let seen = measure().await;
    let after = limit().await;
    (seen, f64::midpoint(before, after))
}

/// Measures one-row inserts per second by pgbench with as many clients; more than 64 do not make it faster.
pub async fn inserts_per_second(bench: &Bench, clients: usize) -> f64 {
    let script = bench.directory.path().join("insert.sql");
    let data = notes::payload();
    std::fs::write(
        &script,
        format!("insert into limit_rows (data) values ('{data}');\n"),
    )
    .unwrap();
    let client = bench.client("postgres").await;
    client.batch_execute(TABLE).await.unwrap();
    let clients = clients.min(64).to_string();
    let output = program::run(
        Command::new(program::of_postgres("pgbench"))
            .args([
                "-n", "-M", "prepared", "-c", &clients, "-j", "2", "-T", SECONDS, "-f",
            ])
            .arg(&script)
            .arg(bench.postgres.url("postgres")),
    )
    .await;
    output
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
        .expect("pgbench prints its rate")
}

/// Measures the events per second that PostgreSQL copies out of the log, without parsing them.
pub async fn copied_per_second(client: &Client, events: usize) -> f64 {
    let started = Instant::now();
    copy_out(client, "log.events", |_| ()).await;
    events as f64 / started.elapsed().as_secs_f64()
}

/// Measures the rows per second when the first events of the log are copied into a table with the log's indexes.
pub async fn copied_in_per_second(client: &Client, events: usize) -> f64 {
    let mut rows = Vec::new();
    let first = format!("(select * from log.events where position <= {events})");
    copy_out(client, &first, |chunk| rows.push(chunk)).await;
    client
        .batch_execute("create table limit_events (like log.events including all)")
        .await
        .unwrap();
    let started = Instant::now();
    let sink = client
        .copy_in("copy limit_events from stdin (format binary)")
        .await
        .unwrap();
    let mut sink = pin!(sink);
    for chunk in rows {
        sink.feed(chunk).await.unwrap();
    }
    let copied = sink.finish().await.unwrap();
    let took = started.elapsed().as_secs_f64();
    client
        .batch_execute("drop table limit_events")
        .await
        .unwrap();
    copied as f64 / took
}

async fn copy_out(client: &Client, what: &str, mut take: impl FnMut(Bytes)) {
    let sql = format!("copy {what} to stdout (format binary)");
    let mut chunks = pin!(client.copy_out(&sql).await.unwrap());
    while let Some(chunk) = chunks.try_next().await.unwrap() {
        take(chunk);
    }
}
