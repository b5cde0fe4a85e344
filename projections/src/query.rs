//! What every query shares: who looks, how far a page goes, and rows as their types.

use deadpool_postgres::PoolError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::Database;
use tokio_postgres::types::ToSql;
use utoipa::ToSchema;
use uuid::Uuid;

/// Why a read model could not be read.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// No connection is to be had.
    #[error("the database is not available: {0}")]
    Pool(#[from] PoolError),
    /// The database refused.
    #[error("database: {}", .0.as_db_error().map_or_else(|| .0.to_string(), ToString::to_string))]
    Database(#[from] tokio_postgres::Error),
    /// A row is not as this build expects it; its read model is being rebuilt.
    #[error("the read model is not of this version: {0}")]
    Shape(#[from] serde_json::Error),
}

/// Who looks at the read models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// None: the operator, who sees every product and workspace.
    pub product_id: Option<Uuid>,
    pub actor_id: Uuid,
}

/// Where a page starts and how long it is.
#[derive(Debug, Clone, Copy)]
pub struct Cursor {
    /// The last id of the page before.
    pub before: Option<Uuid>,
    pub limit: usize,
}

impl Cursor {
    /// One more than is shown, to know whether there is more.
    pub(crate) fn rows(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX - 1) + 1
    }

    pub(crate) fn from(&self) -> Uuid {
        self.before.unwrap_or(Uuid::max())
    }
}

/// A page of things, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Where the next page starts; none: this is the last one.
    pub next_cursor: Option<Uuid>,
}

impl<T> List<T> {
    /// Cuts the one row that only says that there is more.
    pub(crate) fn of(mut items: Vec<T>, cursor: Cursor, id: impl Fn(&T) -> Uuid) -> Self {
        let more = items.len() > cursor.limit;
        items.truncate(cursor.limit);
        Self {
            next_cursor: items.last().filter(|_| more).map(id),
            items,
        }
    }
}

/// Rows of a statement whose one column is JSON.
pub(crate) async fn rows<T: DeserializeOwned>(
    database: &Database,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<T>, QueryError> {
    let client = database.pool.get().await?;
    let statement = client.prepare_cached(sql).await?;
    client
        .query(&statement, params)
        .await?
        .iter()
        .map(|row| Ok(serde_json::from_str(row.get(0))?))
        .collect()
}

/// The first row of [`rows`].
pub(crate) async fn row<T: DeserializeOwned>(
    database: &Database,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Option<T>, QueryError> {
    Ok(rows(database, sql, params).await?.into_iter().next())
}
