//! A private PostgreSQL in Daybook's data directory, for machines without one.
//!
//! Each process that uses the cluster has a supervisor thread that tries to lock the cluster. The process with the lock runs the server;
//! the others use it, and when that process ends one of them gets the lock and runs the server again. The server inherits the lock,
//! so that no second one starts while a process of the first still lives, however its parent died.

mod cluster;
mod memory;
mod programs;
mod server;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;

use std::convert::Infallible;
use std::fs::TryLockError;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, io};

use tokio::sync::oneshot;
use tokio_postgres::NoTls;

use cluster::Cluster;
use programs::Programs;
use server::Server;

/// The database that every cluster has.
const DATABASE: &str = "daybook";
/// Intervals at which the supervisor checks before its first report, and after.
const EAGER: Duration = Duration::from_millis(20);
const STEADY: Duration = Duration::from_millis(200);
/// Recovery after a power loss replays up to `max_wal_size`; a start that takes longer than this has failed.
const START_LIMIT: Duration = Duration::from_secs(300);
/// Time for which an attaching process tolerates a server that is shutting down.
const ATTACH_LIMIT: Duration = Duration::from_secs(10);
/// Wait before restarting a server that ended: doubled from the first value to the last.
const RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// Reasons why the private PostgreSQL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivatePostgresError {
    /// Neither PATH nor Debian's directories have PostgreSQL's programs.
    #[error(
        "no PostgreSQL found in PATH or /usr/lib/postgresql: install it (apt-get install postgresql), name the directory of its \
         programs in DAYBOOK_POSTGRES_BIN, or set DATABASE_URL"
    )]
    NotInstalled,
    /// `DAYBOOK_POSTGRES_BIN` is set, but not to a directory with PostgreSQL's programs.
    #[error("DAYBOOK_POSTGRES_BIN={} does not hold runnable programs `postgres` and `initdb`", .0.display())]
    NoPrograms(PathBuf),
    /// The cluster was made by a major version whose programs are not (or no longer) installed.
    #[error(
        "the cluster in {} was made by PostgreSQL {made}, and only {found} is installed: apt-get install postgresql-{made}, or \
         upgrade the cluster with pg_upgrade", directory.display()
    )]
    OtherVersion {
        directory: PathBuf,
        made: String,
        found: String,
    },
    /// PostgreSQL refuses to run as root, and there is no account to run it as.
    #[error(
        "PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to run it as"
    )]
    NoAccount,
    /// A directory of the cluster belongs to another account than the one PostgreSQL would run as.
    #[error("{} belongs to uid {owner}, but PostgreSQL would run as uid {expected}", directory.display())]
    OtherOwner {
        directory: PathBuf,
        owner: u32,
        expected: u32,
    },
    /// Something else is where the cluster should be.
    #[error("{} exists and is not a PostgreSQL cluster", .0.display())]
    NotACluster(PathBuf),
    /// `initdb` failed, with the end of its output.
    #[error("initdb failed: {0}")]
    Initdb(String),
    /// The server ended by itself, with the end of its log.
    #[error("PostgreSQL ended ({status}); {} says:\n{tail}", log.display())]
    Ended {
        status: String,
        log: PathBuf,
        tail: String,
    },
    /// The server, ours or another process's, did not become ready.
    #[error("PostgreSQL was not ready after {} seconds; see {}", START_LIMIT.as_secs(), .0.display())]
    Slow(PathBuf),
    /// The server did not stop.
    #[error("PostgreSQL (process {0}) is still running after it was told to stop")]
    StillRunning(u32),
    /// The server runs, but the database could not be found or created.
    #[error("could not prepare the database {DATABASE}: {}", crate::describe(.0))]
    Database(tokio_postgres::Error),
    /// The operating system refused an operation.
    #[error("could not {action} {}: {error}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    /// The supervisor thread panicked.
    #[error("the supervisor of PostgreSQL has ended")]
    NoSupervisor,
}

type Result<T> = std::result::Result<T, PrivatePostgresError>;

/// Adds the action and the path to an I/O error.
fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> PrivatePostgresError + 'a {
    move |error| PrivatePostgresError::Io {
        action,
        path: path.to_owned(),
        error,
    }
}

