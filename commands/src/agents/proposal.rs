//! Submitting a proposal looks at the notes it would change; approving it changes them, in the same append.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::agents::action::Action;
use domain::agents::proposal::{
    Applied, Conflict, Draft, Proposal, ProposalCommand, ProposalRefusal,
};
use domain::knowledge::note::{Note, NoteCommand};
use domain::{Aggregate, Class, StreamId};
use uuid::Uuid;

use super::agent;
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

/// Changes everything back that an applied proposal has changed.
pub struct Revert {
    pub id: Uuid,
    pub reason: Option<String>,
}

#[async_trait]
impl Handler for Revert {
    fn name(&self) -> String {
        "proposal.revert".into()
    }

    fn context(&self) -> &'static str {
        Proposal::CONTEXT
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Proposal>(self.id)
    }

    async fn handle(&self, book: &mut Book<'_>) -> Result<(), CommandError> {
        let reason = self.reason.clone();
        let reverted = book
            .decide::<Proposal>(self.id, ProposalCommand::Revert { reason })
            .await?;
        book.caused_by(reverted.last().copied());
        let proposal = book.load::<Proposal>(self.id).await?;
        let applied = proposal.state.submission().map(|s| s.applied.clone());
        // Several actions may have changed one note: the last says how it was left.
        let notes: BTreeMap<Uuid, Applied> = applied
            .into_iter()
            .flatten()
            .map(|applied| (applied.note_id, applied))
            .collect();
        for applied in notes.into_values() {
            undo(book, applied).await?;
        }
        Ok(())
    }
}

/// A note that the proposal wrote goes to the trash; any other is as it was before.
async fn undo(book: &mut Book<'_>, applied: Applied) -> Result<(), CommandError> {
    let Applied {
        note_id,
        version,
        base_version,
    } = applied;
    let base = base_version.ok_or_else(|| CommandError::refused(ProposalRefusal::BaseUnknown))?;
    if base == version {
        return Ok(());
    }
    let current = book.base_version::<Note>(note_id).await?;
    if current != version {
        return Err(CommandError::refused(ProposalRefusal::LaterEdits {
            note_id,
            version,
            current,
        }));
    }
    let before = book.at_version::<Note>(note_id, base).await?;
    let now = book.load::<Note>(note_id).await?.state.clone();
    for command in way_back(&before, &now) {
        book.decide::<Note>(note_id, command).await?;
    }
    Ok(())
}

/// What makes a note what it was before a proposal, which changes only what is active, and at most archives it.
fn way_back(before: &Note, now: &Note) -> Vec<NoteCommand> {
    let (Some(was), Some(is)) = (before.content(), now.content()) else {
        return vec![NoteCommand::Trash];
    };
    let restore = (!matches!(now, Note::Active(_))).then_some(NoteCommand::Restore);
    let revise = NoteCommand::Revise {
        title: Some(was.title.clone()),
        body: Some(was.body.clone()),
        tags: Some(was.tags.clone()),
    };
    let unlink = is.links.difference(&was.links).map(|link| {
        let relation = Some(link.relation.clone());
        NoteCommand::Unlink {
            target_id: link.target_id,
            relation,
        }
    });
    let link = was.links.difference(&is.links);
    restore
        .into_iter()
        .chain([revise])
        .chain(unlink)
        .chain(link.cloned().map(NoteCommand::Link))
        .collect()
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
        book.caused_by(approved.last().copied());
        book.on_behalf_of(submission.proposer, submission.draft.rationale.clone());
        if agent::is_suspended(book, submission.proposer).await? {
            return Err(CommandError::refused(ProposalRefusal::Held));
        }
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
            base_version: Some(current),
        })),
        Err(CommandError::Refused(refusal)) if !matches!(refusal.class(), Class::Forbidden) => {
            Ok(Err(refusal.to_string()))
        }
        Err(error) => Err(error),
    }
}
