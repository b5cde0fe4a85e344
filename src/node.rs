//! A node's connection to its data: the private or configured database, and the log in it.

use std::sync::Arc;
use std::time::Duration;

use store::{Database, OpenError, Opening, PostgresStore, PrivatePostgres, PrivatePostgresError};

use crate::config::Config;

/// Name of the database in a private PostgreSQL.
const DATABASE: &str = "daybook";

/// The reasons why the data is unavailable.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The private PostgreSQL did not start.
    #[error(transparent)]
    Private(#[from] PrivatePostgresError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The configured database cannot be used.
    #[error(
        "{0}; make sure that the server that DATABASE_URL names runs and has this database and user, or unset it to use \
         a private PostgreSQL"
    )]
    Given(OpenError),
    /// The database does not exist; only the server creates one.
    #[error(
        "there is no Daybook in {0}: name its directory with --data-dir, or make one with `daybook serve`"
    )]
    Nothing(String),
    /// The URL is invalid.
    #[error("DATABASE_URL: {}", store::describe(.0))]
    Url(tokio_postgres::Error),
}

/// An open database with its log.
pub struct Node {
    private: Option<PrivatePostgres>,
    pub database: Database,
    pub store: Arc<PostgresStore>,
}

impl Node {
    /// Opens the database like [`Self::open`], but only if it exists.
    pub async fn open_existing(config: &Config) -> Result<Self, NodeError> {
        if config.database_url.is_none() && !PrivatePostgres::exists(&config.data_dir) {
            return Err(NodeError::Nothing(config.data_dir.display().to_string()));
        }
        Self::open(config, Duration::ZERO).await
    }

    /// Connects to the configured database, waiting for it, or starts or attaches to the private one. Creates it the first time.
    pub async fn open(config: &Config, wait: Duration) -> Result<Self, NodeError> {
        let (private, settings) = match &config.database_url {
            Some(url) => (None, url.parse().map_err(NodeError::Url)?),
            None => {
                let private = PrivatePostgres::start(&config.data_dir).await?;
                let settings = private.config(DATABASE);
                (Some(private), settings)
            }
        };
        let volume = private
            .as_ref()
            .map(|private| private.directory().to_owned());
        let opening = Opening {
            wait,
            volume,
            query_timeout: config.request_timeout,
            sessions: config.sessions,
        };
        let opened = Database::open_with(settings, opening).await;
        let database = opened.map_err(|error| {
            let is_connecting = matches!(error, OpenError::Connect(_) | OpenError::Waited { .. });
            if is_connecting && private.is_none() {
                NodeError::Given(error)
            } else {
                NodeError::Open(error)
            }
        })?;
        Ok(Self {
            store: PostgresStore::open(database.clone()).await?,
            database,
            private,
        })
    }

    /// Closes the database; stops a private PostgreSQL that this process started.
    pub async fn close(self) -> Result<(), NodeError> {
        drop(self.store);
        self.database.close();
        if let Some(private) = self.private {
            private.stop().await?;
        }
        Ok(())
    }
}
