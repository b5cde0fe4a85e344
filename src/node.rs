//! A node's connection to its data: the database, private or given, and the log in it.

use std::sync::Arc;

use store::{Database, OpenError, PostgresStore, PrivatePostgres, PrivatePostgresError};

use crate::config::Config;

/// Name of the database in a private PostgreSQL.
const DATABASE: &str = "daybook";

/// Why the data cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The private PostgreSQL does not start.
    #[error(transparent)]
    Private(#[from] PrivatePostgresError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database that the configuration names cannot be used.
    #[error(
        "{0}; make sure that the server that DATABASE_URL names runs and has this database and user, or unset it to use \
         a private PostgreSQL"
    )]
    Given(OpenError),
    /// The URL is not one.
    #[error("DATABASE_URL: {0}")]
    Url(tokio_postgres::Error),
}

/// An open database with its log.
pub struct Node {
    private: Option<PrivatePostgres>,
    pub database: Database,
    pub store: Arc<PostgresStore>,
}

impl Node {
    /// Connects to the given database, or starts the private one or attaches to it.
    pub async fn open(config: &Config) -> Result<Self, NodeError> {
        let (private, settings) = match &config.database_url {
            Some(url) => (None, url.parse().map_err(NodeError::Url)?),
            None => {
                let private = PrivatePostgres::start(&config.data_dir).await?;
                let settings = private.config(DATABASE);
                (Some(private), settings)
            }
        };
        let opened = Database::open(settings).await;
        let database = opened.map_err(|error| match &private {
            Some(_) => NodeError::Open(error),
            None => NodeError::Given(error),
        })?;
        Ok(Self {
            store: PostgresStore::open(database.clone()).await?,
            database,
            private,
        })
    }

    /// Lets go of the data; stops a private PostgreSQL that this process started.
    pub async fn close(self) -> Result<(), NodeError> {
        drop(self.store);
        self.database.pool.close();
        if let Some(private) = self.private {
            private.stop().await?;
        }
        Ok(())
    }
}
