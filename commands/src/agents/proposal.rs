//! Submitting a proposal looks at the notes it would change; approving it changes them, in the same append.

use async_trait::async_trait;
use domain::agents::action::Action;
use domain::agents::proposal::{
    Applied, Conflict, Draft, Proposal, ProposalCommand, ProposalRefusal,
};
use domain::knowledge::note::Note;
use domain::{Aggregate, Class, StreamId};
use uuid::Uuid;

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
        Ok(())
    }
}

/// Approves a proposal and applies it, or records what stood in its way.
pub struct Approve {
    pub id: Uuid,
    pub actions_hash: String,
    pub comment: Option<String>,
    pub edited_actions: Option<Vec<Action>>,
    /// Ids for the notes that it creates, as many as it could have actions.
    pub note_ids: Vec<Uuid>,
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
        book.caused_by(
            approved.last().copied(),
            submission.proposer,
            submission.draft.rationale.clone(),
        );
        let before = book.staged();
        let (applied, conflicts) = self
            .apply(
                book,
                submission.draft.workspace_id,
                submission.effective_actions(),
            )
            .await?;
        let outcome = if conflicts.is_empty() {
            ProposalCommand::Complete { notes: applied }
        } else {
            book.discard(before);
            ProposalCommand::Fail { conflicts }
        };
        book.decide::<Proposal>(self.id, outcome).await?;
        Ok(())
    }
}

impl Approve {
    async fn apply(
        &self,
        book: &mut Book<'_>,
        workspace_id: Uuid,
        actions: &[Action],
    ) -> Result<(Vec<Applied>, Vec<Conflict>), CommandError> {
        let mut applied = Vec::new();
        let mut conflicts = Vec::new();
        let mut new_ids = self.note_ids.iter().copied();
        for (index, action) in actions.iter().enumerate() {
            let Some(note_id) = action.note_id().or_else(|| new_ids.next()) else {
                return Err(CommandError::Damaged("no id is left for a new note".into()));
            };
            match carry_out(book, workspace_id, note_id, action).await? {
                Ok(note) => applied.push(note),
                Err(reason) => conflicts.push(Conflict {
                    action: index,
                    note_id: action.note_id(),
                    base_version: action.base_version(),
                    current_version: book.base_version::<Note>(note_id).await?,
                    reason,
                }),
            }
        }
        Ok((applied, conflicts))
    }
}

/// One action; what stands in its way is an outcome, not an error.
async fn carry_out(
    book: &mut Book<'_>,
    workspace_id: Uuid,
    note_id: Uuid,
    action: &Action,
) -> Result<Result<Applied, String>, CommandError> {
    let current = book.base_version::<Note>(note_id).await?;
    if action.base_version().is_some_and(|base| base != current) {
        return Ok(Err("the note has moved on".into()));
    }
    let note = book.load::<Note>(note_id).await?;
    if action.note_id().is_some()
        && note.state.content().map(|content| content.workspace_id) != Some(workspace_id)
    {
        return Ok(Err("there is no such note in the workspace".into()));
    }
    match note::decide(book, note_id, action.command(workspace_id)).await {
        Ok(()) => Ok(Ok(Applied {
            note_id,
            version: book.load::<Note>(note_id).await?.version,
        })),
        Err(CommandError::Refused(refusal)) if !matches!(refusal.class(), Class::Forbidden) => {
            Ok(Err(refusal.to_string()))
        }
        Err(error) => Err(error),
    }
}
