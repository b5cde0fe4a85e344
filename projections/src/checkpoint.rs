//! Checkpoints: the positions up to which consumers have read the log.

use std::collections::HashSet;

use serde::Serialize;
use store::{Database, Position, Purpose, Session};
use tokio_postgres::GenericClient;

use crate::QueryError;
use crate::idle::Move;

/// A row of `log.checkpoints`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    pub name: String,
    pub position: Position,
    /// Fingerprint of the version that built the read model; empty for a reaction.
    pub built_by: String,
    /// Version of the quarantine; raised when anybody but the consumer changes it.
    pub quarantine: i64,
}

const COLUMNS: &str = "name, position, built_by, quarantine";

fn from_row(row: &tokio_postgres::Row) -> Checkpoint {
    Checkpoint {
        name: row.get(0),
        position: row.get(1),
        built_by: row.get(2),
        quarantine: row.get(3),
    }
}

pub async fn read(
    client: &impl GenericClient,
    name: &str,
) -> Result<Option<Checkpoint>, tokio_postgres::Error> {
    let sql = format!("select {COLUMNS} from log.checkpoints where name = $1");
    Ok(client
        .query_opt(&sql, &[&name])
        .await?
        .as_ref()
        .map(from_row))
}

/// Returns all checkpoints.
pub async fn all(database: &Database) -> Result<Vec<Checkpoint>, QueryError> {
    let client = database.session(Purpose::Queries).await?;
    let sql = format!("select {COLUMNS} from log.checkpoints order by name");
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[]).await?;
    Ok(rows.iter().map(from_row).collect())
}

/// Reads a checkpoint and locks it until the transaction ends.
pub async fn lock(
    client: &impl GenericClient,
    name: &str,
) -> Result<Option<Checkpoint>, tokio_postgres::Error> {
    let sql = format!("select {COLUMNS} from log.checkpoints where name = $1 for update");
    Ok(client
        .query_opt(&sql, &[&name])
        .await?
        .as_ref()
        .map(from_row))
}

pub async fn create(
    client: &impl GenericClient,
    name: &str,
    position: Position,
    built_by: &str,
) -> Result<(), tokio_postgres::Error> {
    client
        .execute(
            "insert into log.checkpoints (name, position, built_by) values ($1, $2, $3)
             on conflict (name) do update
             set position = $2, built_by = $3, quarantine = checkpoints.quarantine + 1, updated_at = now()",
            &[&name, &position, &built_by],
        )
        .await?;
    Ok(())
}

/// Marks a read model as built by no known version, up to a position.
pub async fn invalidate(
    client: &impl GenericClient,
    name: &str,
    position: Position,
) -> Result<(), tokio_postgres::Error> {
    create(client, name, position, "").await
}

const ADVANCE: &str = "
    update log.checkpoints set position = $4, updated_at = now()
    where name = $1 and quarantine = $2 and position = $3";

/// Prepares the statement of [`advance`], which then needs no round trip of its own.
pub async fn prepare(session: &Session) -> Result<(), tokio_postgres::Error> {
    session.prepare_cached(ADVANCE).await?;
    Ok(())
}

/// Advances a checkpoint; returns false if another process moved it or changed the quarantine meanwhile.
pub async fn advance(
    session: &Session,
    name: &str,
    quarantine: i64,
    from: Position,
    to: Position,
) -> Result<bool, tokio_postgres::Error> {
    let advance = session.prepare_cached(ADVANCE).await?;
    Ok(session
        .execute(&advance, &[&name, &quarantine, &from, &to])
        .await?
        == 1)
}

/// Advances several checkpoints; returns the names of those that it has advanced. Skips checkpoints that are locked, so that no
/// consumer waits for another.
pub async fn advance_all(
    session: &Session,
    moves: &[Move],
) -> Result<HashSet<String>, tokio_postgres::Error> {
    const ADVANCE_ALL: &str = "
        with due as (
            select c.name, wanted.to_position
            from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
                as wanted (name, quarantine, from_position, to_position)
            join log.checkpoints c on c.name = wanted.name and c.quarantine = wanted.quarantine
                and c.position = wanted.from_position
            for update of c skip locked
        )
        update log.checkpoints c set position = due.to_position, updated_at = now()
        from due where c.name = due.name returning c.name";
    let names: Vec<&str> = moves.iter().map(|one| one.name).collect();
    let quarantines: Vec<i64> = moves.iter().map(|one| one.quarantine).collect();
    let from: Vec<Position> = moves.iter().map(|one| one.from).collect();
    let to: Vec<Position> = moves.iter().map(|one| one.to).collect();
    let statement = session.prepare_cached(ADVANCE_ALL).await?;
    let rows = session
        .query(&statement, &[&names, &quarantines, &from, &to])
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
