//! Workspaces and their members as they are now.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::ContractError;
use domain::knowledge::workspace::{Role, WorkspaceEvent};
use serde::{Deserialize, Serialize};
use store::{Database, Position, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::{row, rows};
use crate::{Cursor, List, QueryError, ReadModel, Viewer};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Workspace)]
pub struct WorkspaceRow {
    pub id: Uuid,
    pub product_id: Uuid,
    pub name: String,
    pub status: String,
    pub members: BTreeMap<Uuid, Role>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub created_by: Uuid,
    pub position: Position,
}

pub struct Workspaces;

impl ReadModel for Workspaces {
    const NAME: &'static str = "workspace";
    const TABLE: &'static str = "workspaces";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/workspace.sql");
    const CATEGORIES: &'static [&'static str] = &["workspace"];
    type Row = WorkspaceRow;

    fn post(
        row: Option<WorkspaceRow>,
        event: &Recorded,
    ) -> Result<Option<WorkspaceRow>, ContractError> {
        let row = match (row, event.decode::<WorkspaceEvent>()?) {
            (_, WorkspaceEvent::Created { name, owner }) => Some(WorkspaceRow {
                id: event.stream.id,
                product_id: event.product_id,
                name,
                status: "active".into(),
                members: BTreeMap::from([(owner, Role::Owner)]),
                version: event.version,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                created_by: event.metadata.actor.id,
                position: event.position,
            }),
            (None, _) => None,
            (Some(row), WorkspaceEvent::Renamed { name }) => Some(WorkspaceRow { name, ..row }),
            (Some(row), WorkspaceEvent::Archived {}) => Some(WorkspaceRow {
                status: "archived".into(),
                ..row
            }),
            (Some(mut row), WorkspaceEvent::MemberSet { actor_id, role }) => {
                row.members.insert(actor_id, role);
                Some(row)
            }
            (Some(mut row), WorkspaceEvent::MemberRemoved { actor_id }) => {
                row.members.remove(&actor_id);
                Some(row)
            }
        };
        Ok(row.map(|row| WorkspaceRow {
            version: event.version,
            updated_at: event.recorded_at,
            position: event.position,
            ..row
        }))
    }
}

/// A workspace that the viewer is a member of.
pub async fn get(
    database: &Database,
    viewer: Viewer,
    id: Uuid,
) -> Result<Option<WorkspaceRow>, QueryError> {
    const GET: &str = "
        select row_to_json(w)::text from workspaces w
        where w.id = $1 and ($2::uuid is null or w.product_id = $2 and w.members ? $3)";
    let actor = viewer.actor_id.to_string();
    row(database, GET, &[&id, &viewer.product_id, &actor]).await
}

/// Workspaces that the viewer is a member of, newest first.
pub async fn list(
    database: &Database,
    viewer: Viewer,
    cursor: Cursor,
) -> Result<List<WorkspaceRow>, QueryError> {
    const LIST: &str = "
        select row_to_json(w)::text from workspaces w
        where w.id < $1 and ($2::uuid is null or w.product_id = $2 and w.members ? $3)
        order by w.id desc limit $4";
    let actor = viewer.actor_id.to_string();
    let found = rows(
        database,
        LIST,
        &[&cursor.from(), &viewer.product_id, &actor, &cursor.rows()],
    )
    .await?;
    Ok(List::of(found, cursor, |row: &WorkspaceRow| row.id))
}
