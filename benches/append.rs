//! Appends to the log: one event each, into a new stream, its version checked.

use std::sync::Arc;

use store::{EventStore, PostgresStore};

use crate::load::Seen;
use crate::notes::Desk;
use crate::report::Row;
use crate::{Bench, limit, load};

const WRITERS: [usize; 5] = [1, 16, 64, 256, 1024];

pub async fn rows(bench: &Bench) -> Vec<Row> {
    let mut rows = Vec::new();
    for writers in WRITERS {
        let name = format!("append_{writers}");
        if bench.wants(&name) {
            rows.push(row(bench, &name, writers).await);
        }
    }
    rows
}

pub async fn row(bench: &Bench, name: &str, writers: usize) -> Row {
    let store = bench.product(name).await.store;
    let inserts = async || limit::inserts_per_second(bench, writers).await;
    let (seen, limit) = limit::around(inserts, async || new_notes(store, writers).await).await;
    bench.clear(name).await;
    Row::of(name, "events/s", &seen).limited(limit::INSERTS, limit)
}

/// Measures concurrent writers, each of which appends one new note after the other.
pub async fn new_notes(store: Arc<PostgresStore>, writers: usize) -> Seen {
    let desk = Desk::new();
    load::run(writers, move |_| {
        let store = store.clone();
        async move {
            store.append(desk.new_note()).await.unwrap();
        }
    })
    .await
}
