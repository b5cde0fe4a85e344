//! A PostgreSQL database and its sessions.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use futures::StreamExt;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{AsyncMessage, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::condition::{Condition, Trouble, Volume};
use super::open_error::OpenError;
use super::rights::ROLE_NAME;
use super::sessions::{Purpose, SessionError, SessionLimits, Sessions, named};
use super::setup;
use crate::failure::spoils_session;

/// Default timeout of a query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// Time after which a server that does not answer counts as unreachable.
const UNREACHABLE: Duration = Duration::from_secs(10);

/// Settings of every session. Read models are found without naming their schema.
/// Rows are found by index: a plan made while a table is empty is cached, and would scan the whole table later. Without an
/// index (`log.head` has one row) such a plan seems costly enough to be compiled, which takes a thousand times as long as
/// reading its row. The database releases the locks of a node that vanished after half a minute.
const SESSION: &str = "set search_path = read; set enable_seqscan = off; set jit = off; \
     set tcp_keepalives_idle = 15; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3; set tcp_user_timeout = 30000";

/// Options for opening a database.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Maximum wait for a server that is not up yet, or cannot be written to.
    pub wait: Duration,
    /// The directory of a private PostgreSQL, whose disk is watched.
    pub volume: Volume,
    /// Timeout of queries, enforced by the database.
    pub query_timeout: Duration,
    pub sessions: SessionLimits,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            wait: Duration::ZERO,
            volume: None,
            query_timeout: QUERY_TIMEOUT,
            sessions: SessionLimits::default(),
        }
    }
}

/// A PostgreSQL database and its sessions.
#[derive(Clone)]
pub struct Database {
    config: Arc<Config>,
    tls: MakeRustlsConnect,
    sessions: Sessions,
    /// True if sessions use the role that cannot change the log.
    has_role: bool,
    volume: Volume,
    condition: Condition,
    closed: Arc<watch::Sender<bool>>,
}

/// A session that caches its prepared statements.
pub type Session = deadpool_postgres::ClientWrapper;

/// A [`Session`] of a pool.
pub type PooledSession = Object;

/// The other half of a connection: polls for messages of the server until it ends.
pub type Messages =
    futures::stream::BoxStream<'static, Result<AsyncMessage, tokio_postgres::Error>>;

impl Database {
    /// Connects, and migrates the schema.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        Self::open_with(config, Opening::default()).await
    }

    /// Connects to a server that may not be up yet, and migrates the schema.
    pub async fn open_with(mut config: Config, opening: Opening) -> Result<Self, OpenError> {
        // A vanished server is noticed before waiting callers time out.
        config.connect_timeout(UNREACHABLE);
        config.tcp_user_timeout(UNREACHABLE);
        // A standby, or a server that has become one, cannot be used.
        if config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let tls = tls();
        let has_role = setup::set_up(&config, &tls, opening.wait).await?;
        let sessions = Sessions::new(
            &config,
            &tls,
            opening.sessions,
            &session(has_role),
            opening.query_timeout,
        )?;
        tokio::spawn(sessions.clone().trim());
        Ok(Self {
            sessions,
            config: Arc::new(config),
            tls,
            has_role,
            volume: opening.volume,
            condition: Condition::default(),
            closed: Arc::new(watch::Sender::new(false)),
        })
    }

    /// Begins a query on a session of the pool; it is cancelled if nobody waits for its end.
    #[must_use]
    pub fn query(&self) -> Running {
        Running {
            database: self.clone(),
            session: None,
        }
    }

    /// Returns a session of a pool, which goes back there when it is dropped. Waits up to 10 s for one.
    pub async fn session(&self, purpose: Purpose) -> Result<PooledSession, SessionError> {
        self.sessions.get(purpose).await
    }

    /// Opens a session outside the pools, for holders of locks; PostgreSQL shows its name as `application_name`. It ends when its client
    /// is dropped.
    pub async fn connect(&self, name: &str) -> Result<Session, tokio_postgres::Error> {
        self.while_open().await;
        let config = named(&self.config, name);
        let (client, connection) = config.connect(self.tls.clone()).await?;
        let mut closed = self.closed.subscribe();
        let connection = tokio::spawn(async move {
            tokio::select! {
                // The client gets the error, too.
                _ = connection => {}
                _ = closed.wait_for(|closed| *closed) => {}
            }
        });
        client.batch_execute(&session(self.has_role)).await?;
        Ok(Session::new(client, connection))
    }

    /// Opens a connection for notifications. The caller must poll its messages for the client to work.
    pub async fn connect_listening(&self) -> Result<(Client, Messages), tokio_postgres::Error> {
        self.while_open().await;
        let config = named(&self.config, "listen");
        let (client, connection) = config.connect(self.tls.clone()).await?;
        let mut closed = self.closed.subscribe();
        let end = async move { drop(closed.wait_for(|closed| *closed).await) };
        Ok((client, Box::pin(messages(connection).take_until(end))))
    }

    /// Returns the statement that creates a schema with all rights for sessions. The account itself creates it, because only it may.
    #[must_use]
    pub fn create_schema(&self, schema: &str) -> String {
        if self.has_role {
            format!(
                "reset role; create schema {schema} authorization {ROLE_NAME}; set role {ROLE_NAME}"
            )
        } else {
            format!("create schema {schema}")
        }
    }

    /// Returns the trouble that keeps the log from being written, if any.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.condition.trouble()
    }

    /// Inspects an error of a pool's session on its way to the caller: if it spoils sessions, all of them are replaced.
    pub fn noticed(&self, error: tokio_postgres::Error) -> tokio_postgres::Error {
        if error.as_db_error().is_some() && spoils_session(&error) {
            self.distrust();
        }
        error
    }

    /// Closes every session, including those in use. No new session can connect.
    pub fn close(&self) {
        self.sessions.close();
        self.closed.send_replace(true);
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    pub(super) const fn condition(&self) -> &Condition {
        &self.condition
    }

    pub(super) fn volume(&self) -> Option<&Path> {
        self.volume.as_deref()
    }

    /// Discards the current sessions of the pools.
    pub(super) fn distrust(&self) {
        self.sessions.distrust();
    }

    /// Never returns once the database is closed: a stopping server would only log errors about new connections.
    async fn while_open(&self) {
        if self.is_closed() {
            std::future::pending::<()>().await;
        }
    }
}

fn session(has_role: bool) -> String {
    if has_role {
        format!("set role {ROLE_NAME}; {SESSION}")
    } else {
        SESSION.to_owned()
    }
}

/// A query that runs on a session of the pool.
///
/// A request whose client goes away is dropped wherever it waits. Without this its query would go on, and the next user of the session
/// would wait for it.
pub struct Running {
    database: Database,
    session: Option<PooledSession>,
}

impl Running {
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// Takes the session for the query.
    pub async fn begin(&mut self) -> Result<&Session, SessionError> {
        let session = self.database.session(Purpose::Queries).await?;
        Ok(self.session.insert(session))
    }

    /// Returns the session to the pool: the query has ended, perhaps with an error.
    pub fn end(mut self) {
        self.session = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let (Some(session), Ok(runtime)) = (self.session.take(), Handle::try_current()) else {
            return;
        };
        // No other user gets this session, because their query might be cancelled instead.
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

/// Returns a TLS setup with the machine's own root certificates; unused on a Unix socket.
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
