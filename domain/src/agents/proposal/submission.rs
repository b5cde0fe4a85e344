//! Submitted proposals, and the rules for deciding them.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    ByRule, Draft, Effects, ProposalCommand, ProposalEvent, ProposalRefusal, ProposalRule, Stage,
};
use crate::agents::action::{self, Action};
use crate::{Actor, ActorKind, DecisionContext, Violations};

#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    pub draft: Draft,
    pub proposer: Actor,
    /// Id of the actor who controls the proposer's key.
    pub controller: Uuid,
    /// Hash of the actions that approval applies.
    pub actions_hash: String,
    pub edited_actions: Option<Vec<Action>>,
    /// Approvers of the current actions, each with the id of the actor who controls their key.
    pub approvers: BTreeMap<Uuid, Uuid>,
    /// The subjects that the proposal has changed.
    pub applied: Effects,
}

/// Data that an approver gives.
#[derive(Debug, Clone)]
pub struct Approval {
    /// Hash of the actions that the approver has read.
    pub actions_hash: String,
    pub comment: Option<String>,
    /// Actions to apply instead of the proposed ones.
    pub edited_actions: Option<Vec<Action>>,
    /// The rule of the workspace that approves; no person has read the proposal.
    pub by_rule: Option<ByRule>,
}

impl Submission {
    /// Returns the actions that approval applies.
    #[must_use]
    pub fn effective_actions(&self) -> &[Action] {
        self.edited_actions.as_ref().unwrap_or(&self.draft.actions)
    }

    pub(super) fn decide(
        &self,
        stage: &Stage,
        command: ProposalCommand,
        at: &DecisionContext,
    ) -> Result<Vec<ProposalEvent>, ProposalRefusal> {
        let event = match (stage, command) {
            (_, ProposalCommand::Submit(_)) => return Err(ProposalRefusal::Exists),
            (Stage::Approved, ProposalCommand::Complete(effects)) => ProposalEvent::Applied {
                notes: effects.notes,
                tasks: effects.tasks,
                artifacts: effects.artifacts,
            },
            (Stage::Approved, ProposalCommand::Fail { conflicts }) => {
                ProposalEvent::Failed { conflicts }
            }
            (Stage::Pending | Stage::Approved, ProposalCommand::Approve(approval)) => {
                self.approve(approval, at)?
            }
            (Stage::Pending | Stage::Approved, ProposalCommand::Reject { reason }) => {
                self.require_other_person(at, ProposalRule::SelfRejection)?;
                let mut violations = Violations::default();
                violations.require_length(&reason, 1, 10_000, "/reason");
                violations.into_result()?;
                ProposalEvent::Rejected { reason }
            }
            (Stage::Pending | Stage::Approved, ProposalCommand::Withdraw) => {
                self.require_proposer(at)?;
                ProposalEvent::Withdrawn {}
            }
            (Stage::Pending | Stage::Approved, ProposalCommand::Supersede { by }) => {
                self.require_proposer(at)?;
                ProposalEvent::Superseded { by }
            }
            (Stage::Pending | Stage::Approved, ProposalCommand::Expire)
                if self.draft.expires_at.is_some_and(|end| end <= at.now) =>
            {
                ProposalEvent::Expired {}
            }
            // A job that runs too early or too late changes nothing.
            (_, ProposalCommand::Expire) => return Ok(vec![]),
            (Stage::Applied, ProposalCommand::Revert { reason }) => {
                require_person(at)?;
                let mut violations = Violations::default();
                if let Some(reason) = &reason {
                    violations.require_length(reason, 1, 10_000, "/reason");
                }
                violations.into_result()?;
                ProposalEvent::Reverted { reason }
            }
            (stage, ProposalCommand::Revert { .. }) => {
                return Err(ProposalRule::NotApplied(stage.into()).into());
            }
            (stage, _) => return Err(ProposalRule::NotPending(stage.into()).into()),
        };
        Ok(vec![event])
    }

    fn require_proposer(&self, at: &DecisionContext) -> Result<(), ProposalRefusal> {
        if self.proposer.id == at.actor.id {
            Ok(())
        } else {
            Err(ProposalRule::NotProposer.into())
        }
    }

