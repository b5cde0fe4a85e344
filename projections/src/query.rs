//! Queries on any read model: one row, or a page of rows, limited to those that the viewer may see.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;

use bytes::BytesMut;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{Database, SessionError};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::read_model::{ReadModel, Row};

/// Conditions for who may see a row `t`: `$2` is the viewer's product (null: the operator, who sees all), `$3` the viewer's actor.
pub mod visible {
    /// Visible to everybody in its product.
    pub const IN_PRODUCT: &str = "($2::uuid is null or $3::text is not null and t.product_id = $2)";
    /// Visible to the members of its workspace.
    ///
    /// It uses `limit` because PostgreSQL may turn an `exists` into a hash of all workspaces.
    pub const IN_WORKSPACE: &str = "($2::uuid is null or t.product_id = $2 and (
        select true from workspaces w where w.id = t.workspace_id and w.members ? $3::text limit 1))";
    /// Visible to the members of the row itself, which is a workspace.
    pub const AS_MEMBER: &str = "($2::uuid is null or t.product_id = $2 and t.members ? $3::text)";
}

/// Reasons why a read model could not be read.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// No session was available.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The database refused a statement.
    #[error("database: {}", store::describe(.0))]
    Database(#[from] tokio_postgres::Error),
    /// A row does not have the shape that this build expects; its read model is being rebuilt.
    #[error("the read model is not of this version: {0}")]
    Shape(#[from] serde_json::Error),
}

impl QueryError {
    /// Returns true if the database is temporarily unavailable: the same query may succeed later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Session(_) => true,
            Self::Shape(_) => false,
            Self::Database(error) => store::is_unavailable(error),
        }
    }
}

/// The actor who reads a read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// None: the operator, who sees every product and workspace.
    pub product_id: Option<Uuid>,
    pub actor_id: Uuid,
}

/// The start and the length of a page.
#[derive(Debug, Clone, Copy)]
pub struct Cursor {
    /// The last id of the previous page.
    pub before: Option<Uuid>,
    pub limit: usize,
}

/// The order of a list, and the condition for the start of a page.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// The cursor of the first page.
    pub begin: Uuid,
    /// Condition that is true if a row `t` comes after the last row of the previous page, which is `$1`.
    pub after: &'static str,
    pub by: &'static str,
}

/// The default order of lists.
pub const NEWEST_FIRST: Order = Order {
    begin: Uuid::max(),
    after: "t.id < $1",
    by: "t.id desc",
};

/// A page of a list, newest first unless the operation states another order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Cursor of the next page; null: this is the last one.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// Returns the same list with a cursor that the caller makes from the last id of the page.
    #[must_use]
    pub fn sealed(self, cursor: impl FnOnce(String) -> String) -> Self {
        Self {
            next_cursor: self.next_cursor.map(cursor),
            ..self
        }
    }
}

/// Conditions on the rows `t` of a list.
#[derive(Default)]
pub struct Where {
    conditions: Vec<Condition>,
}

struct Condition {
    sql: Cow<'static, str>,
    /// The value of the condition's `?`.
    value: Option<Box<dyn ToSql + Sync + Send>>,
}

impl Where {
    /// Adds a condition if there is a value for its `?`.
    #[must_use]
    pub fn and<T: ToSql + Sync + Send + 'static>(
        mut self,
        sql: &'static str,
        value: Option<T>,
    ) -> Self {
        self.conditions.extend(value.map(|value| Condition {
            sql: sql.into(),
            value: Some(Box::new(value)),
        }));
        self
    }

    /// Adds a condition without a value, if there is one. An index can be made for such a condition.
    #[must_use]
    pub fn and_only(mut self, sql: Option<&'static str>) -> Self {
        self.conditions.extend(sql.map(|sql| Condition {
            sql: sql.into(),
            value: None,
        }));
        self
    }

    /// Adds the condition that a column of any type has a value, given as PostgreSQL would read it.
    #[must_use]
    pub fn equals(mut self, column: &str, value: String) -> Self {
        self.conditions.push(Condition {
            sql: format!("t.{column} = ?").into(),
            value: Some(Box::new(AsText(value))),
        });
        self
    }
}

/// A parameter that is sent as text, whatever type the statement gives it.
#[derive(Debug)]
struct AsText(String);

