//! The actions of a proposal, carried out on a book: all of them are what approval appends.

use domain::agents::action::{Action, Stale};
use domain::agents::proposal::{Applied, Conflict};
use domain::knowledge::note::{Merge, Note};
use domain::{Class, Refusal};
use uuid::Uuid;

use crate::knowledge::note;
use crate::{Book, CommandError};

/// Actions to be carried out.
pub(super) struct ChangeSet<'a> {
    pub workspace_id: Uuid,
    pub actions: &'a [Action],
    /// Ids for what they create, at least as many as there are actions.
    pub new_ids: &'a [Uuid],
}

/// What came of a change-set. Where there are conflicts it must not be kept.
#[derive(Default)]
pub(super) struct Outcome {
    pub notes: Vec<Applied>,
    pub conflicts: Vec<Conflict>,
}

impl ChangeSet<'_> {
    pub async fn carry_out(&self, book: &mut Book<'_>) -> Result<Outcome, CommandError> {
        let mut outcome = Outcome::default();
        for (index, action) in self.actions.iter().enumerate() {
            let new_id = self.new_ids.get(index).copied();
            let Some(note_id) = action.note_id().or(new_id) else {
                return Err(CommandError::Damaged("no id is left for a new note".into()));
            };
            match self.change_note(book, note_id, action).await? {
                Ok(note) => outcome.notes.push(note),
                Err(stale) => outcome.conflicts.push(Conflict {
                    action: index,
                    note_id: action.note_id(),
                    base_version: action.base_version(),
                    current_version: book.base_version::<Note>(note_id).await?,
                    reason: stale.reason,
                    hunks: stale.hunks,
                }),
            }
        }
        Ok(outcome)
    }

    /// One action; what stands in its way is an outcome, not an error.
    async fn change_note(
        &self,
        book: &mut Book<'_>,
        note_id: Uuid,
        action: &Action,
    ) -> Result<Result<Applied, Stale>, CommandError> {
        let home = note::workspace(book, note_id).await?;
        if action.note_id().is_some() && home != Some(self.workspace_id) {
            let reason = "there is no such note in the workspace";
            return Ok(Err(Stale::because(reason)));
        }
        let version = book.base_version::<Note>(note_id).await?;
        let (action, merged) = match carried_over(book, note_id, action).await? {
            Ok(carried_over) => carried_over,
            Err(stale) => return Ok(Err(stale)),
        };
        let command = action.command(self.workspace_id, merged);
        Ok(match outcome(note::decide(book, note_id, command).await)? {
            Ok(()) => Ok(Applied {
                note_id,
                version: book.load::<Note>(note_id).await?.version,
                base_version: Some(version),
                merged,
            }),
            Err(stale) => Err(stale),
        })
    }
}

/// An action as it fits what its note is now, before any other action; and how it was merged, if it says something else than before.
async fn carried_over(
    book: &mut Book<'_>,
    note_id: Uuid,
    action: &Action,
) -> Result<Result<(Action, Option<Merge>), Stale>, CommandError> {
    let onto_version = book.base_version::<Note>(note_id).await?;
    let Some(base_version) = action.base_version().filter(|base| *base != onto_version) else {
        return Ok(Ok((action.clone(), None)));
    };
    if base_version > onto_version {
        let reason = format!("the note is only at version {onto_version}");
        return Ok(Err(Stale::because(reason)));
    }
    let base = book.at_version::<Note>(note_id, base_version).await?;
    let now = &book.before::<Note>(note_id).await?.state;
    let merge = Merge {
        base_version,
        onto_version,
    };
    let is_text = matches!(action, Action::ReviseNote { .. });
    Ok(action
        .onto(&base, now, onto_version)
        .map(|action| (action, is_text.then_some(merge))))
}

/// A refusal says what stands in the way, unless it is that whoever decides may not.
fn outcome<T>(result: Result<T, CommandError>) -> Result<Result<T, Stale>, CommandError> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(CommandError::Refused(refusal)) if !is_forbidden(refusal.as_ref()) => {
            Ok(Err(Stale::because(refusal.to_string())))
        }
        Err(error) => Err(error),
    }
}

fn is_forbidden(refusal: &dyn Refusal) -> bool {
    matches!(refusal.class(), Class::Forbidden)
}
