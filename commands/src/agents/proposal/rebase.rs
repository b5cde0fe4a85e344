//! Rebasing a proposal carries its actions over to what there is now, in a new proposal.

use async_trait::async_trait;
use domain::agents::action::{Action, Subject};
use domain::agents::policy::Merging;
use domain::agents::proposal::{Proposal, ProposalRefusal};
use domain::knowledge::workspace::Permission;
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use super::Submit;
use super::change_set::{carried_over, conflict};
use crate::{CommandError, Handler, UnitOfWork};

/// Submits anew what a pending or failed proposal would change. One that is pending is superseded by that.
pub struct Rebase {
    /// Of the new proposal.
    pub id: Uuid,
    /// Of the old one.
    pub from: Uuid,
    /// The actions as they should be now; as they can be carried over by themselves, if not given.
    pub actions: Option<Vec<Action>>,
    pub rationale: Option<String>,
    /// Ids for what it creates, as many as it could have actions.
    pub new_ids: Vec<Uuid>,
}

#[async_trait]
impl Handler for Rebase {
    fn name(&self) -> String {
        "proposal.rebase".into()
    }

    fn context(&self) -> &'static str {
        Proposal::SCOPE
    }

    fn agents_may(&self) -> bool {
        true
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Proposal>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let old = work.load::<Proposal>(self.from).await?.state.clone();
        let Proposal::Submitted(submission, stage) = old else {
            return Err(CommandError::refused(ProposalRefusal::NotFound));
        };
        let workspace_id = submission.draft.workspace_id;
        work.permit(workspace_id, Permission::Propose).await?;
        let context = work.context();
        let given = self.actions.clone().unwrap_or_default();
        let mut draft = submission
            .rebase(self.from, &stage, given, &context)
            .map_err(CommandError::refused)?;
        if self.actions.is_none() {
            draft.actions = rebased(work, submission.effective_actions()).await?;
        }
        if let Some(rationale) = &self.rationale {
            draft.rationale.clone_from(rationale);
        }
        let submit = Submit {
            id: self.id,
            draft,
            new_ids: self.new_ids.clone(),
        };
        submit.handle(work).await
    }
}

async fn rebased(
    work: &mut UnitOfWork<'_>,
    actions: &[Action],
) -> Result<Vec<Action>, CommandError> {
    let mut rebased = Vec::with_capacity(actions.len());
    let mut conflicts = Vec::new();
    for (index, action) in actions.iter().enumerate() {
        let carried_over = match action.subject() {
            Subject::Note(Some(id)) => {
                carried_over(work, id, action, Merging::Allowed, Action::onto_note).await?
            }
            Subject::Task(Some(id)) => {
                carried_over(work, id, action, Merging::Allowed, Action::onto_task).await?
            }
            Subject::Note(None) | Subject::Task(None) | Subject::Artifact(_) => {
                Ok((action.clone(), None))
            }
        };
        match carried_over {
            Ok((action, _)) => rebased.push(action),
            Err(stale) => conflicts.push(conflict(work, index, action, stale).await?),
        }
    }
    if conflicts.is_empty() {
        Ok(rebased)
    } else {
        Err(CommandError::refused(ProposalRefusal::RebaseConflict(
            conflicts,
        )))
    }
}
