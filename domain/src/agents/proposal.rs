//! Proposals: changes that an agent wants to make and that people decide on.

mod draft;
mod outcome;
mod refusal;
mod submission;

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::Permission;
use crate::agents::action::Action;
use crate::knowledge::workspace::Workspace;
use crate::{Actor, Aggregate, Audience, DecisionContext, RequiredPermission, events};
pub use draft::Draft;
pub use outcome::{Applied, AppliedArtifact, AppliedTask, ByRule, Conflict, Effects};
pub use refusal::{ProposalRefusal, ProposalRule};
pub use submission::{Approval, Submission};

events! {
    /// Events of a proposal.
    pub enum ProposalEvent {
        /// An actor proposed actions, for people to decide.
        Submitted("proposal.submitted", 1) {
            #[serde(flatten)]
            draft: Draft,
            proposer: Actor,
            actions_hash: String,
            /// Id of the actor who controls the proposer's key; none: the proposer.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            controlled_by: Option<Uuid>,
        },
        /// A person, or a rule of the workspace, approved the proposal; `edited_actions` are set if the person changed
        /// the actions first.
        Approved("proposal.approved", 1) {
            actions_hash: String,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            comment: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            edited_actions: Option<Vec<Action>>,
            /// The approver; none in events from before several approvals could be required.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            approver: Option<Actor>,
            /// Id of the actor who controls the approver's key; none: the approver.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            controlled_by: Option<Uuid>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            by_rule: Option<ByRule>,
        },
        /// The actions took effect, in the same append as the last approval that was required.
        Applied("proposal.applied", 1) {
            notes: Vec<Applied>,
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            tasks: Vec<AppliedTask>,
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            artifacts: Vec<AppliedArtifact>,
        },
        /// The proposal was approved, but the subjects of its actions had changed; nothing was applied.
        Failed("proposal.failed", 1) { conflicts: Vec<Conflict> },
        /// A person rejected the proposal.
        Rejected("proposal.rejected", 1) { reason: String },
        /// The proposer withdrew the proposal.
        Withdrawn("proposal.withdrawn", 1) {},
        /// The proposal expired before it was decided.
        Expired("proposal.expired", 1) {},
        /// The proposer replaced the proposal by a newer one, in the same append.
        Superseded("proposal.superseded", 1) { by: Uuid },
        /// The changes of the proposal were reverted, in the same append.
        Reverted("proposal.reverted", 1) {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reason: Option<String>,
        },
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "proposal.", serialize_all = "snake_case")]
pub enum ProposalCommand {
    Submit(Draft),
    Approve(Approval),
    /// Records that the approved actions took effect.
    Complete(Effects),
    /// Records why the approved actions could not take effect.
    Fail {
        conflicts: Vec<Conflict>,
    },
    Reject {
        reason: String,
    },
    Withdraw,
    Expire,
    /// Records that a newer proposal replaces this one.
    Supersede {
        by: Uuid,
    },
    /// Reverts the proposal's changes.
    Revert {
        reason: Option<String>,
    },
}

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Proposal {
    #[default]
    Absent,
    Submitted(Box<Submission>, Stage),
}

/// The stage of a proposal.
#[derive(Debug, Clone, PartialEq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    Pending,
    /// The proposal has an approval and needs more; or its outcome is about to be recorded in the same append.
    Approved,
    Applied,
    Failed,
    Rejected,
    Withdrawn,
    Expired,
    Superseded,
    Reverted,
}

impl Proposal {
    /// Returns the submission if it still waits for a decision.
    #[must_use]
    pub const fn pending(&self) -> Option<&Submission> {
        match self {
            Self::Submitted(submission, Stage::Pending | Stage::Approved) => Some(submission),
            Self::Absent | Self::Submitted(..) => None,
        }
    }

    #[must_use]
    pub const fn submission(&self) -> Option<&Submission> {
        match self {
            Self::Absent => None,
            Self::Submitted(submission, _) => Some(submission),
        }
    }

    fn becomes(mut self, next: Stage) -> Self {
        if let Self::Submitted(_, stage) = &mut self {
            *stage = next;
        }
        self
    }
}

impl Aggregate for Proposal {
    const CATEGORY: &'static str = "proposal";
    const SCOPE: &'static str = "proposals";
    const CHAINED: bool = true;
    const AUDIENCE: Audience = Audience::Members;
    type Command = ProposalCommand;
    type Event = ProposalEvent;
    type Rule = ProposalRule;

