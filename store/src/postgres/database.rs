//! A PostgreSQL database, and sessions on it.

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

/// How long a query may take, where nobody says otherwise.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a server that does not answer counts as there.
const UNREACHABLE: Duration = Duration::from_secs(10);

/// Every session finds read models without naming their schema. It looks for
/// rows by index: plans that are made while a table is empty are kept, and would read all of it once it is not. Where there is
/// no index (`log.head` has one row) such a plan looks costly enough to be compiled, which takes a thousand times as long as
/// its row. What a node holds that is gone without a word, the database lets go after half a minute.
const SESSION: &str = "set search_path = read; set enable_seqscan = off; set jit = off; \
     set tcp_keepalives_idle = 15; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3; set tcp_user_timeout = 30000";

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Opening {
    /// How long a server that is not there yet, or cannot be written to, is waited for.
    pub wait: Duration,
    /// The directory whose disk is watched: that of a private PostgreSQL.
    pub volume: Volume,
    /// The database gives up queries that take longer.
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

/// A PostgreSQL database, and sessions on it.
#[derive(Clone)]
pub struct Database {
    config: Arc<Config>,
    tls: MakeRustlsConnect,
    sessions: Sessions,
    /// Sessions work as the role that cannot change the log.
    has_role: bool,
    volume: Volume,
    condition: Condition,
    closed: Arc<watch::Sender<bool>>,
}

/// A session that remembers the statements that were prepared on it.
pub type Session = deadpool_postgres::ClientWrapper;

/// A [`Session`] of a pool.
pub type PooledSession = Object;

/// A connection's other half: polls for what the server sends, until it ends.
pub type Messages =
    futures::stream::BoxStream<'static, Result<AsyncMessage, tokio_postgres::Error>>;

impl Database {
    /// Connects, and brings the schema up to date.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        Self::open_with(config, Opening::default()).await
    }

    /// The same for a server that may not be there yet.
    pub async fn open_with(mut config: Config, opening: Opening) -> Result<Self, OpenError> {
        // A server that is gone without a word is noticed before those who wait lose their patience.
        config.connect_timeout(UNREACHABLE);
        config.tcp_user_timeout(UNREACHABLE);
        // A standby, or a server that has become one, is no server to work on.
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

    /// A query on a session of the pool, which is cancelled if nobody waits for its end.
    #[must_use]
    pub fn query(&self) -> Running {
        Running {
            database: self.clone(),
            session: None,
        }
    }

    /// A session of a pool, which goes back there when it is dropped. Waits for one for 10 s.
    pub async fn session(&self, purpose: Purpose) -> Result<PooledSession, SessionError> {
        self.sessions.get(purpose).await
    }

    /// A session outside the pools, for whoever holds a lock; PostgreSQL shows its name as `application_name`. Ends when its client is
    /// dropped.
    pub async fn connect(&self, name: &str) -> Result<Session, tokio_postgres::Error> {
        self.while_open().await;
        let config = named(&self.config, name);
        let (client, connection) = config.connect(self.tls.clone()).await?;
        let mut closed = self.closed.subscribe();
        let connection = tokio::spawn(async move {
            tokio::select! {
                // Its client is told of an error too.
                _ = connection => {}
                _ = closed.wait_for(|closed| *closed) => {}
            }
        });
        client.batch_execute(&session(self.has_role)).await?;
        Ok(Session::new(client, connection))
    }

    /// A connection whose notifications the caller wants. Its messages must be polled for the client to work.
    pub async fn connect_listening(&self) -> Result<(Client, Messages), tokio_postgres::Error> {
        self.while_open().await;
        let config = named(&self.config, "listen");
        let (client, connection) = config.connect(self.tls.clone()).await?;
        let mut closed = self.closed.subscribe();
        let end = async move { drop(closed.wait_for(|closed| *closed).await) };
        Ok((client, Box::pin(messages(connection).take_until(end))))
    }

    /// The statement that makes a schema which sessions may do everything in. The account makes it, whose right it is.
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

    /// The trouble that keeps the log from being written, if there is any.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.condition.trouble()
    }

    /// Looks at an error of a session of the pool on its way to the caller: where sessions have become useless, all are made anew.
    pub fn noticed(&self, error: tokio_postgres::Error) -> tokio_postgres::Error {
        if error.as_db_error().is_some() && spoils_session(&error) {
            self.distrust();
        }
        error
    }

    /// Ends every session, those in use as well. Nothing connects any more.
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

    /// Throws away the sessions that the pools have now.
    pub(super) fn distrust(&self) {
        self.sessions.distrust();
    }

    /// Never returns once the database is closed: a server that stops would only complain of whoever comes.
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
/// would wait for that.
pub struct Running {
    database: Database,
    session: Option<PooledSession>,
}

impl Running {
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// The session that it runs on from here.
    pub async fn begin(&mut self) -> Result<&Session, SessionError> {
        let session = self.database.session(Purpose::Queries).await?;
        Ok(self.session.insert(session))
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
