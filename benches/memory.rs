//! The memory of a server under continuous load.

use std::time::{Duration, Instant};

use crate::http::new_notes;
use crate::report::Row;
use crate::server::{Server, Tenant};
use crate::{Bench, wrk};

/// Name of a row that takes ten minutes, so it runs only on request.
const NAME: &str = "memory_10m";
const MINUTE: Duration = Duration::from_mins(1);
const MINUTES: u32 = 10;
const CONNECTIONS: usize = 64;

pub async fn rows(bench: &Bench) -> Vec<Row> {
    if !bench.names(NAME) {
        return vec![];
    }
    let server = Server::start(&bench.create(NAME).await).await;
    let requests = new_notes(&Tenant::new(&server).await);
    let (mut minutes, mut rates) = (vec![], vec![]);
    for _ in 0..MINUTES {
        let end = Instant::now() + MINUTE;
        while Instant::now() < end {
            let seen = wrk::run(&server.url, &requests, CONNECTIONS).await;
            rates.push(seen.per_second);
        }
        minutes.push(server.resident_mb());
    }
    server.stop().await;
    bench.clear(NAME).await;
    let (first, last) = (minutes[0], minutes[minutes.len() - 1]);
    let series: Vec<_> = minutes.iter().map(|mb| format!("{mb:.0}")).collect();
    let rate = rates.iter().sum::<f64>() / rates.len() as f64;
    let row = Row::new(NAME, "MB", last).limited("after one minute", first);
    vec![row.under(format!(
        "{rate:.0} commands a second; after each minute: {}",
        series.join(", ")
    ))]
}
