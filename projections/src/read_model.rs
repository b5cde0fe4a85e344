//! A read model as a pure function: what is shown of a thing, after one more event.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::sync::OnceLock;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::{ContractError, EventContract};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{Position, Recorded};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Consumer, PostError, Posting};

/// A table with one row per stream of a category.
pub trait ReadModel: Send + Sync + 'static {
    /// The category it is posted from; also the name of its checkpoint.
    const NAME: &'static str;
    /// Queries need the scope `<CONTEXT>:read`.
    const CONTEXT: &'static str;
    /// Name of the table in `DDL`.
    const TABLE: &'static str;
    /// Raise it when `post` changes; a change of `DDL` is noticed without.
    const VERSION: u32;
    const DDL: &'static str;
    /// Who may see a row: one of those in [`visible`](crate::visible), or a condition of its own.
    const VISIBLE: &'static str;
    type Event: EventContract;
    /// What is shown beside the [`Facts`]: its fields are columns of the table.
    type Content: Serialize + DeserializeOwned + ToSchema + PartialEq + Clone + Send + Sync;

    /// The content after the event; none: the row is deleted.
    fn post(
        content: Option<Self::Content>,
        event: Self::Event,
        envelope: &Recorded,
    ) -> Option<Self::Content>;
}

/// What every row tells, whatever it is about. The spine keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Facts {
    pub id: Uuid,
    pub product_id: Uuid,
    /// Of the stream; the `ETag` of the resource.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    /// Id of the actor.
    pub created_by: Uuid,
    pub updated_at: DateTime<Utc>,
    /// Of the last event.
    pub position: Position,
}

/// A row of a read model, and the resource that the API shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Row<C> {
    #[serde(flatten)]
    pub facts: Facts,
    #[serde(flatten)]
    pub content: C,
}

impl Facts {
    fn after(before: Option<Self>, event: &Recorded) -> Self {
        let before = before.unwrap_or(Self {
            id: event.stream.id,
            product_id: event.product_id,
            version: 0,
            created_at: event.recorded_at,
            created_by: event.metadata.actor.id,
            updated_at: event.recorded_at,
            position: 0,
        });
        Self {
            version: event.version,
            updated_at: event.recorded_at,
            position: event.position,
            ..before
        }
    }
}

/// The row after one more event of its stream.
pub fn post<M: ReadModel>(
    row: Option<Row<M::Content>>,
    event: &Recorded,
) -> Result<Option<Row<M::Content>>, ContractError> {
    let change = event.decode::<M::Event>()?;
    let (facts, content) = row.map(|row| (row.facts, row.content)).unzip();
    Ok(M::post(content, change, event).map(|content| Row {
        facts: Facts::after(facts, event),
        content,
    }))
}

/// Posts a [`ReadModel`]. A batch is folded in memory: the rows it touches are read once, and written once as they are
/// at its end.
pub struct Fold<M> {
    upsert: OnceLock<String>,
    model: PhantomData<fn() -> M>,
}

type Rows<M> = HashMap<Uuid, Row<<M as ReadModel>::Content>>;

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
        std::slice::from_ref(&M::NAME)
    }

    fn ddl(&self) -> &'static str {
        M::DDL
    }

    fn built_by(&self) -> String {
        let digest = hex::encode(Sha256::digest(M::DDL));
        format!("{}-{}", M::VERSION, &digest[..12])
    }

    async fn post(&self, posting: &mut Posting<'_>, events: &[Recorded]) -> Result<(), PostError> {
        let client = posting.client();
        let before = read::<M>(client, known(events));
        let before = posting.begin_with(before).await?;
        let mut after = before.clone();
        for event in events {
            let row = post::<M>(after.remove(&event.stream.id), event)
                .map_err(|error| PostError::contract(event, &error))?;
            after.extend(row.map(|row| (event.stream.id, row)));
        }
        let write = self.write(client, &before, &after);
        posting.commit_with(write).await
    }
}

/// The streams that began before these events: the others have no row yet.
fn known(events: &[Recorded]) -> Vec<Uuid> {
    let streams = |new: bool| {
        let events = events
            .iter()
            .filter(move |event| (event.version == 1) == new);
        events.map(|event| event.stream.id).collect::<HashSet<_>>()
    };
    streams(false).difference(&streams(true)).copied().collect()
}

async fn read<M: ReadModel>(client: &Client, keys: Vec<Uuid>) -> Result<Rows<M>, PostError> {
    if keys.is_empty() {
        return Ok(Rows::<M>::new());
    }
    let table = M::TABLE;
    let sql = format!("select id, row_to_json(t)::text from {table} t where id = any($1)");
    client
        .query_typed(&sql, &[(&keys, Type::UUID_ARRAY)])
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
        client: &Client,
        before: &Rows<M>,
        after: &Rows<M>,
    ) -> Result<(), PostError> {
        let changed: Vec<_> = after
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
            let sql = self.upsert.get_or_init(|| upsert_sql(M::TABLE, first));
            let rows = serde_json::to_string(&changed)
                .map_err(|error| PostError::Retry(error.to_string()))?;
            client.query_typed(sql, &[(&rows, Type::TEXT)]).await?;
            Ok::<_, PostError>(())
        };
        let delete = async {
            if !deleted.is_empty() {
                let sql = format!("delete from {} where id = any($1)", M::TABLE);
                client
                    .query_typed(&sql, &[(&deleted, Type::UUID_ARRAY)])
                    .await?;
            }
            Ok(())
        };
        futures::try_join!(upsert, delete)?;
        Ok(())
    }
}

/// One statement for any number of rows, its columns named as the row's fields.
fn upsert_sql(table: &str, row: &impl Serialize) -> String {
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
