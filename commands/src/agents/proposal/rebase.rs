//! Rebasing of proposals: carries the actions over to the current versions in a new proposal.

use async_trait::async_trait;
use domain::Permission;
use domain::agents::action::{Action, Subject};
use domain::agents::policy::Merging;
use domain::agents::proposal::{Proposal, ProposalRefusal, ProposalRule};
use domain::knowledge::workspace::Workspace;
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use super::Submit;
use super::change_set::{carried_over, conflict};
use crate::{CommandError, Handler, UnitOfWork};

/// Submits the changes of a pending or failed proposal again. A pending one is superseded by the new proposal.
pub struct Rebase {
    /// Id of the new proposal.
    pub id: Uuid,
    /// Id of the old proposal.
    pub from: Uuid,
    /// The new actions; if absent, the old ones are carried over automatically.
    pub actions: Option<Vec<Action>>,
    pub rationale: Option<String>,
    /// Ids for new subjects, one for each possible action.
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
        work.permit::<Workspace>(workspace_id, Permission::Propose)
            .await?;
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
        Err(CommandError::refused(ProposalRule::RebaseConflict(
            conflicts,
        )))
    }
}
