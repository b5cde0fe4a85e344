//! What was submitted, and who may decide it how.

use super::{Applied, Draft, ProposalCommand, ProposalEvent, ProposalRefusal, Stage};
use crate::agents::action::{self, Action};
use crate::{Actor, ActorKind, Moment, Violations};

#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    pub draft: Draft,
    pub proposer: Actor,
    pub actions_hash: String,
    pub edited_actions: Option<Vec<Action>>,
    /// What it has changed.
    pub applied: Vec<Applied>,
}

impl Submission {
    /// The actions that approval applies.
    #[must_use]
    pub fn effective_actions(&self) -> &[Action] {
        self.edited_actions.as_ref().unwrap_or(&self.draft.actions)
    }

    pub(super) fn decide(
        &self,
        stage: &Stage,
        command: ProposalCommand,
        at: &Moment,
    ) -> Result<Vec<ProposalEvent>, ProposalRefusal> {
        let event = match (stage, command) {
            (_, ProposalCommand::Submit(_)) => return Err(ProposalRefusal::Exists),
            (Stage::Approved, ProposalCommand::Complete { notes }) => {
                ProposalEvent::Applied { notes }
            }
            (Stage::Approved, ProposalCommand::Fail { conflicts }) => {
                ProposalEvent::Failed { conflicts }
            }
            (
                Stage::Pending,
                ProposalCommand::Approve {
                    actions_hash,
                    comment,
                    edited_actions,
                },
            ) => self.approve(actions_hash, comment, edited_actions, at)?,
            (Stage::Pending, ProposalCommand::Reject { reason }) => {
                self.require_other_person(at, ProposalRefusal::SelfRejection)?;
                let mut violations = Violations::default();
                violations.require_length(&reason, 1, 10_000, "/reason");
                violations.into_result()?;
                ProposalEvent::Rejected { reason }
            }
            (Stage::Pending, ProposalCommand::Withdraw) => {
                self.require_proposer(at)?;
                ProposalEvent::Withdrawn {}
            }
            (Stage::Pending, ProposalCommand::Supersede { by }) => {
                self.require_proposer(at)?;
                ProposalEvent::Superseded { by }
            }
            (Stage::Pending, ProposalCommand::Expire)
                if self.draft.expires_at.is_some_and(|end| end <= at.now) =>
            {
                ProposalEvent::Expired {}
            }
            // Due work that comes early or late has nothing to do.
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
                return Err(ProposalRefusal::NotApplied(stage.into()));
            }
            (stage, _) => return Err(ProposalRefusal::NotPending(stage.into())),
        };
        Ok(vec![event])
    }

    fn require_proposer(&self, at: &Moment) -> Result<(), ProposalRefusal> {
        if self.proposer.id == at.actor.id {
            Ok(())
        } else {
            Err(ProposalRefusal::NotProposer)
        }
    }

    /// Four eyes, two of them human.
    fn require_other_person(
        &self,
        at: &Moment,
        own: ProposalRefusal,
    ) -> Result<(), ProposalRefusal> {
        if self.proposer.id == at.actor.id {
            return Err(own);
        }
        require_person(at)
    }

    fn approve(
        &self,
        actions_hash: String,
        comment: Option<String>,
        edited_actions: Option<Vec<Action>>,
        at: &Moment,
    ) -> Result<ProposalEvent, ProposalRefusal> {
        self.require_other_person(at, ProposalRefusal::SelfApproval)?;
        if self.draft.expires_at.is_some_and(|end| end <= at.now) {
            return Err(ProposalRefusal::Expired);
        }
        if self.actions_hash != actions_hash {
            return Err(ProposalRefusal::HashMismatch);
        }
        let mut violations = Violations::default();
        if let Some(comment) = &comment {
            violations.require_length(comment, 0, 10_000, "/comment");
        }
        if let Some(actions) = &edited_actions {
            action::check(actions, "/edited_actions", &mut violations);
        }
        violations.into_result()?;
        Ok(ProposalEvent::Approved {
            actions_hash,
            comment,
            edited_actions,
        })
    }
}

fn require_person(at: &Moment) -> Result<(), ProposalRefusal> {
    match at.actor.kind {
        ActorKind::Person => Ok(()),
        ActorKind::Agent | ActorKind::Service => Err(ProposalRefusal::NeedsPerson),
    }
}
