//! Previews of proposals: an approval is run on a unit of work that is then discarded.

use domain::agents::proposal::{Conflict, Effects, Proposal};
use domain::knowledge::artifact::Artifact;
use domain::knowledge::note::Note;
use domain::knowledge::task::Task;
use domain::{Aggregate, Refusal};
use uuid::Uuid;

use super::change_set::ChangeSet;
use super::governance;
use crate::{CommandError, Loaded, UnitOfWork};

/// The result that an approval would have now.
pub struct Preview {
    /// The reason why nobody can approve the proposal now.
    pub refusal: Option<Box<dyn Refusal>>,
    /// Number of missing approvals.
    pub missing_approvals: u32,
    /// Changed notes, in the order of the first action on each.
    pub notes: Vec<Changed<Note>>,
    /// Changed tasks, in the order of the first action on each.
    pub tasks: Vec<Changed<Task>>,
    /// Changed artifacts, in the order of the first action on each.
    pub artifacts: Vec<Changed<Artifact>>,
    pub effects: Effects,
    /// Conflicts; if there are any, approval changes nothing.
    pub conflicts: Vec<Conflict>,
}

/// A subject that approval would change; `before` is empty if approval would create it.
pub struct Changed<A> {
    pub before: Loaded<A>,
    pub after: Loaded<A>,
}

impl<A: Aggregate> Changed<A> {
    async fn all(
        work: &mut UnitOfWork<'_>,
        ids: impl Iterator<Item = Uuid>,
    ) -> Result<Vec<Self>, CommandError> {
        let mut all: Vec<Self> = vec![];
        for id in ids {
            if !all.iter().any(|known| known.after.id == id) {
                let before = work.before::<A>(id).await?.clone();
                let after = work.load::<A>(id).await?.clone();
                all.push(Self { before, after });
            }
        }
        Ok(all)
    }
}

/// Returns the preview; none if the proposal is not waiting for a decision.
pub async fn preview(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    new_ids: &[Uuid],
) -> Result<Option<Preview>, CommandError> {
    let proposal = work.load::<Proposal>(id).await?;
    let Some(submission) = proposal.state.pending().cloned() else {
        return Ok(None);
    };
    let workspace_id = submission.draft.workspace_id;
    let policy = governance::policy(work, workspace_id).await?;
    let mut approvable = governance::require_approvable(work, &policy, &submission).await;
    if approvable.is_ok() {
        let in_time = submission.require_in_time(&work.context());
        approvable = in_time.map_err(CommandError::refused);
    }
    let refusal = match approvable {
        Ok(()) => None,
        Err(CommandError::Refused(refusal)) => Some(refusal),
        Err(error) => return Err(error),
    };
    let missing_approvals = governance::missing_approvals(work, &policy, &submission).await?;
    // The reader of a preview need not be allowed to approve.
    if let Some(owner) = governance::an_owner(work, workspace_id).await? {
        work.on_authority_of(owner);
    }
    let change_set = ChangeSet {
        workspace_id,
        actions: submission.effective_actions(),
        new_ids,
        merging: policy.rules.merge,
    };
    let (effects, conflicts) = change_set.carry_out(work).await?;
    Ok(Some(Preview {
        refusal,
        missing_approvals,
        notes: Changed::all(work, effects.notes.iter().map(|note| note.note_id)).await?,
        tasks: Changed::all(work, effects.tasks.iter().map(|task| task.task_id)).await?,
        artifacts: Changed::all(work, effects.artifacts.iter().map(|a| a.artifact_id)).await?,
        effects,
        conflicts,
    }))
}
