//! API keys by the hashes under which they are presented.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::identity::api_key::ApiKeyEvent;
use domain::{ActorKind, ContractError};
use serde::{Deserialize, Serialize};
use store::{Database, Position, Recorded};
use uuid::Uuid;

use crate::query::{row, rows};
use crate::{Cursor, List, QueryError, ReadModel, Viewer};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiKeyRow {
    pub id: Uuid,
    pub product_id: Uuid,
    pub name: String,
    pub actor_kind: ActorKind,
    pub actor_id: Uuid,
    pub scopes: BTreeSet<String>,
    pub status: String,
    pub sha256: String,
    pub previous_sha256: Option<String>,
    pub previous_valid_until: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub created_by: Uuid,
    pub position: Position,
}

pub struct ApiKeys;

impl ReadModel for ApiKeys {
    const NAME: &'static str = "api_key";
    const TABLE: &'static str = "api_keys";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/api_key.sql");
    const CATEGORIES: &'static [&'static str] = &["api_key"];
    type Row = ApiKeyRow;

    fn post(row: Option<ApiKeyRow>, event: &Recorded) -> Result<Option<ApiKeyRow>, ContractError> {
        let row = match (row, event.decode::<ApiKeyEvent>()?) {
            (
                _,
                ApiKeyEvent::Issued {
                    name,
                    actor,
                    scopes,
                    sha256,
                },
            ) => Some(ApiKeyRow {
                id: event.stream.id,
                product_id: event.product_id,
                name,
                actor_kind: actor.kind,
                actor_id: actor.id,
                scopes,
                status: "active".into(),
                sha256,
                previous_sha256: None,
                previous_valid_until: None,
                version: event.version,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                created_by: event.metadata.actor.id,
                position: event.position,
            }),
            (None, _) => None,
            (
                Some(row),
                ApiKeyEvent::Rotated {
                    sha256,
                    previous_valid_until,
                },
            ) => Some(ApiKeyRow {
                previous_sha256: Some(row.sha256),
                sha256,
                previous_valid_until: Some(previous_valid_until),
                ..row
            }),
            (Some(row), ApiKeyEvent::Revoked {}) => Some(ApiKeyRow {
                status: "revoked".into(),
                ..row
            }),
        };
        Ok(row.map(|row| ApiKeyRow {
            version: event.version,
            updated_at: event.recorded_at,
            position: event.position,
            ..row
        }))
    }
}

/// The key with this hash, current or previous, revoked or not.
pub async fn by_hash(database: &Database, sha256: &str) -> Result<Option<ApiKeyRow>, QueryError> {
    const BY_HASH: &str = "
        select row_to_json(k)::text from api_keys k where sha256 = $1 or previous_sha256 = $1";
    row(database, BY_HASH, &[&sha256]).await
}

/// A key of the viewer's product.
pub async fn get(
    database: &Database,
    viewer: Viewer,
    id: Uuid,
) -> Result<Option<ApiKeyRow>, QueryError> {
    const GET: &str = "
        select row_to_json(k)::text from api_keys k
        where id = $1 and ($2::uuid is null or product_id = $2)";
    row(database, GET, &[&id, &viewer.product_id]).await
}

/// The keys of the viewer's product, newest first.
pub async fn list(
    database: &Database,
    viewer: Viewer,
    cursor: Cursor,
) -> Result<List<ApiKeyRow>, QueryError> {
    const LIST: &str = "
        select row_to_json(k)::text from api_keys k
        where id < $1 and ($2::uuid is null or product_id = $2) order by id desc limit $3";
    let found = rows(
        database,
        LIST,
        &[&cursor.from(), &viewer.product_id, &cursor.rows()],
    )
    .await?;
    Ok(List::of(found, cursor, |row: &ApiKeyRow| row.id))
}
