//! Notes as they are now.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::ContractError;
use domain::knowledge::note::NoteEvent;
use serde::{Deserialize, Serialize};
use store::{Database, Position, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::{row, rows};
use crate::{Cursor, List, QueryError, ReadModel, Viewer};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Note)]
pub struct NoteRow {
    pub id: Uuid,
    pub product_id: Uuid,
    pub workspace_id: Uuid,
    pub title: String,
    pub body: String,
    pub tags: BTreeSet<String>,
    pub status: String,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub created_by: Uuid,
    pub position: Position,
}

pub struct Notes;

impl ReadModel for Notes {
    const NAME: &'static str = "note";
    const TABLE: &'static str = "notes";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/note.sql");
    const CATEGORIES: &'static [&'static str] = &["note"];
    type Row = NoteRow;

    fn post(row: Option<NoteRow>, event: &Recorded) -> Result<Option<NoteRow>, ContractError> {
        let change = event.decode::<NoteEvent>()?;
        let row = match (row, change) {
            (
                _,
                NoteEvent::Created {
                    workspace_id,
                    title,
                    body,
                    tags,
                },
            ) => Some(NoteRow {
                id: event.stream.id,
                product_id: event.product_id,
                workspace_id,
                title,
                body,
                tags,
                status: "active".into(),
                version: event.version,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                created_by: event.metadata.actor.id,
                position: event.position,
            }),
            (None, _) | (_, NoteEvent::Purged {}) => None,
            (Some(row), NoteEvent::Revised { title, body }) => Some(NoteRow {
                title: title.unwrap_or(row.title),
                body: body.unwrap_or(row.body),
                ..row
            }),
            (Some(mut row), NoteEvent::Tagged { added, removed }) => {
                row.tags.retain(|tag| !removed.contains(tag));
                row.tags.extend(added);
                Some(row)
            }
            (Some(row), NoteEvent::Archived {}) => Some(row.moved("archived")),
            (Some(row), NoteEvent::Trashed {}) => Some(row.moved("trashed")),
            (Some(row), NoteEvent::Restored {}) => Some(row.moved("active")),
        };
        Ok(row.map(|row| NoteRow {
            version: event.version,
            updated_at: event.recorded_at,
            position: event.position,
            ..row
        }))
    }
}

impl NoteRow {
    fn moved(self, status: &str) -> Self {
        Self {
            status: status.into(),
            ..self
        }
    }
}

/// A note that the viewer may read.
pub async fn get(
    database: &Database,
    viewer: Viewer,
    id: Uuid,
) -> Result<Option<NoteRow>, QueryError> {
    const GET: &str = "
        select row_to_json(n)::text from notes n
        where n.id = $1 and ($2::uuid is null or n.product_id = $2 and exists (
            select from workspaces w where w.id = n.workspace_id and w.members ? $3))";
    let actor = viewer.actor_id.to_string();
    row(database, GET, &[&id, &viewer.product_id, &actor]).await
}

/// Which notes a list shows.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub workspace_id: Option<Uuid>,
    pub tag: Option<String>,
    pub status: Option<String>,
}

/// Notes that the viewer may read, newest first.
pub async fn list(
    database: &Database,
    viewer: Viewer,
    wanted: &Wanted,
    cursor: Cursor,
) -> Result<List<NoteRow>, QueryError> {
    const LIST: &str = "
        select row_to_json(n)::text from notes n
        where n.id < $1
            and ($2::uuid is null or n.workspace_id = $2)
            and ($3::text is null or n.tags @> array[$3])
            and ($4::text is null or n.status = $4)
            and ($5::uuid is null or n.product_id = $5 and exists (
                select from workspaces w where w.id = n.workspace_id and w.members ? $6))
        order by n.id desc limit $7";
    let actor = viewer.actor_id.to_string();
    let found = rows(
        database,
        LIST,
        &[
            &cursor.from(),
            &wanted.workspace_id,
            &wanted.tag,
            &wanted.status,
            &viewer.product_id,
            &actor,
            &cursor.rows(),
        ],
    )
    .await?;
    Ok(List::of(found, cursor, |note: &NoteRow| note.id))
}
