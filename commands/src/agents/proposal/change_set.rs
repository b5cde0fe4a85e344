//! Carries out the actions of a proposal on a unit of work, so that approval appends all of them together.

use domain::agents::action::{Action, Stale, Subject};
use domain::agents::policy::Merging;
use domain::agents::proposal::{
    Applied, AppliedArtifact, AppliedTask, Conflict, Effects, ProposalRule,
};
use domain::knowledge::artifact::{Artifact, ArtifactCommand, ArtifactRefusal};
use domain::knowledge::note::{Merge, Note, NoteRefusal};
use domain::knowledge::task::{Task, TaskRefusal};
use domain::{Aggregate, Class, Refusal};
use store::heavy;
use uuid::Uuid;

use crate::knowledge::artifact::Draft;
use crate::knowledge::{artifact, note, task};
use crate::{CommandError, UnitOfWork};

/// Actions to carry out.
pub(super) struct ChangeSet<'a> {
    pub workspace_id: Uuid,
    pub actions: &'a [Action],
    /// Ids for new subjects, at least one per action.
    pub new_ids: &'a [Uuid],
    /// Treatment of actions that were written for an earlier version.
    pub merging: Merging,
}

/// The result of an action, or the reason why it does not fit.
type Attempt<T> = Result<Result<T, Stale>, CommandError>;

