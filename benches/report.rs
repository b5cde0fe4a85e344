//! The table, on the terminal and in the repository.

use std::fmt::Write as _;

use chrono::Utc;
use serde::Serialize;

use crate::load::Seen;

/// One measurement beside its limit.
#[derive(Serialize)]
pub struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    limit: f64,
    limited_by: &'static str,
    ratio: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Row {
    pub fn new(
        name: &str,
        unit: &'static str,
        seen: &Seen,
        limited_by: &'static str,
        limit: f64,
    ) -> Self {
        let row = Self {
            name: name.to_owned(),
            value: seen.per_second.round(),
            unit,
            limit: limit.round(),
            limited_by,
            ratio: (seen.per_second / limit * 100.0).round() / 100.0,
            p50_ms: seen.p50_ms,
            p99_ms: seen.p99_ms,
        };
        eprintln!("{}: {} {} ({}x)", row.name, row.value, row.unit, row.ratio);
        row
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| name | value | unit | limit | what limits | ratio | p50 ms | p99 ms |\n|---|---:|---|---:|---|---:|---:|---:|\n",
    );
    for row in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {:.2} | {:.2} |",
            row.name,
            row.value,
            row.unit,
            row.limit,
            row.limited_by,
            row.ratio,
            row.p50_ms,
            row.p99_ms
        );
    }
    text
}

pub fn print(rows: &[Row]) {
    println!("{}", table(rows));
}

/// Replaces the committed figures.
pub fn write(rows: &[Row]) {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let text = format!(
        "# Results\n\nMeasured on {} by `make bench`: {cores} cores, load generator, server and PostgreSQL on the same \
         machine, fsync and synchronous_commit on, payloads of 300 bytes. Each figure was taken between two runs of its \
         limit, whose mean is shown; 5 seconds each after 1 second of warm-up.\n\n{}",
        Utc::now().format("%Y-%m-%d"),
        table(rows)
    );
    std::fs::write(format!("{directory}/RESULTS.md"), text).unwrap();
    let json = serde_json::json!({"rows": rows});
    let json = serde_json::to_string_pretty(&json).unwrap() + "\n";
    std::fs::write(format!("{directory}/results.json"), json).unwrap();
}