/// A handle to the cluster. Dropping it stops the server like [`PrivatePostgres::stop`], but does not wait for it.
pub struct PrivatePostgres {
    cluster: Arc<Cluster>,
    owned: Arc<AtomicBool>,
    /// A channel without messages: dropping it asks the supervisor to end.
    stop: mpsc::Sender<Infallible>,
    supervisor: JoinHandle<Result<()>>,
}

impl fmt::Debug for PrivatePostgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivatePostgres")
            .field("cluster", &self.cluster)
            .field("owned", &self.owned)
            .finish_non_exhaustive()
    }
}

impl PrivatePostgres {
    /// Returns true if a data directory has a cluster.
    #[must_use]
    pub fn exists(data_dir: &Path) -> bool {
        data_dir.join("postgres").exists()
    }

    /// Returns the directory of the programs that would run the cluster of a data directory. Creates nothing.
    pub fn find_programs(data_dir: &Path) -> Result<PathBuf> {
        let cluster = Cluster::at(data_dir.join("postgres"), None);
        Ok(Programs::find(&cluster)?.directory().to_owned())
    }

    /// Starts the cluster in `<data_dir>/postgres` (initialising it the first time), or attaches to it if another process already
    /// runs it.
    pub async fn start(data_dir: &Path) -> Result<Self> {
        Self::start_with(data_dir, &[]).await
    }

    /// Starts or attaches like [`Self::start`], with settings that override the defaults, such as `fsync=off` for tests.
    pub async fn start_with(data_dir: &Path, settings: &'static [&'static str]) -> Result<Self> {
        let cluster = Arc::new(Cluster::locate(data_dir)?);
        let owned = Arc::new(AtomicBool::new(false));
        let (stop, stop_asked) = mpsc::channel();
        let (first, first_outcome) = oneshot::channel();
        let supervisor = Supervisor {
            cluster: cluster.clone(),
            settings,
            owned: owned.clone(),
            stop: stop_asked,
            first: Some(first),
            since: Instant::now(),
        };
        let supervisor = thread::Builder::new()
            .name("private-postgres".to_owned())
            .spawn(|| supervisor.run())
            .map_err(io_error("start a thread for", cluster.directory()))?;
        first_outcome
            .await
            .map_err(|_| PrivatePostgresError::NoSupervisor)??;
        let this = Self {
            cluster,
            owned,
            stop,
            supervisor,
        };
        this.ensure_database().await?;
        Ok(this)
    }

    /// Returns the directory of the cluster.
    pub fn directory(&self) -> &Path {
        self.cluster.directory()
    }

    /// Returns the connection settings for a database of this cluster.
    pub fn config(&self, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config
            .host_path(self.cluster.sockets())
            .port(cluster::PORT)
            .user(cluster::SUPERUSER)
            .dbname(database);
        config
    }

    /// Returns the libpq URL of a database, for psql and pgbench.
    pub fn url(&self, database: &str) -> String {
        let host = percent_encoded(self.cluster.sockets().as_os_str().as_encoded_bytes());
        let database = percent_encoded(database.as_bytes());
        format!(
            "postgresql:///{database}?host={host}&port={}&user={}",
            cluster::PORT,
            cluster::SUPERUSER
        )
    }

    /// Returns true while this process runs the server.
    pub fn owned(&self) -> bool {
        self.owned.load(Ordering::Acquire)
    }

    /// Stops the server if this process runs it, rolling back running transactions; the data stays.
    pub async fn stop(self) -> Result<()> {
        drop(self.stop);
        match tokio::task::spawn_blocking(|| self.supervisor.join()).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(PrivatePostgresError::NoSupervisor),
        }
    }

    async fn ensure_database(&self) -> Result<()> {
        let deadline = Instant::now() + ATTACH_LIMIT;
        loop {
            match self.create_database().await {
                // The process that runs the server may be stopping; then the server comes back, here or in another process.
                Err(_) if !self.owned() && Instant::now() < deadline => {
                    tokio::time::sleep(STEADY).await
                }
                outcome => return outcome.map_err(PrivatePostgresError::Database),
            }
        }
    }

    async fn create_database(&self) -> std::result::Result<(), tokio_postgres::Error> {
        let (client, connection) = self.config("postgres").connect(NoTls).await?;
        tokio::spawn(connection);
        // Several processes may do this at once; the lock ends with the connection.
        client.batch_execute("SELECT pg_advisory_lock(0)").await?;
        let found = client
            .query_opt("SELECT FROM pg_database WHERE datname = $1", &[&DATABASE])
            .await?;
        if found.is_none() {
            client
                .batch_execute(&format!("CREATE DATABASE {DATABASE}"))
                .await?;
        }
        Ok(())
    }
}

