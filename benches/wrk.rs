//! Loads an HTTP server with wrk, which itself uses little of the machine.

use serde::Deserialize;
use tempfile::NamedTempFile;
use tokio::process::Command;
use uuid::Uuid;

use crate::load::{MEASURED, Seen, WARM_UP};
use crate::program;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/wrk.lua");

/// The requests that are repeated.
pub struct Requests {
    /// API key.
    pub key: String,
    /// Paths, requested in turn.
    pub paths: Vec<String>,
    /// Body of a `POST`; none: a `GET`.
    pub body: Option<String>,
}

/// The result that the script prints at the end.
#[derive(Deserialize)]
struct Outcome {
    requests: u64,
    errors: u64,
    seconds: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Runs the requests; every one must succeed.
pub async fn run(url: &str, requests: &Requests, connections: usize) -> Seen {
    let paths = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&paths, requests.paths.join("\n")).unwrap();
    once(url, requests, connections, WARM_UP.as_secs(), &paths).await;
    let outcome = once(url, requests, connections, MEASURED.as_secs(), &paths).await;
    Seen {
        per_second: outcome.requests as f64 / outcome.seconds,
        p50_ms: outcome.p50_ms,
        p99_ms: outcome.p99_ms,
    }
}

async fn once(
    url: &str,
    requests: &Requests,
    connections: usize,
    seconds: u64,
    paths: &NamedTempFile,
) -> Outcome {
    let output = program::run(
        Command::new("wrk")
            .args(["-t", "1", "-c", &connections.to_string()])
            .args([
                "-d",
                &format!("{seconds}s"),
                "--latency",
                "-s",
                SCRIPT,
                url,
                "--",
            ])
            .args([&requests.key, &Uuid::now_v7().to_string()])
            .arg(paths.path())
            .args(&requests.body),
    )
    .await;
    let outcome = output.lines().last().map(serde_json::from_str::<Outcome>);
    let outcome = outcome.expect("wrk prints its outcome").unwrap();
    assert_eq!(outcome.errors, 0, "{output}");
    outcome
}
