//! The backends that the contract suite tests.

use std::sync::Arc;

use store::{Database, EventStore, InMemoryStore, PostgresStore, testing};
use tokio_postgres::{Client, Config, NoTls};

/// An empty log for one test.
pub trait Backend: Sized {
    async fn start() -> Self;

    /// Opens another node on this log.
    async fn node(&self) -> Arc<dyn EventStore>;
}

pub struct Postgres {
    pub config: Config,
}

impl Backend for Postgres {
    async fn start() -> Self {
        Self {
            config: testing::database().await,
        }
    }

    async fn node(&self) -> Arc<dyn EventStore> {
        node_on(&self.config).await
    }
}

pub struct InMemory(InMemoryStore);

impl Backend for InMemory {
    async fn start() -> Self {
        Self(InMemoryStore::new())
    }

    async fn node(&self) -> Arc<dyn EventStore> {
        Arc::new(self.0.clone())
    }
}

impl Postgres {
    /// Opens a session of the superuser, independent of the store.
    pub async fn client(&self) -> Client {
        let (client, connection) = self.config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

/// Opens a node on the log of any database.
pub async fn node_on(config: &Config) -> Arc<dyn EventStore> {
    let database = Database::open(config.clone()).await.unwrap();
    PostgresStore::open(database).await.unwrap()
}

/// Returns the one boolean that a query selects.
pub async fn is_so(client: &Client, query: &str) -> bool {
    client.query_one(query, &[]).await.unwrap().get(0)
}
