//! Runs many clients that do the same work for a while.

use std::future::Future;
use std::time::{Duration, Instant};

/// Duration of a load before it is measured, and while it is measured.
pub const WARM_UP: Duration = Duration::from_secs(1);
pub const MEASURED: Duration = Duration::from_secs(5);

/// The results of a load.
pub struct Seen {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Seen {
    /// Summarises the durations of the work done within a period of time.
    pub fn of(mut took: Vec<Duration>, within: Duration) -> Self {
        took.sort_unstable();
        Self {
            per_second: took.len() as f64 / within.as_secs_f64(),
            p50_ms: milliseconds(took[took.len() / 2]),
            p99_ms: milliseconds(took[took.len() * 99 / 100]),
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Runs clients 0, 1, 2, …, each doing one piece of work after the other.
pub async fn run<W, F>(clients: usize, work: W) -> Seen
where
    W: Fn(usize) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send,
{
    let start = Instant::now() + WARM_UP;
    let end = start + MEASURED;
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let work = work.clone();
            tokio::spawn(async move {
                let mut took = Vec::new();
                loop {
                    let before = Instant::now();
                    work(client).await;
                    let after = Instant::now();
                    if after >= end {
                        return took;
                    }
                    if after >= start {
                        took.push(after - before);
                    }
                }
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.unwrap());
    }
    Seen::of(took, MEASURED)
}
