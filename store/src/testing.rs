//! PostgreSQL for tests: one server for each test process, a fresh database for each test.
//!
//! The server ends with the process, even if that is killed, and then all its files are removed.
#![allow(
    clippy::expect_used,
    reason = "a test that gets no database has nothing to go on with"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, io};

use tokio::sync::OnceCell;
use tokio_postgres::{Config, NoTls};
use uuid::Uuid;

use crate::{Database, PrivatePostgres};

/// The database that is copied for every test.
const TEMPLATE: &str = "daybook";

/// Prefix of the directories of all test processes.
const PREFIX: &str = "daybook-tests-";

/// Maximum lifetime of a test process.
const LONGEST_RUN: Duration = Duration::from_hours(24);

static SERVER: OnceCell<PrivatePostgres> = OnceCell::const_new();

/// Returns settings for a fresh, migrated database on the server that all tests of this process share.
pub async fn database() -> Config {
    static SERIAL: AtomicU32 = AtomicU32::new(1);
    let server = SERVER.get_or_init(start_server).await;
    let name = format!("test_{}", SERIAL.fetch_add(1, Ordering::Relaxed));
    copy_template(server, &name)
        .await
        .expect("the template database can be copied");
    server.config(&name)
}

/// Returns the libpq URL of a database that [`database`] made, for child processes.
pub fn url(database: &Config) -> String {
    let name = database.get_dbname().expect("the database has a name");
    let server = SERVER.get().expect("the server of the database runs");
    server.url(name)
}

/// Starts a server of the test's own, in a [`directory`], for tests that stop it.
///
/// It does not sync to the disk, unless `DAYBOOK_TEST_FSYNC=on`.
pub async fn postgres(data_dir: &Path) -> PrivatePostgres {
    // With two providers compiled in, rustls has no default and panics. An error means that there is a default already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings: &[&str] = if env::var("DAYBOOK_TEST_FSYNC").is_ok_and(|fsync| fsync == "on") {
        &["max_connections=1000"]
    } else {
        &["max_connections=1000", "fsync=off"]
    };
    PrivatePostgres::start_with(data_dir, settings)
        .await
        .expect("PostgreSQL starts")
}

/// Creates a directory that PostgreSQL's account can enter; it is removed with this process.
pub fn directory() -> PathBuf {
    static HOME: LazyLock<Home> = LazyLock::new(|| {
        sweep();
        Home::make().expect("the temporary directory can be written to")
    });
    static SERIAL: AtomicU32 = AtomicU32::new(1);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let directory = HOME.directory.join(serial.to_string());
    create_open(&directory).expect("the directory of this process can be written to");
    directory
}

async fn start_server() -> PrivatePostgres {
    let server = postgres(&directory()).await;
    Database::open(server.config(TEMPLATE))
        .await
        .expect("the template database can be migrated");
    server
}

async fn copy_template(server: &PrivatePostgres, name: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = server.config("postgres").connect(NoTls).await?;
    tokio::spawn(connection);
    client
        .batch_execute(&format!("create database {name} template {TEMPLATE}"))
        .await
}

/// The directory of this process, and the process that removes it.
struct Home {
    directory: PathBuf,
    _remover: Child,
}

impl Home {
    fn make() -> io::Result<Self> {
        let id = Uuid::new_v4().simple();
        let directory = env::temp_dir().join(format!("{PREFIX}{id}"));
        create_open(&directory)?;
        // Its standard input ends when this process is dead, even if killed. The server may end a little later.
        let remover = Command::new("sh")
            .args([
                "-c",
                "read -r _; rm -rf \"$0\" || { sleep 1; rm -rf \"$0\"; }",
            ])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self {
            directory,
            _remover: remover,
        })
    }
}

/// Removes directories that are left from machines or containers that were stopped with everything in them.
fn sweep() {
    for entry in fs::read_dir(env::temp_dir())
        .into_iter()
        .flatten()
        .flatten()
    {
        let is_old = || {
            entry
                .metadata()?
                .modified()?
                .elapsed()
                .map_err(io::Error::other)
        };
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && is_old().is_ok_and(|age| age > LONGEST_RUN)
        {
            // If it fails, another process may have removed it.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Creates a directory that PostgreSQL's account can enter, whatever the umask is.
fn create_open(directory: &Path) -> io::Result<()> {
    fs::create_dir(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(0o755))
}
