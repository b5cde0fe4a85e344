//! Approval of proposals. A proposal is applied in the same append as the last approval that it needs.

use async_trait::async_trait;
use domain::agents::policy::{Policy, PolicyRule};
use domain::agents::proposal::{
    Approval, Conflict, Proposal, ProposalCommand, ProposalRefusal, Submission,
};
use domain::{Actor, Aggregate, StreamId};
use uuid::Uuid;

use super::change_set::{ChangeSet, require_possible};
use super::governance;
use crate::{CommandError, Handler, UnitOfWork};

/// Approves a proposal. If no more approvals are missing, the proposal is applied, or its conflicts are recorded.
pub struct Approve {
    pub id: Uuid,
    pub approval: Approval,
    /// Ids for new subjects, one for each possible action.
    pub new_ids: Vec<Uuid>,
}

#[async_trait]
impl Handler for Approve {
    fn name(&self) -> String {
        "proposal.approve".into()
    }

    fn context(&self) -> &'static str {
        Proposal::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Proposal>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let submission = approve(work, self.id, self.approval.clone()).await?;
        let policy = governance::policy(work, submission.draft.workspace_id).await?;
        governance::require_approvable(work, &policy, &submission).await?;
        let approver = work.request().actor.id;
        let role = governance::role(work, submission.draft.workspace_id, approver).await?;
        if !policy.is_approver(approver, role) {
            return Err(CommandError::refused(PolicyRule::NotApprover));
        }
        if governance::missing_approvals(work, &policy, &submission).await? > 0 {
            return Ok(());
        }
        let before = work.staged();
        let proposer = submission.proposer;
        let outcome = match apply(work, &policy, &submission, proposer, &self.new_ids).await? {
            Ok(complete) => complete,
            Err(conflicts) => {
                // An approver who has edited the actions can edit them again.
                if self.approval.edited_actions.is_some() {
                    require_possible(&conflicts)?;
                }
                work.discard(before)?;
                ProposalCommand::Fail { conflicts }
            }
        };
        work.decide::<Proposal>(self.id, outcome).await?;
        Ok(())
    }
}

/// Records an approval, which becomes the cause of the events that follow.
pub(super) async fn approve(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    approval: Approval,
) -> Result<Submission, CommandError> {
    let approve = ProposalCommand::Approve(approval);
    let approved = work.decide::<Proposal>(id, approve).await?;
    work.caused_by(approved.last().copied());
    let proposal = work.load::<Proposal>(id).await?;
    let submission = proposal.state.submission().cloned();
    submission.ok_or_else(|| CommandError::refused(ProposalRefusal::NotFound))
}

/// Carries out the approved actions on behalf of `interest`; returns the command that records the result, or the
/// conflicts.
pub(super) async fn apply(
    work: &mut UnitOfWork<'_>,
    policy: &Policy,
    submission: &Submission,
    interest: Actor,
    new_ids: &[Uuid],
) -> Result<Result<ProposalCommand, Vec<Conflict>>, CommandError> {
    work.on_behalf_of(interest, submission.draft.rationale.clone());
    let change_set = ChangeSet {
        workspace_id: submission.draft.workspace_id,
        actions: submission.effective_actions(),
        new_ids,
        merging: policy.rules.merge,
    };
    let (effects, conflicts) = change_set.carry_out(work).await?;
    Ok(if conflicts.is_empty() {
        Ok(ProposalCommand::Complete(effects))
    } else {
        Err(conflicts)
    })
}
