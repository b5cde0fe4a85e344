//! How much of the machine is used: each figure beside the limit of the same PostgreSQL, measured in the same run.
//! `make bench` runs all, `make bench ONLY=append_64,http_command_64` a few.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a measurement that cannot be made has nothing to report"
)]

mod append;
mod http;
mod limit;
mod load;
mod report;

use std::path::PathBuf;

use report::Row;
use store::PrivatePostgres;

/// Where the measurements run: a PostgreSQL of their own, waiting for the disk as in production.
pub struct Bench {
    postgres: PrivatePostgres,
    directory: PathBuf,
    only: Vec<String>,
}

impl Bench {
    async fn open() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = std::env::temp_dir().join(format!("daybook-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let only = std::env::args()
            .skip(1)
            .filter(|argument| !argument.starts_with("--"))
            .flat_map(|argument| argument.split(',').map(str::to_owned).collect::<Vec<_>>())
            .collect();
        Self {
            postgres: PrivatePostgres::start(&directory).await.unwrap(),
            directory,
            only,
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// A new database of the same server.
    async fn database(&self, name: &str) -> tokio_postgres::Config {
        self.execute(&format!("create database {name}")).await;
        self.postgres.config(name)
    }

    /// Nothing of a measurement is left to be vacuumed during the next.
    async fn clear(&self, name: &str) {
        self.execute(&format!("drop database {name} with (force)"))
            .await;
        self.execute("checkpoint").await;
    }

    async fn execute(&self, sql: &str) {
        let (client, connection) = self
            .postgres
            .config("postgres")
            .connect(tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
    }
}

#[tokio::main]
async fn main() {
    let bench = Bench::open().await;
    let mut rows: Vec<Row> = Vec::new();
    for writers in [1, 16, 64, 256, 1024] {
        let name = format!("append_{writers}");
        if bench.wants(&name) {
            rows.push(append::measure(&bench, &name, writers).await);
            bench.clear(&name).await;
        }
    }
    for connections in [64, 256] {
        let name = format!("http_command_{connections}");
        if bench.wants(&name) {
            rows.push(http::measure(&bench, &name, connections).await);
            bench.clear(&name).await;
        }
    }
    report::print(&rows);
    if bench.only.is_empty() {
        report::write(&rows);
    }
    bench.postgres.stop().await.unwrap();
    std::fs::remove_dir_all(&bench.directory).unwrap();
}
