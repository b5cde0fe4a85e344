//! Many clients doing the same thing for a while.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long the load runs before it is measured, and then while it is.
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(5);

/// What a load saw.
pub struct Seen {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Runs `clients` tasks, each doing one piece of work after the other.
pub async fn run<W, F>(clients: usize, work: W) -> Seen
where
    W: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send,
{
    let start = Instant::now() + WARM_UP;
    let end = start + MEASURED;
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let work = work.clone();
            tokio::spawn(async move {
                let mut took = Vec::new();
                loop {
                    let before = Instant::now();
                    work().await;
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
    took.sort_unstable();
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let index = ((took.len() - 1) as f64 * share) as usize;
        took[index].as_secs_f64() * 1000.0
    };
    Seen {
        per_second: took.len() as f64 / MEASURED.as_secs_f64(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    }
}
