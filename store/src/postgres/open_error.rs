//! Errors of opening a database.

use std::time::Duration;

use super::sessions::SessionError;
use crate::failure::describe;

/// Reasons why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The server does not answer, or refuses the connection or a statement.
    #[error("cannot use PostgreSQL: {}", describe(.0))]
    Connect(#[from] tokio_postgres::Error),
    /// The server did not answer within the start-up wait.
    #[error("PostgreSQL could not be used for {} s: {}", .waited.as_secs(), describe(.last))]
    Waited {
        waited: Duration,
        last: tokio_postgres::Error,
    },
    /// No session was available.
    #[error("cannot use PostgreSQL: {0}")]
    Session(#[from] SessionError),
    /// The schema could not be migrated.
    #[error("cannot migrate the database: {}", describe(.0))]
    Migrate(#[from] refinery::Error),
    /// The pool's settings contradict each other.
    #[error("cannot build the connection pool: {0}")]
    Build(#[from] deadpool_postgres::BuildError),
    /// Statements of one client run in several sessions.
    #[error(
        "the connection leads to a pooler in transaction mode (such as PgBouncer with pool_mode = transaction), and Daybook needs sessions \
         of its own for locks, notifications and prepared statements: connect to PostgreSQL itself, or to a pool in session mode"
    )]
    Pooler,
    /// The encoding cannot store all text.
    #[error(
        "the database {database} has the encoding {encoding}, and Daybook needs UTF8: create one with \
         `create database {database}_utf8 encoding 'UTF8' template template0`"
    )]
    Encoding { database: String, encoding: String },
    /// A later build has migrated the database.
    #[error(
        "the database has the schema version {found} of a later Daybook, and this build knows versions up to {known}: run that build or a \
         later one, or restore a backup from before it"
    )]
    Newer { found: i32, known: i32 },
    /// Migrations were changed after this database had applied them.
    #[error(
        "the database was made by a build whose migration {0} differs: run that build, or start with a new database"
    )]
    Divergent(String),
    /// The account cannot create schemas.
    #[error(
        "the account {account} may not create schemas in the database {database}: run `grant create on database {database} to {account}`"
    )]
    Create { account: String, database: String },
    /// The log belongs to another account.
    #[error(
        "the account {account} lacks rights on the log, which belongs to {owner}: {missing}; grant them as {owner}, or restore with \
         `pg_restore --no-owner --role={account}`"
    )]
    Rights {
        account: String,
        missing: String,
        owner: String,
    },
}
