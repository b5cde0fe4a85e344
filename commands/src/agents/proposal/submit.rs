//! Submitting a proposal looks at the notes that it would change.

use async_trait::async_trait;
use domain::agents::proposal::{Draft, Proposal, ProposalCommand, ProposalRefusal};
use domain::knowledge::note::Note;
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use crate::agents::agent;
use crate::knowledge::note;
use crate::{Book, CommandError, Handler};

/// Submits a proposal over notes that exist.
pub struct Submit {
    pub id: Uuid,
    pub draft: Draft,
}

#[async_trait]
impl Handler for Submit {
    fn name(&self) -> String {
        "proposal.submit".into()
    }

    fn context(&self) -> &'static str {
        Proposal::CONTEXT
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Proposal>(self.id)
    }

    async fn handle(&self, book: &mut Book<'_>) -> Result<(), CommandError> {
        book.decide::<Proposal>(self.id, ProposalCommand::Submit(self.draft.clone()))
            .await?;
        for (index, action) in self.draft.actions.iter().enumerate() {
            if let Some(note_id) = action.note_id() {
                let current = book.base_version::<Note>(note_id).await?;
                let note = book.load::<Note>(note_id).await?;
                let at_home = matches!(&note.state, Note::Active(content)
                    if content.workspace_id == self.draft.workspace_id);
                if !at_home {
                    return Err(CommandError::refused(ProposalRefusal::NoteUnavailable {
                        action: index,
                    }));
                }
                if action.base_version().is_some_and(|base| base > current) {
                    return Err(CommandError::refused(ProposalRefusal::NoSuchVersion {
                        action: index,
                        current,
                    }));
                }
            }
            if let Some(target_id) = action.target_id()
                && note::workspace(book, target_id).await? != Some(self.draft.workspace_id)
            {
                return Err(CommandError::refused(ProposalRefusal::NoteUnavailable {
                    action: index,
                }));
            }
        }
        self.supersede(book).await?;
        agent::count(book, self.id).await
    }
}

impl Submit {
    /// The earlier proposal of its proposer, in whose place this one comes.
    async fn supersede(&self, book: &mut Book<'_>) -> Result<(), CommandError> {
        let Some(earlier) = self.draft.supersedes else {
            return Ok(());
        };
        let proposal = book.load::<Proposal>(earlier).await?;
        let workspace = proposal.state.submission().map(|s| s.draft.workspace_id);
        if workspace != Some(self.draft.workspace_id) {
            return Err(CommandError::refused(ProposalRefusal::NotFound));
        }
        let supersede = ProposalCommand::Supersede { by: self.id };
        book.decide::<Proposal>(earlier, supersede).await?;
        Ok(())
    }
}
