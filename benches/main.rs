//! Measures the use of the machine: each figure beside the limit of the same PostgreSQL, measured in the same run.
//! `make bench` runs all, `make bench ONLY=append_64,http_command_64` a few, `make bench-record` does the same and
//! keeps the results; `make bench-check` compares with the committed results.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a measurement that cannot be made has nothing to report"
)]

mod append;
mod bench;
mod check;
mod conditions;
mod constant;
mod consumers;
mod executor;
mod fill;
mod growth;
mod http;
mod lag;
mod limit;
mod load;
mod memory;
mod million;
mod notes;
mod product;
mod program;
mod rebuild;
mod report;
mod search;
mod server;
mod slow_disk;
mod two_nodes;
mod webhooks;
mod wrk;

use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Duration;

use bench::Bench;
use conditions::Conditions;
use futures::FutureExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use report::Row;

/// The same allocator as the product's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Path of the log of this process and of the servers that it starts.
const LOG: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/bench.log");

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    observe();
    eprintln!("the log of this run: {LOG}");
    let (options, names): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let only = names.iter().flat_map(|names| names.split(','));
    let bench = Bench::open(only.map(str::to_owned).collect()).await;
    let conditions = Conditions::of(&bench).await;
    println!("{conditions}");
    let rows = measure(&bench).await;
    println!("{}", report::table(&rows));
    let is_whole = bench.is_whole();
    bench.close().await;
    if options.iter().any(|option| option == "--check") {
        return check(&rows);
    }
    if is_whole || options.iter().any(|option| option == "--record") {
        report::write(rows, &conditions);
    }
    ExitCode::SUCCESS
}

async fn measure(bench: &Bench) -> Vec<Row> {
    let mut rows = Vec::new();
    add(&mut rows, append::rows(bench)).await;
    add(&mut rows, executor::rows(bench)).await;
    add(&mut rows, http::rows(bench)).await;
    add(&mut rows, two_nodes::rows(bench)).await;
    add(&mut rows, million::rows(bench)).await;
    add(&mut rows, lag::rows(bench)).await;
    add(&mut rows, consumers::rows(bench)).await;
    add(&mut rows, search::rows(bench)).await;
    add(&mut rows, webhooks::rows(bench)).await;
    add(&mut rows, slow_disk::rows(bench)).await;
    add(&mut rows, growth::rows(bench)).await;
    add(&mut rows, memory::rows(bench)).await;
    rows
}

/// Adds rows and prints them as they come. A disk that stalls for seconds aborts only the current measurement.
async fn add(rows: &mut Vec<Row>, more: impl Future<Output = Vec<Row>>) {
    match AssertUnwindSafe(more).catch_unwind().await {
        Ok(more) => {
            more.iter().for_each(|row| eprintln!("{row}"));
            rows.extend(more);
        }
        Err(_) => eprintln!("these measurements were broken off: see above"),
    }
}

fn check(rows: &[Row]) -> ExitCode {
    let regressions = check::regressions(rows);
    for regression in &regressions {
        eprintln!("regression: {regression}");
    }
    ExitCode::from(u8::from(!regressions.is_empty()))
}

/// Opens the log file for another writer.
pub fn log() -> File {
    File::options().append(true).open(LOG).unwrap()
}

/// Records logs and metrics as in production.
fn observe() {
    File::create(LOG).unwrap();
    tracing_subscriber::fmt()
        .with_env_filter("info")
        .with_ansi(false)
        .with_writer(log())
        .init();
    let metrics = PrometheusBuilder::new()
        .set_buckets(&[0.001, 0.01, 0.1, 1.0])
        .unwrap()
        .install_recorder()
        .unwrap();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            metrics.run_upkeep();
        }
    });
}
