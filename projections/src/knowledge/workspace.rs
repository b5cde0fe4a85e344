//! The read model of workspaces and their members.

use std::collections::{BTreeMap, HashSet};

use domain::knowledge::workspace::{Role, Workspace, WorkspaceEvent};
use serde::{Deserialize, Serialize};
use store::{Database, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::rows;
use crate::{QueryError, ReadModel, visible};

/// The status of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkspaceStatus {
    Active,
    Archived,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Workspace)]
pub struct WorkspaceContent {
    pub name: String,
    pub status: WorkspaceStatus,
    /// Roles by actor id.
    pub members: BTreeMap<Uuid, Role>,
}

/// A workspace with the role of one of its members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JoinedWorkspace {
    pub id: Uuid,
    pub name: String,
    pub status: WorkspaceStatus,
    pub role: Role,
}

/// Returns the workspaces of a member, the newest first; at most a thousand.
pub async fn joined_by(
    database: &Database,
    product_id: Uuid,
    actor_id: Uuid,
) -> Result<Vec<JoinedWorkspace>, QueryError> {
    const JOINED: &str = "
        select json_build_object('id', id, 'name', name, 'status', status, 'role', members ->> $2)::text
        from workspaces where product_id = $1 and members ? $2
        order by id desc limit 1000";
    rows(database, JOINED, &[&product_id, &actor_id.to_string()]).await
}

pub struct Workspaces;

impl ReadModel for Workspaces {
    const TABLE: &'static str = "workspaces";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/workspace.sql");
    const VISIBLE: &'static str = visible::AS_MEMBER;
    type Of = Workspace;
    type Content = WorkspaceContent;

    fn apply(
        workspace: Option<WorkspaceContent>,
        event: WorkspaceEvent,
        _: &Recorded,
    ) -> Option<WorkspaceContent> {
        Some(match (workspace, event) {
            (_, WorkspaceEvent::Created { name, owner }) => WorkspaceContent {
                name,
                status: WorkspaceStatus::Active,
                members: BTreeMap::from([(owner, Role::Owner)]),
            },
            (None, _) => return None,
            (Some(workspace), WorkspaceEvent::Renamed { name }) => {
                WorkspaceContent { name, ..workspace }
            }
            (Some(workspace), WorkspaceEvent::Archived {}) => WorkspaceContent {
                status: WorkspaceStatus::Archived,
                ..workspace
            },
            (Some(mut workspace), WorkspaceEvent::MemberSet { actor_id, role }) => {
                workspace.members.insert(actor_id, role);
                workspace
            }
            (Some(mut workspace), WorkspaceEvent::MemberRemoved { actor_id }) => {
                workspace.members.remove(&actor_id);
                workspace
            }
        })
    }
}

/// Returns the workspaces of which an actor is a member.
pub async fn of_member(
    database: &Database,
    product_id: Uuid,
    actor_id: Uuid,
) -> Result<HashSet<Uuid>, QueryError> {
    const OF_MEMBER: &str =
        "select to_json(id)::text from workspaces where product_id = $1 and members ? $2::text";
    let found = rows(database, OF_MEMBER, &[&product_id, &actor_id.to_string()]).await?;
    Ok(found.into_iter().collect())
}
