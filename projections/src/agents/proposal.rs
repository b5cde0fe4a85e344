//! The read model of proposals and their outcomes.

use chrono::{DateTime, Utc};
use domain::Actor;
use domain::agents::action::{self, Action};
use domain::agents::proposal::{
    Applied, AppliedArtifact, AppliedTask, ByRule, Conflict, Proposal, ProposalEvent,
};
use serde::{Deserialize, Serialize};
use store::Recorded;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{ReadModel, visible};

/// An approval of the current actions of a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GivenApproval {
    pub approver: Actor,
    pub at: DateTime<Utc>,
    pub comment: Option<String>,
    /// Id of the actor who controlled the approver's key; null: the approver.
    #[serde(default)]
    pub controlled_by: Option<Uuid>,
    /// The rule of the workspace's policy that approved. Nobody read the proposal; the approver answers for the rule.
    pub by_rule: Option<ByRule>,
}

/// The status of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProposalStatus {
    Pending,
    Applied,
    Failed,
    Rejected,
    Withdrawn,
    Expired,
    Superseded,
    Reverted,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Proposal)]
pub struct ProposalContent {
    pub workspace_id: Uuid,
    pub status: ProposalStatus,
    pub actions: Vec<Action>,
    /// SHA-256, in hex, of `actions` as compact JSON with sorted keys; an approval repeats it.
    pub actions_hash: String,
    /// The actions that an approver put in place of `actions`; these are applied.
    pub edited_actions: Option<Vec<Action>>,
    /// SHA-256 of `edited_actions`, like `actions_hash`. If it is set, an approval repeats it instead.
    pub edited_hash: Option<String>,
    /// Approvals of the current actions.
    pub approvals: Vec<GivenApproval>,
    pub rationale: String,
    pub confidence: Option<f64>,
    pub model: Option<String>,
    pub run_id: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
    /// The earlier proposal that this one replaces.
    pub supersedes: Option<Uuid>,
    /// The newer proposal that replaces this one.
    pub superseded_by: Option<Uuid>,
    /// The proposal from which this one was rebased onto the current state.
    pub rebased_from: Option<Uuid>,
    pub proposer: Actor,
    pub decided_by: Option<Actor>,
    pub decided_at: Option<DateTime<Utc>>,
    pub comment: Option<String>,
    pub reverted_by: Option<Actor>,
    pub reverted_at: Option<DateTime<Utc>>,
    /// Reason for the rejection or the reversal.
    pub reason: Option<String>,
    /// The notes as the actions left them, in the order of the actions.
    pub notes: Vec<Applied>,
    /// The tasks as the actions left them, in the order of the actions.
    pub tasks: Vec<AppliedTask>,
    /// The artifacts as the actions left them, in the order of the actions.
    pub artifacts: Vec<AppliedArtifact>,
    /// Conflicts that kept the proposal from being applied.
    pub conflicts: Vec<Conflict>,
}

pub struct Proposals;

impl ReadModel for Proposals {
    const TABLE: &'static str = "proposals";
    const VERSION: u32 = 4;
    const DDL: &'static str = include_str!("../../../schema/read/proposal.sql");
    const VISIBLE: &'static str = visible::IN_WORKSPACE;
    type Of = Proposal;
    type Content = ProposalContent;

    fn apply(
        proposal: Option<ProposalContent>,
        event: ProposalEvent,
        envelope: &Recorded,
    ) -> Option<ProposalContent> {
        Some(match (proposal, event) {
            (
                _,
                ProposalEvent::Submitted {
                    draft,
                    proposer,
                    actions_hash,
                    controlled_by: _,
                },
            ) => ProposalContent {
                workspace_id: draft.workspace_id,
                status: ProposalStatus::Pending,
                actions: draft.actions,
                actions_hash,
                edited_actions: None,
                edited_hash: None,
                approvals: vec![],
                rationale: draft.rationale,
                confidence: draft.confidence,
                model: draft.model,
                run_id: draft.run_id,
                expires_at: draft.expires_at,
                supersedes: draft.supersedes,
                rebased_from: draft.rebased_from,
                superseded_by: None,
                proposer,
                decided_by: None,
                decided_at: None,
                comment: None,
                reverted_by: None,
                reverted_at: None,
                reason: None,
                notes: vec![],
                tasks: vec![],
                artifacts: vec![],
                conflicts: vec![],
            },
            (None, _) => return None,
            (
                Some(proposal),
                ProposalEvent::Approved {
                    comment,
                    edited_actions,
                    approver,
                    controlled_by,
                    by_rule,
                    ..
                },
            ) => {
                let approval = GivenApproval {
                    approver: approver.unwrap_or(envelope.metadata.actor),
                    at: envelope.recorded_at,
                    comment,
                    controlled_by,
                    by_rule,
                };
                proposal.approved(approval, edited_actions)
            }
            (
                Some(proposal),
                ProposalEvent::Applied {
                    notes,
                    tasks,
                    artifacts,
                },
            ) => ProposalContent {
                notes,
                tasks,
                artifacts,
                ..proposal
                    .decided(ProposalStatus::Applied, envelope)
                    .by_the_last_approver()
            },
            (Some(proposal), ProposalEvent::Failed { conflicts }) => ProposalContent {
                conflicts,
                ..proposal
                    .decided(ProposalStatus::Failed, envelope)
                    .by_the_last_approver()
            },
            (Some(proposal), ProposalEvent::Rejected { reason }) => ProposalContent {
                reason: Some(reason),
                ..proposal.decided(ProposalStatus::Rejected, envelope)
            },
            (Some(proposal), ProposalEvent::Withdrawn {}) => {
                proposal.decided(ProposalStatus::Withdrawn, envelope)
            }
            (Some(proposal), ProposalEvent::Expired {}) => {
                proposal.decided(ProposalStatus::Expired, envelope)
            }
            (Some(proposal), ProposalEvent::Superseded { by }) => ProposalContent {
                superseded_by: Some(by),
                ..proposal.decided(ProposalStatus::Superseded, envelope)
            },
            (Some(proposal), ProposalEvent::Reverted { reason }) => ProposalContent {
                status: ProposalStatus::Reverted,
                reverted_by: Some(envelope.metadata.actor),
                reverted_at: Some(envelope.recorded_at),
                reason,
                ..proposal
            },
        })
    }
}

impl ProposalContent {
    /// Adds an approval. Edited actions clear all earlier approvals, which were given to other actions.
    fn approved(mut self, approval: GivenApproval, edited: Option<Vec<Action>>) -> Self {
        if let Some(actions) = edited {
            self.edited_hash = Some(action::hash(&actions));
            self.edited_actions = Some(actions);
            self.approvals.clear();
        }
        self.comment.clone_from(&approval.comment);
        self.approvals.push(approval);
        self
    }

    /// Names the last approver as the decider: if a rule decided, the actor who answers for it.
    fn by_the_last_approver(mut self) -> Self {
        if let Some(last) = self.approvals.last() {
            self.decided_by = Some(last.approver);
        }
        self
    }

    fn decided(self, status: ProposalStatus, envelope: &Recorded) -> Self {
        Self {
            status,
            decided_by: Some(envelope.metadata.actor),
            decided_at: Some(envelope.recorded_at),
            ..self
        }
    }
}