impl ChangeSet<'_> {
    /// Returns the effects and conflicts of the actions. If there are conflicts, the caller must discard the staged
    /// events.
    pub async fn carry_out(
        &self,
        work: &mut UnitOfWork<'_>,
    ) -> Result<(Effects, Vec<Conflict>), CommandError> {
        let mut effects = Effects::default();
        let mut conflicts = Vec::new();
        for (index, action) in self.actions.iter().enumerate() {
            // A long note takes milliseconds, and a proposal may have a hundred actions, so let other tasks run in
            // between.
            tokio::task::yield_now().await;
            let Some(new_id) = self.new_ids.get(index) else {
                return Err(CommandError::Damaged(
                    "no id is left for a new thing".into(),
                ));
            };
            let stale = match action.subject() {
                Subject::Note(id) => {
                    let id = id.unwrap_or(*new_id);
                    let note = self.change_note(work, id, action).await?;
                    note.map(|note| effects.notes.push(note))
                }
                Subject::Task(id) => {
                    let id = id.unwrap_or(*new_id);
                    let note = note_of(work, id).await?;
                    let task = self.change_task(work, id, action).await?;
                    effects.notes.extend(marked(work, note).await?);
                    task.map(|task| effects.tasks.push(task))
                }
                Subject::Artifact(id) => {
                    let id = id.unwrap_or(*new_id);
                    let artifact = self.change_artifact(work, id, action).await?;
                    artifact.map(|artifact| effects.artifacts.push(artifact))
                }
            };
            if let Err(stale) = stale {
                conflicts.push(conflict(work, index, action, stale).await?);
            }
        }
        Ok((effects, conflicts))
    }

    async fn change_note(
        &self,
        work: &mut UnitOfWork<'_>,
        note_id: Uuid,
        action: &Action,
    ) -> Attempt<Applied> {
        let home = note::workspace(work, note_id).await?;
        if action.subject() != Subject::Note(None) && home != Some(self.workspace_id) {
            return Ok(Err(Stale::refused(&NoteRefusal::NotFound)));
        }
        let carried_over =
            carried_over(work, note_id, action, self.merging, Action::onto_note).await?;
        let (action, moved) = match carried_over {
            Ok(carried_over) => carried_over,
            Err(stale) => return Ok(Err(stale)),
        };
        let merged = moved.filter(|_| matches!(action, Action::ReviseNote { .. }));
        let Some(command) = action.note_command(self.workspace_id, merged) else {
            return Err(CommandError::Damaged("no action on a note".into()));
        };
        if let Err(stale) = stands(note::decide(work, note_id, command).await)? {
            return Ok(Err(stale));
        }
        Ok(Ok(Applied {
            note_id,
            version: work.load::<Note>(note_id).await?.version,
            base_version: Some(work.base_version::<Note>(note_id).await?),
            merged,
        }))
    }

    async fn change_task(
        &self,
        work: &mut UnitOfWork<'_>,
        task_id: Uuid,
        action: &Action,
    ) -> Attempt<AppliedTask> {
        let home = task::workspace(work, task_id).await?;
        if action.subject() != Subject::Task(None) && home != Some(self.workspace_id) {
            return Ok(Err(Stale::refused(&TaskRefusal::NotFound)));
        }
        let carried_over =
            carried_over(work, task_id, action, self.merging, Action::onto_task).await?;
        let (action, moved) = match carried_over {
            Ok(carried_over) => carried_over,
            Err(stale) => return Ok(Err(stale)),
        };
        let merged = moved.filter(|_| matches!(action, Action::ReviseTask { .. }));
        let done = match action.task_command(self.workspace_id, task_id) {
            Some(command) => task::decide(work, task_id, command).await,
            None => self.place(work, task_id, &action).await,
        };
        if let Err(stale) = stands(done)? {
            return Ok(Err(stale));
        }
        Ok(Ok(AppliedTask {
            task_id,
            version: work.load::<Task>(task_id).await?.version,
            base_version: work.base_version::<Task>(task_id).await?,
            merged,
        }))
    }

    async fn change_artifact(
        &self,
        work: &mut UnitOfWork<'_>,
        artifact_id: Uuid,
        action: &Action,
    ) -> Attempt<AppliedArtifact> {
        let home = match action.target_id() {
            Some(note_id) => note::workspace(work, note_id).await?,
            None => artifact::workspace(work, artifact_id).await?,
        };
        if home != Some(self.workspace_id) {
            return Ok(Err(Stale::refused(&ArtifactRefusal::NotFound)));
        }
        let done = match attached(action) {
            Some((note_id, draft)) => artifact::attach(work, artifact_id, note_id, draft).await,
            None => artifact::decide(work, artifact_id, ArtifactCommand::Detach).await,
        };
        if let Err(stale) = stands(done)? {
            return Ok(Err(stale));
        }
        Ok(Ok(AppliedArtifact {
            artifact_id,
            version: work.load::<Artifact>(artifact_id).await?.version,
            base_version: work.base_version::<Artifact>(artifact_id).await?,
        }))
    }

    async fn place(
        &self,
        work: &mut UnitOfWork<'_>,
        task_id: Uuid,
        action: &Action,
    ) -> Result<(), CommandError> {
        if let Action::MoveTask { after, before, .. } = action {
            task::place(work, task_id, *after, *before).await
        } else {
            Err(CommandError::Damaged("no action on a task".into()))
        }
    }
}

/// Returns the note of a task, which may be changed together with the task, and its version.
async fn note_of(
    work: &mut UnitOfWork<'_>,
    task_id: Uuid,
) -> Result<Option<(Uuid, i64)>, CommandError> {
    let task = work.load::<Task>(task_id).await?;
    let Some(note_id) = task.state.draft().and_then(|draft| draft.note_id) else {
        return Ok(None);
    };
    let version = work.load::<Note>(note_id).await?.version;
    Ok(Some((note_id, version)))
}

/// Returns the note, if its line was marked.
async fn marked(
    work: &mut UnitOfWork<'_>,
    note: Option<(Uuid, i64)>,
) -> Result<Option<Applied>, CommandError> {
    let Some((note_id, version_before)) = note else {
        return Ok(None);
    };
    let version = work.load::<Note>(note_id).await?.version;
    let base_version = Some(work.base_version::<Note>(note_id).await?);
    Ok((version > version_before).then_some(Applied {
        note_id,
        version,
        base_version,
        merged: None,
    }))
}

/// Returns the note and attachment of an action that attaches; none if it detaches.
fn attached(action: &Action) -> Option<(Uuid, Draft)> {
    if let Action::AttachArtifact {
        note_id,
        file_id,
        url,
        name,
        media_type,
    } = action.clone()
    {
        let draft = Draft {
            file_id,
            url,
            name,
            path: None,
            media_type,
            size: None,
            sha256: None,
        };
        Some((note_id, draft))
    } else {
        None
    }
}

