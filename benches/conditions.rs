//! The conditions of the measurements: hardware, system and settings.

use std::fmt;

use chrono::Utc;

use crate::Bench;

pub struct Conditions {
    cores: usize,
    processor: String,
    kernel: String,
    /// Names and values of the settings.
    postgres: Vec<(String, String)>,
}

impl Conditions {
    pub async fn of(bench: &Bench) -> Self {
        const SETTINGS: [&str; 4] = [
            "server_version",
            "fsync",
            "synchronous_commit",
            "shared_buffers",
        ];
        let client = bench.client("postgres").await;
        let mut postgres = Vec::new();
        for name in SETTINGS {
            let row = client
                .query_one(&format!("show {name}"), &[])
                .await
                .unwrap();
            postgres.push((name.to_owned(), row.get(0)));
        }
        let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processors
            .lines()
            .find(|line| line.starts_with("model name"));
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: model.and_then(|line| line.split_once(": ")).map_or_else(
                || std::env::consts::ARCH.into(),
                |(_, model)| model.to_owned(),
            ),
            kernel: kernel.trim().to_owned(),
            postgres,
        }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = Utc::now().format("%Y-%m-%d");
        writeln!(
            f,
            "`make bench`, {date}. Load, server and PostgreSQL were on the same machine.\n"
        )?;
        writeln!(f, "| | |\n|---|---|")?;
        writeln!(f, "| cores | {} |", self.cores)?;
        writeln!(f, "| processor | {} |", self.processor)?;
        writeln!(f, "| kernel | {} |", self.kernel)?;
        for (name, value) in &self.postgres {
            writeln!(f, "| PostgreSQL's `{name}` | {value} |")?;
        }
        Ok(())
    }
}