impl ToSql for AsText {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// Returns one row, if the viewer may see it.
pub async fn get<M: ReadModel>(
    database: &Database,
    viewer: Viewer,
    id: Uuid,
) -> Result<Option<Row<M::Content>>, QueryError> {
    get_where::<M>(database, M::VISIBLE, viewer, id).await
}

/// Returns one row, if the viewer may see it by one of the conditions in [`visible`].
pub async fn get_where<M: ReadModel>(
    database: &Database,
    visible: &'static str,
    viewer: Viewer,
    id: Uuid,
) -> Result<Option<Row<M::Content>>, QueryError> {
    let sql = format!(
        "select row_to_json(t)::text from {} t where t.id = $1 and {visible}",
        M::TABLE,
    );
    let actor = viewer.actor_id.to_string();
    let found = rows(database, &sql, &[&id, &viewer.product_id, &actor]).await?;
    Ok(found.into_iter().next())
}

/// Returns a page of the rows that the viewer may see.
pub async fn list<M: ReadModel>(
    database: &Database,
    viewer: Viewer,
    wanted: Where,
    order: Order,
    cursor: Cursor,
) -> Result<List<Row<M::Content>>, QueryError> {
    list_where::<M>(database, M::VISIBLE, viewer, wanted, order, cursor).await
}

/// Returns a page of the rows that the viewer may see by one of the conditions in [`visible`].
pub async fn list_where<M: ReadModel>(
    database: &Database,
    visible: &'static str,
    viewer: Viewer,
    wanted: Where,
    order: Order,
    cursor: Cursor,
) -> Result<List<Row<M::Content>>, QueryError> {
    let rows = Rows {
        shown: "row_to_json(t)",
        table: M::TABLE,
        visible,
    };
    let id = |row: &Row<M::Content>| row.metadata.id;
    page(database, &rows, viewer, wanted, order, cursor, id).await
}

/// A source of rows `t`: the JSON to show, the table, and the visibility condition.
pub(crate) struct Rows {
    pub shown: &'static str,
    pub table: &'static str,
    pub visible: &'static str,
}

/// Returns a page of the rows that the viewer may see.
pub(crate) async fn page<T: DeserializeOwned>(
    database: &Database,
    Rows {
        shown,
        table,
        visible,
    }: &Rows,
    viewer: Viewer,
    wanted: Where,
    order: Order,
    cursor: Cursor,
    id: impl Fn(&T) -> Uuid,
) -> Result<List<T>, QueryError> {
    let after = order.after;
    let mut sql = format!("select ({shown})::text from {table} t where {after} and {visible}");
    let before = cursor.before.unwrap_or(order.begin);
    let actor = viewer.actor_id.to_string();
    // One more than is shown tells if there are more.
    let limit = i64::try_from(cursor.limit).unwrap_or(i64::MAX - 1) + 1;
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![&before, &viewer.product_id, &actor, &limit];
    for Condition {
        sql: condition,
        value,
    } in &wanted.conditions
    {
        if let Some(value) = value {
            params.push(value.as_ref());
        }
        let placeholder = format!("${}", params.len());
        let _ = write!(sql, " and {}", condition.replace('?', &placeholder));
    }
    let _ = write!(sql, " order by {} limit $4", order.by);
    let mut items: Vec<T> = rows(database, &sql, &params).await?;
    let more = items.len() > cursor.limit;
    items.truncate(cursor.limit);
    Ok(List {
        next_cursor: items
            .last()
            .filter(|_| more)
            .map(|last| id(last).simple().to_string()),
        items,
    })
}

/// Returns the rows of a statement whose one column is JSON.
pub(crate) async fn rows<T: DeserializeOwned>(
    database: &Database,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<T>, QueryError> {
    let mut query = database.query();
    let found = async {
        let noticed = |error| database.noticed(error);
        let session = query.begin().await?;
        let statement = session.prepare_cached(sql).await.map_err(noticed)?;
        let rows = session.query(&statement, params).await;
        Ok::<_, QueryError>(rows.map_err(noticed)?)
    };
    let found = found.await;
    query.end();
    found?
        .iter()
        .map(|row| Ok(serde_json::from_str(row.get(0))?))
        .collect()
}
