//! Proposals and what became of them.

use chrono::{DateTime, Utc};
use domain::agents::proposal::{Action, Applied, Conflict, ProposalEvent};
use domain::{Actor, ContractError};
use serde::{Deserialize, Serialize};
use store::{Database, Position, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::{row, rows};
use crate::{Cursor, List, QueryError, ReadModel, Viewer};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Proposal)]
pub struct ProposalRow {
    pub id: Uuid,
    pub product_id: Uuid,
    pub workspace_id: Uuid,
    pub status: String,
    pub actions: Vec<Action>,
    pub actions_hash: String,
    pub edited_actions: Option<Vec<Action>>,
    pub rationale: String,
    pub confidence: Option<f64>,
    pub model: Option<String>,
    pub run_id: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
    pub proposer: Actor,
    pub decided_by: Option<Actor>,
    pub decided_at: Option<DateTime<Utc>>,
    pub comment: Option<String>,
    pub reason: Option<String>,
    pub notes: Vec<Applied>,
    pub conflicts: Vec<Conflict>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub position: Position,
}

pub struct Proposals;

impl ReadModel for Proposals {
    const NAME: &'static str = "proposal";
    const TABLE: &'static str = "proposals";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/proposal.sql");
    const CATEGORIES: &'static [&'static str] = &["proposal"];
    type Row = ProposalRow;

    fn post(
        row: Option<ProposalRow>,
        event: &Recorded,
    ) -> Result<Option<ProposalRow>, ContractError> {
        let row = match (row, event.decode::<ProposalEvent>()?) {
            (
                _,
                ProposalEvent::Submitted {
                    draft,
                    proposer,
                    actions_hash,
                },
            ) => Some(ProposalRow {
                id: event.stream.id,
                product_id: event.product_id,
                workspace_id: draft.workspace_id,
                status: "pending".into(),
                actions: draft.actions,
                actions_hash,
                edited_actions: None,
                rationale: draft.rationale,
                confidence: draft.confidence,
                model: draft.model,
                run_id: draft.run_id,
                expires_at: draft.expires_at,
                proposer,
                decided_by: None,
                decided_at: None,
                comment: None,
                reason: None,
                notes: vec![],
                conflicts: vec![],
                version: event.version,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                position: event.position,
            }),
            (None, _) => None,
            (
                Some(row),
                ProposalEvent::Approved {
                    comment,
                    edited_actions,
                    ..
                },
            ) => Some(ProposalRow {
                comment,
                edited_actions,
                ..row.decided("approved", event)
            }),
            (Some(row), ProposalEvent::Applied { notes }) => Some(ProposalRow {
                notes,
                ..row.decided("applied", event)
            }),
            (Some(row), ProposalEvent::Failed { conflicts }) => Some(ProposalRow {
                conflicts,
                ..row.decided("failed", event)
            }),
            (Some(row), ProposalEvent::Rejected { reason }) => Some(ProposalRow {
                reason: Some(reason),
                ..row.decided("rejected", event)
            }),
            (Some(row), ProposalEvent::Withdrawn {}) => Some(row.decided("withdrawn", event)),
            (Some(row), ProposalEvent::Expired {}) => Some(row.decided("expired", event)),
        };
        Ok(row.map(|row| ProposalRow {
            version: event.version,
            updated_at: event.recorded_at,
            position: event.position,
            ..row
        }))
    }
}

impl ProposalRow {
    fn decided(self, status: &str, event: &Recorded) -> Self {
        Self {
            status: status.into(),
            decided_by: Some(event.metadata.actor),
            decided_at: Some(event.recorded_at),
            ..self
        }
    }
}

/// A proposal in a workspace that the viewer is a member of.
pub async fn get(
    database: &Database,
    viewer: Viewer,
    id: Uuid,
) -> Result<Option<ProposalRow>, QueryError> {
    const GET: &str = "
        select row_to_json(p)::text from proposals p
        where p.id = $1 and ($2::uuid is null or p.product_id = $2 and exists (
            select from workspaces w where w.id = p.workspace_id and w.members ? $3))";
    let actor = viewer.actor_id.to_string();
    row(database, GET, &[&id, &viewer.product_id, &actor]).await
}

/// Proposals in the viewer's workspaces, newest first.
pub async fn list(
    database: &Database,
    viewer: Viewer,
    workspace_id: Option<Uuid>,
    status: Option<&str>,
    cursor: Cursor,
) -> Result<List<ProposalRow>, QueryError> {
    const LIST: &str = "
        select row_to_json(p)::text from proposals p
        where p.id < $1
            and ($2::uuid is null or p.workspace_id = $2)
            and ($3::text is null or p.status = $3)
            and ($4::uuid is null or p.product_id = $4 and exists (
                select from workspaces w where w.id = p.workspace_id and w.members ? $5))
        order by p.id desc limit $6";
    let actor = viewer.actor_id.to_string();
    let found = rows(
        database,
        LIST,
        &[
            &cursor.from(),
            &workspace_id,
            &status,
            &viewer.product_id,
            &actor,
            &cursor.rows(),
        ],
    )
    .await?;
    Ok(List::of(found, cursor, |row: &ProposalRow| row.id))
}
