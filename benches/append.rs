//! Appends to the log: one event each, into a new stream, its version checked.

use domain::{Actor, StreamId};
use store::{Append, Database, EventStore, Expected, Metadata, NewEvent, PostgresStore};
use uuid::Uuid;

use crate::report::Row;
use crate::{Bench, limit, load};

pub async fn measure(bench: &Bench, name: &str, writers: usize) -> Row {
    let database = Database::open(bench.database(name).await).await.unwrap();
    let store = PostgresStore::open(database).await.unwrap();
    // More than 64 clients do not make pgbench faster.
    let clients = writers.min(64);
    let before = limit::inserts_per_second(bench, clients).await;
    let seen = load::run(writers, move || {
        let store = store.clone();
        async move {
            store.append(append()).await.unwrap();
        }
    })
    .await;
    let after = limit::inserts_per_second(bench, clients).await;
    Row::new(
        name,
        "events/s",
        &seen,
        "pgbench one-row insert, as many clients, 64 at most",
        f64::midpoint(before, after),
    )
}

fn append() -> Append {
    let stream = StreamId::new("bench", Uuid::now_v7());
    Append {
        product_id: Uuid::nil(),
        expectations: vec![(stream.clone(), Expected::NoStream)],
        events: vec![NewEvent {
            stream,
            event_id: Uuid::now_v7(),
            event_type: "bench.appended".into(),
            contract_version: 1,
            data: format!("{{\"text\":\"{}\"}}", "x".repeat(289)),
            metadata: Metadata {
                actor: Actor::SYSTEM,
                on_behalf_of: None,
                command: "bench.append".into(),
                command_key: None,
                reason: None,
                traceparent: None,
            },
            correlation_id: Uuid::now_v7(),
            causation_id: None,
        }],
        receipt: None,
    }
}
