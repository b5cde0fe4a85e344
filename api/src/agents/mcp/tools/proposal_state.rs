//! A proposal as agents see it: its state without its content, which they already know.

use chrono::{DateTime, Utc};
use domain::agents::proposal::{Applied, AppliedArtifact, AppliedTask, Conflict};
use projections::Row;
use projections::agents::proposal::{ProposalContent, ProposalStatus};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::agents::preview::Preview;

/// The state of a proposal.
#[derive(Serialize, ToSchema)]
pub struct ProposalState {
    proposal_id: Uuid,
    workspace_id: Uuid,
    version: i64,
    status: ProposalStatus,
    /// Hash of the actions as submitted; an approval names it.
    actions_hash: String,
    /// Time at which the proposal expires if it is still undecided.
    expires_at: Option<DateTime<Utc>>,
    decided_at: Option<DateTime<Utc>>,
    /// Comment on the decision.
    comment: Option<String>,
    /// Reason for the rejection.
    reason: Option<String>,
    /// True if the approver edited the proposal before it was applied.
    edited: bool,
    superseded_by: Option<Uuid>,
    /// Notes as the proposal left them.
    notes: Vec<Applied>,
    /// Tasks as the proposal left them.
    tasks: Vec<AppliedTask>,
    /// Artifacts as the proposal left them.
    artifacts: Vec<AppliedArtifact>,
    /// Conflicts that kept the proposal from being applied.
    conflicts: Vec<Conflict>,
    /// The effect that approval would have now; only for a single, pending proposal.
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
