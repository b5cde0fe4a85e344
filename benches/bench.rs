//! The environment of the measurements: a separate PostgreSQL, which waits for the disk as in production.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use store::{Database, PostgresStore, PrivatePostgres};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::product::Product;

pub struct Bench {
    pub postgres: PrivatePostgres,
    pub directory: TempDir,
    only: Vec<String>,
}

impl Bench {
    /// Starts the server. `only` holds the rows to measure; empty: all.
    pub async fn open(only: Vec<String>) -> Self {
        let directory = directory();
        Self {
            postgres: PrivatePostgres::start(directory.path()).await.unwrap(),
            directory,
            only,
        }
    }

    /// Uses a server that another process runs.
    pub fn on(postgres: PrivatePostgres) -> Self {
        Self {
            postgres,
            directory: directory(),
            only: vec![],
        }
    }

    pub async fn close(self) {
        self.postgres.stop().await.unwrap();
    }

    pub fn wants(&self, name: &str) -> bool {
        self.is_whole() || self.names(name)
    }

    /// Returns true if the row is requested by name.
    pub fn names(&self, name: &str) -> bool {
        self.only.iter().any(|only| only == name)
    }

    pub fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }

    pub fn is_whole(&self) -> bool {
        self.only.is_empty()
    }

    /// Creates and opens a database.
    pub async fn database(&self, name: &str) -> Database {
        self.create(name).await;
        Database::open(self.postgres.config(name)).await.unwrap()
    }

    /// Creates a database and the product in this process, wired but not started.
    pub async fn product(&self, name: &str) -> Product {
        Product::open(self.database(name).await).await
    }

    /// Opens the log of an existing database, which others may use.
    pub async fn store(&self, name: &str) -> Arc<PostgresStore> {
        let database = Database::open(self.postgres.config(name)).await.unwrap();
        PostgresStore::open(database).await.unwrap()
    }

    /// Creates an empty database; returns its URL.
    pub async fn create(&self, name: &str) -> String {
        let sql = format!("create database {name}");
        self.client("postgres")
            .await
            .batch_execute(&sql)
            .await
            .unwrap();
        self.postgres.url(name)
    }

    /// Drops a database, so that no vacuum of it disturbs the next measurement.
    pub async fn clear(&self, name: &str) {
        let client = self.client("postgres").await;
        let sql = format!("drop database {name} with (force)");
        client.batch_execute(&sql).await.unwrap();
        client.batch_execute("checkpoint").await.unwrap();
    }

    /// Connects as the superuser.
    pub async fn client(&self, database: &str) -> Client {
        let config = self.postgres.config(database);
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

/// Creates a directory that PostgreSQL's account can enter.
fn directory() -> TempDir {
    tempfile::Builder::new()
        .prefix("daybook-bench-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .unwrap()
}