/// Returns an action carried over to the current state of its subject, and the versions if it was merged. A revision
/// keeps the changes that earlier actions made to the same subject.
pub(super) async fn carried_over<A: Aggregate>(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    action: &Action,
    merging: Merging,
    onto: fn(&Action, &A, &A, i64) -> Result<Action, Stale>,
) -> Attempt<(Action, Option<Merge>)> {
    let Some(base_version) = action.base_version() else {
        return Ok(Ok((action.clone(), None)));
    };
    let onto_version = work.base_version::<A>(id).await?;
    let has_moved_on = base_version != onto_version;
    let revises = matches!(
        action,
        Action::ReviseNote { .. } | Action::ReviseTask { .. }
    );
    let is_changed_here = revises && work.load::<A>(id).await?.version > onto_version;
    if !has_moved_on && !is_changed_here {
        return Ok(Ok((action.clone(), None)));
    }
    if base_version > onto_version {
        let reason = format!("it is only at version {onto_version}");
        return Ok(Err(Stale::because(reason)));
    }
    if has_moved_on && merging == Merging::Refused {
        let reason = "it has moved on, and the workspace's policy allows no merges";
        return Ok(Err(Stale::because(reason)));
    }
    let base = work.at_version::<A>(id, base_version).await?;
    let now = if revises {
        work.load::<A>(id).await?
    } else {
        work.before::<A>(id).await?
    };
    let merge = Merge {
        base_version,
        onto_version,
    };
    let bytes = usize::try_from(now.bytes).unwrap_or(usize::MAX);
    let carried_over = heavy(bytes, || onto(action, &base, &now.state, onto_version)).await?;
    Ok(carried_over.map(|action| (action, has_moved_on.then_some(merge))))
}

pub(super) async fn conflict(
    work: &mut UnitOfWork<'_>,
    index: usize,
    action: &Action,
    stale: Stale,
) -> Result<Conflict, CommandError> {
    let subject = action.subject();
    let current_version = match subject {
        _ if stale.is_absent => 0,
        Subject::Note(Some(id)) => work.base_version::<Note>(id).await?,
        Subject::Task(Some(id)) => work.base_version::<Task>(id).await?,
        Subject::Artifact(Some(id)) => work.base_version::<Artifact>(id).await?,
        Subject::Note(None) | Subject::Task(None) | Subject::Artifact(None) => 0,
    };
    let (note_id, task_id, artifact_id) = match subject {
        Subject::Note(id) => (id, None, None),
        Subject::Task(id) => (None, id, None),
        Subject::Artifact(id) => (None, None, id),
    };
    Ok(Conflict {
        action: index,
        note_id,
        task_id,
        artifact_id,
        base_version: action.base_version(),
        current_version,
        reason: stale.reason,
        code: stale.code,
        hunks: stale.hunks,
    })
}

/// Refuses actions that no approval can make possible: their subjects are unchanged, and yet their commands are
/// refused.
pub(super) fn require_possible(conflicts: &[Conflict]) -> Result<(), CommandError> {
    if conflicts.is_empty() || conflicts.iter().any(|conflict| conflict.code.is_none()) {
        return Ok(());
    }
    let impossible = ProposalRule::Impossible(conflicts.to_vec());
    Err(CommandError::refused(impossible))
}

/// Returns a refusal as a conflict, unless the refusal is that the actor lacks a permission.
fn stands(result: Result<(), CommandError>) -> Attempt<()> {
    match result {
        Ok(()) => Ok(Ok(())),
        Err(CommandError::Refused(refusal)) if !is_forbidden(refusal.as_ref()) => {
            Ok(Err(Stale::refused(refusal.as_ref())))
        }
        Err(error) => Err(error),
    }
}

fn is_forbidden(refusal: &dyn Refusal) -> bool {
    matches!(refusal.class(), Class::Forbidden)
}
