//! Products.

use chrono::{DateTime, Utc};
use domain::ContractError;
use domain::identity::product::ProductEvent;
use serde::{Deserialize, Serialize};
use store::{Database, Position, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::{row, rows};
use crate::{Cursor, List, QueryError, ReadModel, Viewer};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Product)]
pub struct ProductRow {
    pub id: Uuid,
    pub name: String,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub position: Position,
}

pub struct Products;

impl ReadModel for Products {
    const NAME: &'static str = "product";
    const TABLE: &'static str = "products";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/product.sql");
    const CATEGORIES: &'static [&'static str] = &["product"];
    type Row = ProductRow;

    fn post(_: Option<ProductRow>, event: &Recorded) -> Result<Option<ProductRow>, ContractError> {
        Ok(match event.decode::<ProductEvent>()? {
            ProductEvent::Created { name } => Some(ProductRow {
                id: event.stream.id,
                name,
                version: event.version,
                created_at: event.recorded_at,
                position: event.position,
            }),
        })
    }
}

/// A product, if it is the viewer's own.
pub async fn get(
    database: &Database,
    viewer: Viewer,
    id: Uuid,
) -> Result<Option<ProductRow>, QueryError> {
    const GET: &str = "
        select row_to_json(p)::text from products p where id = $1 and ($2::uuid is null or id = $2)";
    row(database, GET, &[&id, &viewer.product_id]).await
}

/// The viewer's own product; every product for the operator, newest first.
pub async fn list(
    database: &Database,
    viewer: Viewer,
    cursor: Cursor,
) -> Result<List<ProductRow>, QueryError> {
    const LIST: &str = "
        select row_to_json(p)::text from products p
        where id < $1 and ($2::uuid is null or id = $2) order by id desc limit $3";
    let found = rows(
        database,
        LIST,
        &[&cursor.from(), &viewer.product_id, &cursor.rows()],
    )
    .await?;
    Ok(List::of(found, cursor, |row: &ProductRow| row.id))
}
