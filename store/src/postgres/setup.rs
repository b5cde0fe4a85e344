//! Prepares a database: waits for it, checks that it is suitable, migrates it and ensures rights.

use std::time::{Duration, Instant};

use refinery::error::Kind;
use tokio_postgres::{Client, Config, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::open_error::OpenError;
use super::rights;
use crate::failure::{describe, may_pass};

mod migrations {
    refinery::embed_migrations!("../schema/log");
}

/// Lock that guards migrations against other nodes that start at the same time.
const MIGRATION_LOCK: i64 = 0x6461_7962_6f6f_6b01;
/// Table of applied migrations, in the log's own schema: `public` is closed to most accounts, and a restored log includes it.
const HISTORY: &str = "log.schema_history";
/// Interval between two attempts to connect.
const RETRY: Duration = Duration::from_millis(250);
/// Interval between two log lines about waiting.
const PROGRESS: Duration = Duration::from_secs(5);
/// Maximum time that a session may take to answer a simple query.
const ANSWER: Duration = Duration::from_secs(10);
/// Number of times that two sessions are compared: a pooler gives a session to the next client.
const COMPARISONS: usize = 3;

/// Connects, waiting for a server that is not up yet, and prepares the database. Returns true if sessions can use the role
/// that cannot change the log.
pub async fn set_up(
    config: &Config,
    tls: &MakeRustlsConnect,
    wait: Duration,
) -> Result<bool, OpenError> {
    let (mut client, connection) = patiently(config, tls, wait).await?;
    let has_role = make_ready(config, tls, &mut client).await;
    // Once this is answered, so are all earlier statements; the server logs errors about answers that it cannot deliver.
    let _ = client.batch_execute("").await;
    drop(client);
    connection.abort();
    has_role
}

type Connected = (Client, tokio::task::JoinHandle<()>);

async fn connect(
    config: &Config,
    tls: &MakeRustlsConnect,
) -> Result<Connected, tokio_postgres::Error> {
    let (client, connection) = config.connect(tls.clone()).await?;
    let connection = tokio::spawn(async {
        // The client gets the error, too.
        let _ = connection.await;
    });
    Ok((client, connection))
}

async fn patiently(
    config: &Config,
    tls: &MakeRustlsConnect,
    wait: Duration,
) -> Result<Connected, OpenError> {
    let begun = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        let error = match connect(config, tls).await {
            Ok(connected) => return Ok(connected),
            Err(error) => error,
        };
        if wait.is_zero() || !may_pass(&error) {
            return Err(error.into());
        }
        if begun.elapsed() >= wait {
            return Err(OpenError::Waited {
                waited: wait,
                last: error,
            });
        }
        if told.is_none_or(|told| told.elapsed() >= PROGRESS) {
            let left = wait.saturating_sub(begun.elapsed()).as_secs();
            tracing::warn!(
                error = describe(&error),
                "waiting for PostgreSQL, {left} seconds more"
            );
            told = Some(Instant::now());
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn make_ready(
    config: &Config,
    tls: &MakeRustlsConnect,
    client: &mut Client,
) -> Result<bool, OpenError> {
    const ACCOUNT: &str = "
        select current_user::text, current_database()::text, getdatabaseencoding()::text,
            has_database_privilege(current_database(), 'create')";
    if is_pooled(config, tls, client).await? {
        return Err(OpenError::Pooler);
    }
    let row = client.query_one(ACCOUNT, &[]).await?;
    let (account, database, encoding): (String, String, String) =
        (row.get(0), row.get(1), row.get(2));
    if encoding != "UTF8" {
        return Err(OpenError::Encoding { database, encoding });
    }
    if !row.get::<_, bool>(3) {
        return Err(OpenError::Create { account, database });
    }
    client
        .execute("select pg_advisory_lock($1)", &[&MIGRATION_LOCK])
        .await?;
    let has_role = rights::ensure_role(client).await?;
    if !has_role {
        tracing::warn!(
            account,
            "cannot work as the role daybook_app, which cannot change the log: the account itself is used, and triggers alone protect \
             the log; `create role daybook_app; grant daybook_app to {account}` as a superuser adds the role"
        );
    }
    for schema in ["log", "read"] {
        let found = client
            .query_one("select to_regnamespace($1) is not null", &[&schema])
            .await?;
        if !found.get::<_, bool>(0) {
            client
                .batch_execute(&format!("create schema {schema}"))
                .await?;
        }
    }
    rights::check_owner(client, &account).await?;
    migrate(client).await?;
    rights::ensure_rights(client, &account, has_role).await?;
    Ok(has_role)
}

/// Returns true if statements of one client run in several sessions. A second client holds a session while the first, which never
/// ended its own, asks for the id of its session.
async fn is_pooled(
    config: &Config,
    tls: &MakeRustlsConnect,
    first: &Client,
) -> Result<bool, OpenError> {
    let (second, connection) = connect(config, tls).await?;
    let compare = async {
        let mine = session(first).await?;
        for _ in 0..COMPARISONS {
            second.batch_execute("begin").await?;
            let other = session(&second).await?;
            let still = session(first).await?;
            second.batch_execute("commit").await?;
            if other == mine || still != mine {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let compared: Result<Result<bool, tokio_postgres::Error>, _> =
        tokio::time::timeout(ANSWER, compare).await;
    drop(second);
    connection.abort();
    // A pooler with a single session keeps the first client waiting for the second.
    compared.map_or(Ok(true), |compared| Ok(compared?))
}

/// Returns the process id of a session, queried without a prepared statement.
async fn session(client: &Client) -> Result<Option<String>, tokio_postgres::Error> {
    let messages = client.simple_query("select pg_backend_pid()").await?;
    Ok(messages.iter().find_map(|message| {
        if let SimpleQueryMessage::Row(row) = message {
            row.get(0).map(str::to_owned)
        } else {
            None
        }
    }))
}

async fn migrate(client: &mut Client) -> Result<(), OpenError> {
    let mut runner = migrations::migrations::runner();
    runner.set_migration_table_name(HISTORY);
    let known = runner
        .get_migrations()
        .iter()
        .map(|migration| migration.version());
    let known = known.max().unwrap_or_default();
    let history = client
        .query_one("select to_regclass($1) is not null", &[&HISTORY])
        .await?;
    if history.get::<_, bool>(0) {
        let newest = format!("select coalesce(max(version), 0) from {HISTORY}");
        let found: i32 = client.query_one(&newest, &[]).await?.get(0);
        if found > known {
            return Err(OpenError::Newer { found, known });
        }
    }
    let report = runner.run_async(client).await.map_err(|error| {
        if let Kind::DivergentVersion(applied, _) = error.kind() {
            OpenError::Divergent(applied.to_string())
        } else {
            OpenError::Migrate(error)
        }
    })?;
    for migration in report.applied_migrations() {
        tracing::info!(%migration, "database migrated");
    }
    Ok(())
}
