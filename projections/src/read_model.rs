//! A read model as a pure function: the row of a stream after one more event.

use chrono::{DateTime, Utc};
use domain::{Aggregate, ContractError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{Position, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

/// The events of a read model's aggregate.
pub type Event<M> = <<M as ReadModel>::Of as Aggregate>::Event;

/// A table with one row per stream of a category.
pub trait ReadModel: Send + Sync + 'static {
    /// The aggregate whose events are applied.
    type Of: Aggregate;
    /// Name of the read model and of its checkpoint: the category.
    const NAME: &'static str = Self::Of::CATEGORY;
    /// Queries need the scope `<SCOPE>:read`.
    const SCOPE: &'static str = Self::Of::SCOPE;
    /// Name of the table in `DDL`.
    const TABLE: &'static str;
    /// Raise it when `apply` changes; a change of `DDL` is detected automatically.
    const VERSION: u32;
    const DDL: &'static str;
    /// Condition for who may see a row: one of those in [`visible`](crate::visible), or its own.
    const VISIBLE: &'static str;
    /// Read models that `VISIBLE` reads, besides its own and the workspaces: a read waits for them, too.
    const DEPENDS_ON: &'static [&'static str] = &[];
    /// The fields shown besides the [`RowMetadata`]: each is a column of the table.
    type Content: Serialize + DeserializeOwned + ToSchema + PartialEq + Clone + Send + Sync;

    /// Returns the content after the event; none: the row is deleted.
    fn apply(
        content: Option<Self::Content>,
        event: Event<Self>,
        envelope: &Recorded,
    ) -> Option<Self::Content>;
}

/// Metadata of every row, maintained by the runtime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = RowMetadata)]
pub struct RowMetadata {
    pub id: Uuid,
    pub product_id: Uuid,
    /// Version of the stream; the `ETag` of the resource.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    /// Id of the creating actor.
    pub created_by: Uuid,
    pub updated_at: DateTime<Utc>,
    /// Position of the last event of the resource.
    #[schema(value_type = i64)]
    pub position: Position,
    /// Position of an event that could not be applied: the resource is shown as it was before that event. The operator can retry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub quarantined_at: Option<Position>,
}

/// A row of a read model, which is the resource that the API shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Row<C> {
    #[serde(flatten)]
    pub metadata: RowMetadata,
    #[serde(flatten)]
    pub content: C,
}

impl RowMetadata {
    fn after(before: Option<Self>, event: &Recorded) -> Self {
        let before = before.unwrap_or(Self {
            id: event.stream.id,
            product_id: event.product_id,
            version: 0,
            created_at: event.recorded_at,
            created_by: event.metadata.actor.id,
            updated_at: event.recorded_at,
            position: 0,
            quarantined_at: None,
        });
        Self {
            version: event.version,
            updated_at: event.recorded_at,
            position: event.position,
            ..before
        }
    }
}

/// Applies an event with the aggregate's own [`evolve`](Aggregate::evolve), for rows that show the aggregate's state.
pub fn evolve<A, C>(content: Option<C>, event: &A::Event) -> Option<C>
where
    A: Aggregate + From<Option<C>> + Into<Option<C>>,
{
    A::from(content).evolve(event).into()
}

/// Returns the row after one more event of its stream.
pub fn apply<M: ReadModel>(
    row: Option<Row<M::Content>>,
    event: &Recorded,
) -> Result<Option<Row<M::Content>>, ContractError> {
    let change = event.decode::<Event<M>>()?;
    let (metadata, content) = row.map(|row| (row.metadata, row.content)).unzip();
    Ok(M::apply(content, change, event).map(|content| Row {
        metadata: RowMetadata::after(metadata, event),
        content,
    }))
}
