//! The cost of many consumers: in the load of a node, and in database sessions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use projections::{ApplyError, Consumer, Transaction};
use store::Recorded;

use crate::executor::Author;
use crate::http::new_notes;
use crate::load::Seen;
use crate::product::Product;
use crate::report::Row;
use crate::server::{Server, Tenant};
use crate::{Bench, lag, limit, load, wrk};

/// Number of consumers besides those of the product.
const MORE: usize = 200;
const CLIENTS: usize = 64;
/// Number of events per second while the lag is measured.
const RATE: u32 = 1_000;
/// Time after which unused sessions are closed.
const SETTLED: Duration = Duration::from_secs(45);
const BESIDE: &str = "the same without 200 more consumers of other categories";

pub async fn rows(bench: &Bench) -> Vec<Row> {
    let mut rows = Vec::new();
    if bench.wants("consumers_200") {
        let (seen, without) = compared(bench, commands).await;
        rows.push(Row::of("consumers_200", "commands/s", &seen).limited(BESIDE, without));
    }
    if bench.wants("consumers_200_lag") {
        let (seen, without) = compared(bench, lag_ms).await;
        let row = Row::new("consumers_200_lag", "ms", seen.per_second);
        rows.push(row.limited(BESIDE, without));
    }
    if bench.wants_any(&["sessions_idle", "sessions_busy"]) {
        rows.extend(sessions(bench).await);
    }
    rows
}

/// Measures the load on a product with more consumers, between two runs without.
async fn compared(bench: &Bench, load: impl AsyncFn(&Product) -> Seen) -> (Seen, f64) {
    const NAME: &str = "consumers_200";
    let with = async |more: usize| {
        let mut product = bench.product(NAME).await;
        product.add((0..more).map(Idle::consumer).collect());
        product.start();
        let seen = load(&product).await;
        product.stop().await;
        bench.clear(NAME).await;
        seen
    };
    limit::around(async || with(0).await.per_second, async || with(MORE).await).await
}

/// Runs commands that write notes.
async fn commands(product: &Product) -> Seen {
    let author = Author::new(product).await;
    let write = move |_| {
        let author = author.clone();
        async move {
            author.write().await;
        }
    };
    load::run(CLIENTS, write).await
}

/// Measures the median lag in milliseconds, returned in place of a rate.
async fn lag_ms(product: &Product) -> Seen {
    let seen = lag::measure(product, RATE).await;
    Seen {
        per_second: seen.p50_ms,
        ..seen
    }
}

/// A consumer that handles no event.
struct Idle(&'static str);

impl Idle {
    fn consumer(number: usize) -> Arc<dyn Consumer> {
        Arc::new(Self(format!("idle_{number}").leak()))
    }
}

#[async_trait]
impl Consumer for Idle {
    fn name(&self) -> &'static str {
        self.0
    }

    fn categories(&self) -> &'static [&'static str] {
        &["idle"]
    }

    async fn apply(&self, _: &mut Transaction<'_>, _: &[Recorded]) -> Result<(), ApplyError> {
        Ok(())
    }
}

/// Counts the sessions of a node under commands and queries, and of an idle one.
async fn sessions(bench: &Bench) -> Vec<Row> {
    const NAME: &str = "sessions";
    let server = Server::start(&bench.create(NAME).await).await;
    let commands = new_notes(&Tenant::new(&server).await);
    let queries = wrk::Requests {
        key: commands.key.clone(),
        paths: vec!["/v1/notes".into(), "/v1/search?q=bench".into()],
        body: None,
    };
    let (write, read) = (
        wrk::run(&server.url, &commands, CLIENTS),
        wrk::run(&server.url, &queries, CLIENTS),
    );
    let mut busy = 0;
    tokio::select! {
        _ = futures::future::join(write, read) => {}
        () = async { loop { busy = busy.max(open(bench, NAME).await) } } => {}
    }
    tokio::time::sleep(SETTLED).await;
    let idle = open(bench, NAME).await;
    server.stop().await;
    bench.clear(NAME).await;
    vec![
        Row::new("sessions_idle", "sessions", idle as f64).limited("12 at most", 12.0),
        Row::new("sessions_busy", "sessions", busy as f64).limited("32 at most", 32.0),
    ]
}

/// Counts the open sessions of a database.
async fn open(bench: &Bench, name: &str) -> i64 {
    const OPEN: &str = "select count(*) from pg_stat_activity where datname = $1";
    let client = bench.client("postgres").await;
    client.query_one(OPEN, &[&name]).await.unwrap().get(0)
}
