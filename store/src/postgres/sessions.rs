//! Database sessions: pools of a fixed size, one for each purpose, and sessions outside them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{
    BuildError, Hook, HookError, Manager, ManagerConfig, Metrics, Object, Pool, PoolError,
    QueueMode, RecyclingMethod, Runtime, TimeoutType,
};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::failure::describe;

/// Maximum wait for a session of a pool, and for a new connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time after which an unused session of a pool is closed.
const IDLE: Duration = Duration::from_secs(30);
/// Interval between two checks for unused sessions.
const TRIM: Duration = Duration::from_secs(5);
/// Minimum interval between two times that all sessions are discarded.
const DISTRUST: Duration = Duration::from_secs(1);

/// The purpose of a pool; PostgreSQL shows it as `application_name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Purpose {
    /// Queries, and reads of the log.
    Queries,
    /// Writes of consumers.
    Consumers,
    /// Claims and results of jobs.
    Jobs,
}

/// The maximum number of sessions that a node opens for each purpose. It has six more: two that append, and one each that listens,
/// watches the database's condition, holds leases, and rebuilds.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    pub queries: usize,
    pub consumers: usize,
    pub jobs: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            queries: 10,
            consumers: 4,
            jobs: 2,
        }
    }
}

impl SessionLimits {
    const fn of(&self, purpose: Purpose) -> usize {
        match purpose {
            Purpose::Queries => self.queries,
            Purpose::Consumers => self.consumers,
            Purpose::Jobs => self.jobs,
        }
    }
}

/// Reasons why no session was available.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// All sessions were in use for as long as a caller waits.
    #[error(
        "all {limit} database sessions for {purpose} are in use; try again later, or allow for more with \
         DAYBOOK_SESSIONS_{}", .purpose.to_string().to_uppercase()
    )]
    InUse { purpose: Purpose, limit: usize },
    /// The database refuses a new session.
    #[error("cannot connect to the database: {}", describe(.0))]
    Connect(#[source] tokio_postgres::Error),
    /// The database does not answer.
    #[error("the database does not answer")]
    NoAnswer,
    /// The node is stopping.
    #[error("the connection to the database is closed")]
    Closed,
}

/// The pools of a node.
#[derive(Clone)]
pub(super) struct Sessions {
    queries: Pool,
    consumers: Pool,
    jobs: Pool,
    limits: SessionLimits,
    /// Sessions made before this time are discarded.
    distrusted: Distrusted,
}

type Distrusted = Arc<Mutex<Option<Instant>>>;

impl Sessions {
    /// Builds the pools; `prepare` is the first statement of every session.
    pub fn new(
        config: &Config,
        tls: &MakeRustlsConnect,
        limits: SessionLimits,
        prepare: &str,
        query_timeout: Duration,
    ) -> Result<Self, BuildError> {
        let distrusted = Distrusted::default();
        let pool = |purpose: Purpose| {
            let manager = Manager::from_config(
                named(config, &purpose.to_string()),
                tls.clone(),
                ManagerConfig {
                    recycling_method: RecyclingMethod::Fast,
                },
            );
            let prepare = format!("{prepare}; {}", settings(purpose, query_timeout));
            pool(manager, limits.of(purpose), prepare, &distrusted)
        };
        Ok(Self {
            queries: pool(Purpose::Queries)?,
            consumers: pool(Purpose::Consumers)?,
            jobs: pool(Purpose::Jobs)?,
            limits,
            distrusted,
        })
    }

    pub async fn get(&self, purpose: Purpose) -> Result<Object, SessionError> {
        let got = self.pool(purpose).get().await;
        got.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => SessionError::InUse {
                purpose,
                limit: self.limits.of(purpose),
            },
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                SessionError::Connect(error)
            }
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle)
            | PoolError::PostCreateHook(HookError::Message(_))
            | PoolError::NoRuntimeSpecified => SessionError::NoAnswer,
            PoolError::Closed => SessionError::Closed,
        })
    }

    const fn pool(&self, purpose: Purpose) -> &Pool {
        match purpose {
            Purpose::Queries => &self.queries,
            Purpose::Consumers => &self.consumers,
            Purpose::Jobs => &self.jobs,
        }
    }

    fn pools(&self) -> [&Pool; 3] {
        [&self.queries, &self.consumers, &self.jobs]
    }

    /// Closes unused sessions, until the pools are closed.
    pub async fn trim(self) {
        while !self.queries.is_closed() {
            tokio::time::sleep(TRIM).await;
            self.retain(|metrics| metrics.last_used() < IDLE);
        }
    }

    /// Discards the current sessions.
    pub fn distrust(&self) {
        let mut distrusted = lock(&self.distrusted);
        if distrusted.is_none_or(|last| last.elapsed() > DISTRUST) {
            *distrusted = Some(Instant::now());
            drop(distrusted);
            self.retain(|_| false);
        }
    }

    fn retain(&self, keeps: impl Fn(&Metrics) -> bool) {
        for pool in self.pools() {
            pool.retain(|_, metrics| keeps(&metrics));
        }
    }

    pub fn close(&self) {
        self.pools().iter().for_each(|pool| pool.close());
    }
}

fn lock(distrusted: &Distrusted) -> std::sync::MutexGuard<'_, Option<Instant>> {
    distrusted.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the settings for a session with another name, which is appended to the name in the database's URL, if any.
pub(super) fn named(config: &Config, name: &str) -> Config {
    let mut named = config.clone();
    let node = config.get_application_name().unwrap_or("daybook");
    named.application_name(format!("{node} {name}"));
    named
}

/// Returns the settings of a pool's sessions, in addition to those of all sessions.
fn settings(purpose: Purpose, query_timeout: Duration) -> String {
    match purpose {
        Purpose::Queries => format!("set statement_timeout = {}", query_timeout.as_millis()),
        // A crash of the database reverts the checkpoint too, and the events are applied again. A custom plan per batch would be
        // the same.
        Purpose::Consumers => {
            "set synchronous_commit = off; set plan_cache_mode = force_generic_plan".into()
        }
        // A crash reverts results, and the jobs run again. Plans made while the table is small are cached after it has grown:
        // they must use its indexes from the beginning.
        Purpose::Jobs => "set synchronous_commit = off; set enable_bitmapscan = off; \
             set enable_hashjoin = off; set enable_mergejoin = off"
            .into(),
    }
}

fn pool(
    manager: Manager,
    limit: usize,
    prepare: String,
    distrusted: &Distrusted,
) -> Result<Pool, BuildError> {
    let prepare: Arc<str> = prepare.into();
    let distrusted = Arc::clone(distrusted);
    Pool::builder(manager)
        .max_size(limit)
        // Those that are not needed stay unused, and are closed.
        .queue_mode(QueueMode::Lifo)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(PATIENCE))
        .post_create(Hook::async_fn(move |client, _| {
            let prepare = Arc::clone(&prepare);
            Box::pin(async move {
                let prepared = client.batch_execute(&prepare).await;
                prepared.map_err(HookError::Backend)
            })
        }))
        .pre_recycle(Hook::sync_fn(move |_, metrics| {
            let since = *lock(&distrusted);
            if since.is_some_and(|since| metrics.created <= since) {
                Err(HookError::message("the session may be useless"))
            } else {
                Ok(())
            }
        }))
        .build()
}
