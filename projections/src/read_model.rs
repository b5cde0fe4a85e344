//! A read model as a pure function: the row of a thing, after one more event.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::sync::OnceLock;

use async_trait::async_trait;
use domain::ContractError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use store::Recorded;
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::{Consumer, PostError};

/// A table with one row per thing, keyed by the column `id`.
///
/// A batch is folded in memory: the rows it touches are read once, and written once as they are at its end.
pub trait ReadModel: Send + Sync + 'static {
    /// Name of the context, and of its checkpoint.
    const NAME: &'static str;
    /// Name of the table in `DDL`.
    const TABLE: &'static str;
    /// Raise it when `post` changes; a change of `DDL` is noticed without.
    const VERSION: u32;
    const DDL: &'static str;
    const CATEGORIES: &'static [&'static str];
    /// Its fields are the table's columns.
    type Row: Serialize + DeserializeOwned + PartialEq + Clone + Send + Sync;

    /// The row that an event concerns.
    fn key(event: &Recorded) -> Uuid {
        event.stream.id
    }

    /// The row after the event; none: it is deleted.
    fn post(row: Option<Self::Row>, event: &Recorded) -> Result<Option<Self::Row>, ContractError>;
}

/// Posts a [`ReadModel`].
pub struct Fold<M> {
    upsert: OnceLock<String>,
    model: PhantomData<fn() -> M>,
}

impl<M> Default for Fold<M> {
    fn default() -> Self {
        Self {
            upsert: OnceLock::new(),
            model: PhantomData,
        }
    }
}

#[async_trait]
impl<M: ReadModel> Consumer for Fold<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn categories(&self) -> &'static [&'static str] {
        M::CATEGORIES
    }

    fn ddl(&self) -> &'static str {
        M::DDL
    }

    fn built_by(&self) -> String {
        let digest = hex::encode(Sha256::digest(M::DDL));
        format!("{}-{}", M::VERSION, &digest[..12])
    }

    async fn post(&self, tx: &Transaction<'_>, events: &[Recorded]) -> Result<(), PostError> {
        let keys: HashSet<Uuid> = events.iter().map(M::key).collect();
        let before = read::<M>(tx, keys.into_iter().collect()).await?;
        let mut after = before.clone();
        for event in events {
            let key = M::key(event);
            let row = M::post(after.remove(&key), event)
                .map_err(|error| PostError::contract(event, &error))?;
            after.extend(row.map(|row| (key, row)));
        }
        self.write(tx, &before, &after).await
    }
}

async fn read<M: ReadModel>(
    tx: &Transaction<'_>,
    keys: Vec<Uuid>,
) -> Result<HashMap<Uuid, M::Row>, PostError> {
    let table = M::TABLE;
    let sql = format!("select id, row_to_json(t)::text from {table} t where id = any($1)");
    tx.query_typed(&sql, &[(&keys, Type::UUID_ARRAY)])
        .await?
        .iter()
        .map(|row| {
            serde_json::from_str(row.get(1))
                .map(|parsed| (row.get(0), parsed))
                .map_err(|error| {
                    PostError::Retry(format!("a row of {table} does not fit: {error}"))
                })
        })
        .collect()
}

impl<M: ReadModel> Fold<M> {
    async fn write(
        &self,
        tx: &Transaction<'_>,
        before: &HashMap<Uuid, M::Row>,
        after: &HashMap<Uuid, M::Row>,
    ) -> Result<(), PostError> {
        let changed: Vec<&M::Row> = after
            .iter()
            .filter(|(id, row)| before.get(id) != Some(row))
            .map(|(_, row)| row)
            .collect();
        let deleted: Vec<Uuid> = before
            .keys()
            .filter(|id| !after.contains_key(id))
            .copied()
            .collect();
        let upsert = async {
            let Some(first) = changed.first() else {
                return Ok(());
            };
            let sql = self.upsert.get_or_init(|| upsert_sql::<M>(first));
            let rows = serde_json::to_string(&changed)
                .map_err(|error| PostError::Retry(error.to_string()))?;
            tx.query_typed(sql, &[(&rows, Type::TEXT)]).await?;
            Ok::<_, PostError>(())
        };
        let delete = async {
            if !deleted.is_empty() {
                let sql = format!("delete from {} where id = any($1)", M::TABLE);
                tx.query_typed(&sql, &[(&deleted, Type::UUID_ARRAY)])
                    .await?;
            }
            Ok(())
        };
        futures::try_join!(upsert, delete)?;
        Ok(())
    }
}

/// One statement for any number of rows, its columns named as the row's fields.
fn upsert_sql<M: ReadModel>(row: &M::Row) -> String {
    let table = M::TABLE;
    let columns: Vec<String> = serde_json::to_value(row)
        .ok()
        .and_then(|value| value.as_object().map(|map| map.keys().cloned().collect()))
        .unwrap_or_default();
    let excluded: Vec<String> = columns.iter().map(|c| format!("excluded.{c}")).collect();
    format!(
        "insert into {table} ({columns}) select {columns} from json_populate_recordset(null::{table}, $1::json) \
         on conflict (id) do update set ({columns}) = row({excluded})",
        columns = columns.join(", "),
        excluded = excluded.join(", "),
    )
}