fn percent_encoded(bytes: &[u8]) -> String {
    let encode = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(*byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().map(encode).collect()
}

/// The thread that runs the server, or waits for its turn to do so. The server dies with this thread, so it lives as long as the process
/// or the handle.
struct Supervisor {
    cluster: Arc<Cluster>,
    settings: &'static [&'static str],
    owned: Arc<AtomicBool>,
    stop: mpsc::Receiver<Infallible>,
    /// Receiver of the first outcome. Later outcomes are logged.
    first: Option<oneshot::Sender<Result<()>>>,
    since: Instant,
}

impl Supervisor {
    fn run(mut self) -> Result<()> {
        let mut retry = RETRY;
        loop {
            let pause = match self.turn() {
                Ok(ControlFlow::Break(())) => return Ok(()),
                Ok(ControlFlow::Continue(())) => self.pause(),
                Err(error @ PrivatePostgresError::StillRunning(_)) => return Err(error),
                Err(error) if self.first.is_some() => {
                    self.report(Err(error));
                    return Ok(());
                }
                Err(error) => {
                    // A server that ran for a while resets the back-off.
                    if self.since.elapsed() > LAST_RETRY {
                        retry = RETRY;
                    }
                    tracing::error!(%error, "the private PostgreSQL is down; trying again in {} s", retry.as_secs());
                    let pause = retry;
                    retry = (2 * retry).min(LAST_RETRY);
                    pause
                }
            };
            if self.told_to_stop_within(pause) {
                return Ok(());
            }
        }
    }

    /// Runs the server until it ends or must stop, unless another process runs it.
    fn turn(&mut self) -> Result<ControlFlow<()>> {
        // Opened again each turn: the lock belongs to the open file, which processes of the last server may still hold.
        let lock = self.cluster.open_lock()?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return self.attach(),
            Err(TryLockError::Error(error)) => {
                return Err(io_error("lock", self.cluster.directory())(error));
            }
        }
        let cluster = Arc::clone(&self.cluster);
        let programs = Programs::find(&cluster)?;
        // Only at first: a cluster that disappears under a running server must not come back empty.
        if self.first.is_some() {
            cluster.initialise(&programs, &lock, self.settings)?;
        }
        let mut server = Server::launch(&cluster, &programs, &lock, self.settings)?;
        self.since = Instant::now();
        let outcome = self.watch(&mut server);
        self.owned.store(false, Ordering::Release);
        outcome
    }

    fn attach(&mut self) -> Result<ControlFlow<()>> {
        if self.first.is_some() {
            if self.cluster.answers() {
                tracing::info!(directory = %self.cluster.directory().display(), "attached to the private PostgreSQL of another process");
                self.report(Ok(()));
            } else if self.since.elapsed() > START_LIMIT {
                return Err(PrivatePostgresError::Slow(self.cluster.log()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn watch(&mut self, server: &mut Server) -> Result<ControlFlow<()>> {
        loop {
            server.check()?;
            if !self.owned() && self.cluster.answers() {
                tracing::info!(directory = %self.cluster.directory().display(), process = server.id(), "started the private PostgreSQL");
                self.owned.store(true, Ordering::Release);
                self.report(Ok(()));
            }
            if !self.owned() && self.since.elapsed() > START_LIMIT {
                server.stop()?;
                return Err(PrivatePostgresError::Slow(self.cluster.log()));
            }
            if self.told_to_stop_within(if self.owned() { STEADY } else { EAGER }) {
                server.stop()?;
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    fn owned(&self) -> bool {
        self.owned.load(Ordering::Acquire)
    }

    fn pause(&self) -> Duration {
        if self.first.is_some() { EAGER } else { STEADY }
    }

    fn report(&mut self, outcome: Result<()>) {
        if let Some(first) = self.first.take() {
            // Nobody waits if `start` was cancelled; then the stop channel is closed as well.
            let _ = first.send(outcome);
        }
    }

    fn told_to_stop_within(&self, pause: Duration) -> bool {
        match self.stop.recv_timeout(pause) {
            Ok(never) => match never {},
            Err(RecvTimeoutError::Disconnected) => true,
            Err(RecvTimeoutError::Timeout) => false,
        }
    }
}
