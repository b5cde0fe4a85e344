//! Commands to two nodes on one database.

use crate::http::new_notes;
use crate::load::Seen;
use crate::report::Row;
use crate::server::{Server, Tenant};
use crate::{Bench, limit, wrk};

const NAME: &str = "two_nodes";

pub async fn rows(bench: &Bench) -> Vec<Row> {
    if !bench.wants(NAME) {
        return vec![];
    }
    let url = bench.create(NAME).await;
    let first = Server::start(&url).await;
    let requests = new_notes(&Tenant::new(&first).await);
    let alone = async || wrk::run(&first.url, &requests, 64).await.per_second;
    let both = async || {
        let second = Server::start(&url).await;
        let (one, other) = tokio::join!(
            wrk::run(&first.url, &requests, 32),
            wrk::run(&second.url, &requests, 32)
        );
        second.stop().await;
        Seen {
            per_second: one.per_second + other.per_second,
            p50_ms: one.p50_ms.max(other.p50_ms),
            p99_ms: one.p99_ms.max(other.p99_ms),
        }
    };
    let (seen, limit) = limit::around(alone, both).await;
    first.stop().await;
    bench.clear(NAME).await;
    let row = Row::of(NAME, "commands/s", &seen).limited("one node with 64 connections", limit);
    vec![row.under("32 connections to each; the milliseconds are those of the slower one")]
}
