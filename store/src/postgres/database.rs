//! Connections to the database: the pool, single connections, migrations.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio_postgres::{AsyncMessage, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

mod migrations {
    refinery::embed_migrations!("../schema/log");
}

/// Guards migrations against another node that starts at the same moment.
const MIGRATION_LOCK: i64 = 0x6461_7962_6f6f_6b01;

/// Connections that one node uses for reading and posting, besides its few dedicated ones.
const POOL_SIZE: usize = 24;

/// How long a query may take, where nobody says otherwise.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a server that does not answer counts as there.
const UNREACHABLE: Duration = Duration::from_secs(10);

/// Every session works as the role that cannot change the log, and finds read models without naming their schema. It looks for
/// rows by index: plans that are made while a table is empty are kept, and would read all of it once it is not. Where there is
/// no index (`log.head` has one row) such a plan looks costly enough to be compiled, which takes a thousand times as long as
/// its row. What a node holds that is gone without a word, the database lets go after half a minute.
const SESSION: &str = "set role daybook_app; set search_path = read; set enable_seqscan = off; set jit = off; \
     set tcp_keepalives_idle = 15; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3; set tcp_user_timeout = 30000";

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It does not answer, or refuses the connection.
    #[error("cannot connect to PostgreSQL: {}", detail(.0))]
    Connect(#[from] tokio_postgres::Error),
    /// The pool cannot give a connection.
    #[error("cannot connect to PostgreSQL: {0}")]
    Pool(#[from] PoolError),
    /// The schema could not be brought up to date.
    #[error("cannot migrate the database: {0}")]
    Migrate(#[from] refinery::Error),
    /// The pool's settings contradict each other.
    #[error("cannot build the connection pool: {0}")]
    Build(#[from] deadpool_postgres::BuildError),
}

/// A driver error with what PostgreSQL itself said.
pub fn detail(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| with_sources(error), ToString::to_string)
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// A PostgreSQL database and a pool of connections to it.
#[derive(Clone)]
pub struct Database {
    config: Arc<Config>,
    tls: MakeRustlsConnect,
    pub pool: Pool,
}

/// A connection that remembers the statements that were prepared on it.
pub type Session = deadpool_postgres::ClientWrapper;

/// A connection's other half: polls for what the server sends, until it ends.
pub type Messages =
    futures::stream::BoxStream<'static, Result<AsyncMessage, tokio_postgres::Error>>;

impl Database {
    /// Connects, and brings the schema up to date.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        Self::open_for(config, QUERY_TIMEOUT).await
    }

    /// The same; the database gives up queries that take longer.
    pub async fn open_for(mut config: Config, timeout: Duration) -> Result<Self, OpenError> {
        // A server that is gone without a word is noticed before those who wait lose their patience.
        config.connect_timeout(UNREACHABLE);
        config.tcp_user_timeout(UNREACHABLE);
        let tls = tls();
        let manager = Manager::from_config(
            config.clone(),
            tls.clone(),
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let pool = Pool::builder(manager)
            .max_size(POOL_SIZE)
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .wait_timeout(Some(Duration::from_secs(10)))
            .create_timeout(Some(Duration::from_secs(10)))
            .post_create(Hook::async_fn(move |client, _| {
                let settings =
                    format!("{SESSION}; set statement_timeout = {}", timeout.as_millis());
                Box::pin(async move {
                    client
                        .batch_execute(&settings)
                        .await
                        .map_err(HookError::Backend)
                })
            }))
            .build()?;
        let database = Self {
            config: Arc::new(config),
            tls,
            pool,
        };
        database.migrate().await?;
        Ok(database)
    }

    async fn migrate(&self) -> Result<(), OpenError> {
        let (mut client, connection) = self.config.connect(self.tls.clone()).await?;
        let connection = tokio::spawn(connection);
        client
            .execute("select pg_advisory_lock($1)", &[&MIGRATION_LOCK])
            .await?;
        let report = migrations::migrations::runner()
            .run_async(&mut client)
            .await?;
        for migration in report.applied_migrations() {
            tracing::info!(%migration, "database migrated");
        }
        drop(client);
        connection.abort();
        Ok(())
    }

    /// A query on a session of the pool, which is cancelled if nobody waits for its end.
    #[must_use]
    pub fn query(&self) -> Running {
        Running {
            database: self.clone(),
            session: None,
        }
    }

    /// A connection outside the pool, for whoever holds a lock. Ends when its client is dropped.
    pub async fn connect(&self) -> Result<Session, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        let connection = tokio::spawn(async {
            // Its client is told of the error too.
            let _ = connection.await;
        });
        client.batch_execute(SESSION).await?;
        Ok(Session::new(client, connection))
    }

    /// A connection whose notifications the caller wants. Its messages must be polled for the client to work.
    pub async fn connect_listening(&self) -> Result<(Client, Messages), tokio_postgres::Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        Ok((client, messages(connection)))
    }
}

/// A query that runs on a session of the pool.
///
/// A request whose client goes away is dropped wherever it waits. Without this its query would go on, and the next user of the session
/// would wait for that.
pub struct Running {
    database: Database,
    session: Option<Object>,
}

impl Running {
    /// The session that it runs on from here.
    pub async fn begin(&mut self) -> Result<&Session, PoolError> {
        Ok(self.session.insert(self.database.pool.get().await?))
    }

    /// Gives the session back: the query has come to its end, be that an error.
    pub fn end(mut self) {
        self.session = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some(session), Ok(runtime)) = (self.session.take(), Handle::try_current()) else {
            return;
        };
        // Nobody else gets this session: their query might be cancelled instead.
        let session = Object::take(session);
        let (token, tls) = (session.cancel_token(), self.database.tls.clone());
        runtime.spawn(async move {
            if let Err(error) = token.cancel_query(tls).await {
                tracing::debug!(%error, "cannot cancel a query");
            }
            drop(session);
        });
    }
}

fn messages<S, T>(mut connection: tokio_postgres::Connection<S, T>) -> Messages
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Box::pin(futures::stream::poll_fn(move |context| {
        connection.poll_message(context)
    }))
}

/// TLS with the machine's own root certificates; unused on a Unix socket.
fn tls() -> MakeRustlsConnect {
    MakeRustlsConnect::with_native_certs().map_or_else(
        |_| {
            MakeRustlsConnect::new(
                ClientConfig::builder()
                    .with_root_certificates(RootCertStore::empty())
                    .with_no_client_auth(),
            )
        },
        |(tls, _)| tls,
    )
}
