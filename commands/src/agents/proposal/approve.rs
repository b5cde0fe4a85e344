//! Approving a proposal applies it, in the same append.

use async_trait::async_trait;
use domain::agents::action::Action;
use domain::agents::proposal::{Proposal, ProposalCommand, ProposalRefusal};
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use super::change_set::{ChangeSet, Outcome};
use crate::agents::agent;
use crate::{Book, CommandError, Handler};

/// Approves a proposal and applies it, or records what stood in its way.
pub struct Approve {
    pub id: Uuid,
    pub actions_hash: String,
    pub comment: Option<String>,
    pub edited_actions: Option<Vec<Action>>,
    /// Ids for what it creates, as many as it could have actions.
    pub new_ids: Vec<Uuid>,
}

#[async_trait]
impl Handler for Approve {
    fn name(&self) -> String {
        "proposal.approve".into()
    }

    fn context(&self) -> &'static str {
        Proposal::CONTEXT
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Proposal>(self.id)
    }

    async fn handle(&self, book: &mut Book<'_>) -> Result<(), CommandError> {
        let approve = ProposalCommand::Approve {
            actions_hash: self.actions_hash.clone(),
            comment: self.comment.clone(),
            edited_actions: self.edited_actions.clone(),
        };
        let approved = book.decide::<Proposal>(self.id, approve).await?;
        let proposal = book.load::<Proposal>(self.id).await?;
        let Some(submission) = proposal.state.submission().cloned() else {
            return Err(CommandError::refused(ProposalRefusal::NotFound));
        };
        book.caused_by(approved.last().copied());
        book.on_behalf_of(submission.proposer, submission.draft.rationale.clone());
        if agent::is_suspended(book, submission.proposer).await? {
            return Err(CommandError::refused(ProposalRefusal::Held));
        }
        let before = book.staged();
        let change_set = ChangeSet {
            workspace_id: submission.draft.workspace_id,
            actions: submission.effective_actions(),
            new_ids: &self.new_ids,
        };
        let Outcome { notes, conflicts } = change_set.carry_out(book).await?;
        let outcome = if conflicts.is_empty() {
            ProposalCommand::Complete { notes }
        } else {
            book.discard(before)?;
            ProposalCommand::Fail { conflicts }
        };
        book.decide::<Proposal>(self.id, outcome).await?;
        Ok(())
    }
}
