//! A proposal as agents are told of it: where it stands, not what it says; they know that.

use chrono::{DateTime, Utc};
use domain::agents::proposal::{Applied, AppliedArtifact, AppliedTask, Conflict};
use projections::Row;
use projections::agents::proposal::ProposalContent;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::agents::preview::Preview;

/// Where a proposal stands.
#[derive(Serialize, ToSchema)]
pub struct ProposalState {
    proposal_id: Uuid,
    workspace_id: Uuid,
    version: i64,
    /// `pending`, `applied`, `failed`, `rejected`, `withdrawn`, `expired`, `superseded` or `reverted`.
    status: String,
    /// Of the actions as they were submitted: what an approval names.
    actions_hash: String,
    /// Undecided until then, it expires.
    expires_at: Option<DateTime<Utc>>,
    decided_at: Option<DateTime<Utc>>,
    /// What was said to the decision.
    comment: Option<String>,
    /// Why it was rejected.
    reason: Option<String>,
    /// Whether the approver changed it before it was applied.
    edited: bool,
    superseded_by: Option<Uuid>,
    /// The notes as it has left them.
    notes: Vec<Applied>,
    /// The tasks, likewise.
    tasks: Vec<AppliedTask>,
    /// The artifacts, likewise.
    artifacts: Vec<AppliedArtifact>,
    /// What stood in its way.
    conflicts: Vec<Conflict>,
    /// What approval would do now; while it is pending, and asked for alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<Preview>,
}

impl ProposalState {
    pub fn with_preview(self, preview: Option<Preview>) -> Self {
        Self { preview, ..self }
    }
}

impl From<Row<ProposalContent>> for ProposalState {
    fn from(row: Row<ProposalContent>) -> Self {
        let proposal = row.content;
        Self {
            proposal_id: row.metadata.id,
            workspace_id: proposal.workspace_id,
            version: row.metadata.version,
            status: proposal.status,
            actions_hash: proposal.actions_hash,
            expires_at: proposal.expires_at,
            decided_at: proposal.decided_at,
            comment: proposal.comment,
            reason: proposal.reason,
            edited: proposal.edited_actions.is_some(),
            superseded_by: proposal.superseded_by,
            notes: proposal.notes,
            tasks: proposal.tasks,
            artifacts: proposal.artifacts,
            conflicts: proposal.conflicts,
            preview: None,
        }
    }
}