    fn evolve(mut self, event: &ProposalEvent) -> Self {
        match event {
            ProposalEvent::Submitted {
                draft,
                proposer,
                actions_hash,
                controlled_by,
            } => {
                let submission = Box::new(Submission {
                    draft: draft.clone(),
                    proposer: *proposer,
                    controller: controlled_by.unwrap_or(proposer.id),
                    actions_hash: actions_hash.clone(),
                    edited_actions: None,
                    approvers: BTreeMap::new(),
                    applied: Effects::default(),
                });
                Self::Submitted(submission, Stage::Pending)
            }
            ProposalEvent::Approved {
                edited_actions,
                approver,
                controlled_by,
                ..
            } => {
                if let Self::Submitted(submission, _) = &mut self {
                    let hands = approver
                        .map(|approver| (approver.id, controlled_by.unwrap_or(approver.id)));
                    submission.approved_by(hands, edited_actions.as_deref());
                }
                self.becomes(Stage::Approved)
            }
            ProposalEvent::Applied {
                notes,
                tasks,
                artifacts,
            } => {
                if let Self::Submitted(submission, _) = &mut self {
                    submission.applied.notes.clone_from(notes);
                    submission.applied.tasks.clone_from(tasks);
                    submission.applied.artifacts.clone_from(artifacts);
                }
                self.becomes(Stage::Applied)
            }
            ProposalEvent::Failed { .. } => self.becomes(Stage::Failed),
            ProposalEvent::Rejected { .. } => self.becomes(Stage::Rejected),
            ProposalEvent::Withdrawn {} => self.becomes(Stage::Withdrawn),
            ProposalEvent::Expired {} => self.becomes(Stage::Expired),
            ProposalEvent::Superseded { .. } => self.becomes(Stage::Superseded),
            ProposalEvent::Reverted { .. } => self.becomes(Stage::Reverted),
        }
    }

    fn decide(
        &self,
        command: ProposalCommand,
        at: &DecisionContext,
    ) -> Result<Vec<ProposalEvent>, ProposalRefusal> {
        match (self, command) {
            (Self::Absent, ProposalCommand::Submit(draft)) => Ok(vec![draft::submit(draft, at)?]),
            (Self::Absent, _) => Err(ProposalRefusal::NotFound),
            (Self::Submitted(submission, stage), command) => submission.decide(stage, command, at),
        }
    }

    fn workspace(&self, _id: Uuid) -> Option<Uuid> {
        self.submission()
            .map(|submission| submission.draft.workspace_id)
    }

    fn agents_may(command: &ProposalCommand) -> bool {
        match command {
            ProposalCommand::Submit(_)
            | ProposalCommand::Withdraw
            | ProposalCommand::Supersede { .. } => true,
            ProposalCommand::Approve(_)
            | ProposalCommand::Complete(_)
            | ProposalCommand::Fail { .. }
            | ProposalCommand::Reject { .. }
            | ProposalCommand::Expire
            | ProposalCommand::Revert { .. } => false,
        }
    }

    fn required_permission(
        &self,
        _id: Uuid,
        command: &ProposalCommand,
        at: &DecisionContext,
    ) -> RequiredPermission {
        let permission = match command {
            ProposalCommand::Submit(draft) => {
                return RequiredPermission::member_of::<Workspace>(
                    draft.workspace_id,
                    Permission::Propose,
                );
            }
            ProposalCommand::Expire if at.actor == Actor::SYSTEM => {
                return RequiredPermission::Product;
            }
            ProposalCommand::Withdraw | ProposalCommand::Supersede { .. } => Permission::Propose,
            ProposalCommand::Approve(_)
            | ProposalCommand::Complete(_)
            | ProposalCommand::Fail { .. }
            | ProposalCommand::Reject { .. }
            | ProposalCommand::Revert { .. }
            | ProposalCommand::Expire => Permission::Write,
        };
        self.submission()
            .map_or(RequiredPermission::Product, |submission| {
                RequiredPermission::member_of::<Workspace>(
                    submission.draft.workspace_id,
                    permission,
                )
            })
    }
}

#[cfg(test)]
#[path = "proposal_tests.rs"]
mod tests;