    /// Requires a person other than the proposer.
    fn require_other_person(
        &self,
        at: &DecisionContext,
        own: ProposalRule,
    ) -> Result<(), ProposalRefusal> {
        if self.proposer.id == at.actor.id {
            return Err(own.into());
        }
        require_person(at)
    }

    fn approve(
        &self,
        approval: Approval,
        at: &DecisionContext,
    ) -> Result<ProposalEvent, ProposalRefusal> {
        if approval.by_rule.is_none() {
            self.require_other_person(at, ProposalRule::SelfApproval)?;
        }
        self.require_in_time(at)?;
        if self.actions_hash != approval.actions_hash {
            return Err(ProposalRule::HashMismatch.into());
        }
        if approval.edited_actions.is_none() && self.approvers.contains_key(&at.actor.id) {
            return Err(ProposalRule::AlreadyApproved.into());
        }
        if approval.by_rule.is_none() {
            self.require_independent(at, approval.edited_actions.is_some())?;
        }
        let mut violations = Violations::default();
        if let Some(comment) = &approval.comment {
            violations.require_length(comment, 0, 10_000, "/comment");
        }
        if let Some(actions) = &approval.edited_actions {
            action::check(actions, "/edited_actions", &mut violations);
        }
        violations.into_result()?;
        Ok(ProposalEvent::Approved {
            actions_hash: approval.actions_hash,
            comment: approval.comment,
            edited_actions: approval.edited_actions,
            approver: Some(at.actor),
            controlled_by: at.controlled_by(at.actor),
            by_rule: approval.by_rule,
        })
    }

    /// Requires that nobody controls the keys of two of the people who count. An edit discards earlier approvals.
    fn require_independent(
        &self,
        at: &DecisionContext,
        edits: bool,
    ) -> Result<(), ProposalRefusal> {
        let is_proposers =
            self.proposer.kind == ActorKind::Person && self.controller == at.controller;
        let mut others = self.approvers.values().filter(|_| !edits);
        if is_proposers || others.any(|controller| *controller == at.controller) {
            Err(ProposalRule::NotIndependent.into())
        } else {
            Ok(())
        }
    }

    pub fn require_in_time(&self, at: &DecisionContext) -> Result<(), ProposalRefusal> {
        if self.draft.expires_at.is_some_and(|end| end <= at.now) {
            Err(ProposalRule::Expired.into())
        } else {
            Ok(())
        }
    }

    /// Adds an approval. An edit discards earlier approvals, because those approvers have not read the new actions.
    /// `approver` holds the approver's id and the id of the actor who controls their key.
    pub(super) fn approved_by(
        &mut self,
        approver: Option<(Uuid, Uuid)>,
        edited: Option<&[Action]>,
    ) {
        if let Some(actions) = edited {
            self.edited_actions = Some(actions.to_vec());
            self.actions_hash = action::hash(actions);
            self.approvers.clear();
        }
        self.approvers.extend(approver);
    }

    /// Returns the draft that its proposer submits again with the actions carried over to the current versions.
    pub fn rebase(
        &self,
        id: Uuid,
        stage: &Stage,
        actions: Vec<Action>,
        at: &DecisionContext,
    ) -> Result<Draft, ProposalRefusal> {
        self.require_proposer(at)?;
        let supersedes = match stage {
            Stage::Pending | Stage::Approved => Some(id),
            Stage::Failed => None,
            Stage::Applied
            | Stage::Rejected
            | Stage::Withdrawn
            | Stage::Expired
            | Stage::Superseded
            | Stage::Reverted => return Err(ProposalRule::NotRebasable(stage.into()).into()),
        };
        Ok(Draft {
            actions,
            expires_at: self.draft.expires_at.filter(|end| *end > at.now),
            supersedes,
            rebased_from: Some(id),
            ..self.draft.clone()
        })
    }
}

fn require_person(at: &DecisionContext) -> Result<(), ProposalRefusal> {
    match at.actor.kind {
        ActorKind::Person => Ok(()),
        ActorKind::Agent | ActorKind::Service => Err(ProposalRule::NeedsPerson.into()),
    }
}
