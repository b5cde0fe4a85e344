//! What approving a proposal would do now, found out by doing it on a book that is thrown away.

use domain::agents::proposal::{Applied, Conflict, Proposal, Stage};
use domain::knowledge::note::Note;
use domain::knowledge::workspace::{Role, Workspace};
use domain::{Actor, ActorKind, Aggregate};
use uuid::Uuid;

use super::change_set::{ChangeSet, Outcome};
use crate::{Book, CommandError, Loaded};

/// What approval would do now.
pub struct Preview {
    /// In the order of the first action on each.
    pub notes: Vec<Changed<Note>>,
    pub applied: Vec<Applied>,
    /// Where there are any, approval would change nothing.
    pub conflicts: Vec<Conflict>,
}

/// A thing that approval would change; where it would create it, there was nothing before.
pub struct Changed<A> {
    pub before: Loaded<A>,
    pub after: Loaded<A>,
}

impl<A: Aggregate> Changed<A> {
    async fn of(book: &mut Book<'_>, id: Uuid) -> Result<Self, CommandError> {
        Ok(Self {
            before: book.before::<A>(id).await?.clone(),
            after: book.load::<A>(id).await?.clone(),
        })
    }
}

/// None, where the proposal is not waiting for a decision.
pub async fn preview(
    book: &mut Book<'_>,
    id: Uuid,
    new_ids: &[Uuid],
) -> Result<Option<Preview>, CommandError> {
    let proposal = book.load::<Proposal>(id).await?;
    let Proposal::Submitted(submission, Stage::Pending) = &proposal.state else {
        return Ok(None);
    };
    let submission = submission.clone();
    // Who looks at it need not be one who could approve it.
    if let Some(owner) = an_owner(book, submission.draft.workspace_id).await? {
        book.on_authority_of(owner);
    }
    let change_set = ChangeSet {
        workspace_id: submission.draft.workspace_id,
        actions: submission.effective_actions(),
        new_ids,
    };
    let Outcome { notes, conflicts } = change_set.carry_out(book).await?;
    let mut changed: Vec<Changed<Note>> = vec![];
    for Applied { note_id, .. } in &notes {
        if !changed.iter().any(|known| known.after.id == *note_id) {
            changed.push(Changed::of(book, *note_id).await?);
        }
    }
    Ok(Some(Preview {
        notes: changed,
        applied: notes,
        conflicts,
    }))
}

/// There always is one.
async fn an_owner(book: &mut Book<'_>, workspace_id: Uuid) -> Result<Option<Actor>, CommandError> {
    let workspace = book.load::<Workspace>(workspace_id).await?;
    let members = workspace.state.details().map(|details| &details.members);
    let mut owners = members.into_iter().flatten();
    Ok(owners
        .find(|(_, role)| **role == Role::Owner)
        .map(|(id, _)| Actor {
            kind: ActorKind::Person,
            id: *id,
        }))
}
