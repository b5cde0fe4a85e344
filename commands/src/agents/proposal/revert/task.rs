//! Reverts the changes of a proposal to a task.

use domain::agents::proposal::{AppliedTask, ProposalRule};
use domain::knowledge::task::{Changes, Draft, Status, Task, TaskCommand};

use crate::knowledge::{checklist, task};
use crate::{CommandError, UnitOfWork};

/// Removes a task that the proposal created, and restores one that it removed; restores the earlier state of any other
/// task. Values that have since come from the task's line stay.
pub(super) async fn undo(
    work: &mut UnitOfWork<'_>,
    applied: AppliedTask,
) -> Result<(), CommandError> {
    let AppliedTask {
        task_id,
        version,
        base_version,
        merged: _,
    } = applied;
    if base_version == version {
        return Ok(());
    }
    let only_followed = work
        .is_changed_by::<Task>(task_id, version, checklist::FOLLOW)
        .await?;
    if !only_followed {
        let current = work.base_version::<Task>(task_id).await?;
        return Err(CommandError::refused(ProposalRule::LaterChanges {
            task_id,
            version,
            current,
        }));
    }
    let before = work.at_version::<Task>(task_id, base_version).await?;
    let now = work.load::<Task>(task_id).await?.state.clone();
    match (before, now) {
        (Task::Present(was, status), now) => {
            if matches!(now, Task::Removed(..)) {
                task::decide(work, task_id, TaskCommand::Restore).await?;
            }
            let left = work.at_version::<Task>(task_id, version).await?;
            let is_retitled = left.draft().is_some_and(|left| left.title != was.title);
            let title = is_retitled.then(|| was.title.clone());
            for command in way_back(&was, title, status) {
                work.decide::<Task>(task_id, command).await?;
            }
        }
        (Task::Absent | Task::Removed(..), Task::Present(..)) => {
            work.decide::<Task>(task_id, TaskCommand::Delete).await?;
        }
        (Task::Absent | Task::Removed(..), Task::Absent | Task::Removed(..)) => {}
    }
    Ok(())
}

/// Returns the commands that restore a task's earlier state; commands that change nothing produce no event.
fn way_back(was: &Draft, title: Option<String>, status: Status) -> Vec<TaskCommand> {
    let revise = TaskCommand::Revise(Changes {
        title,
        assignee: Some(was.assignee),
        due_on: Some(was.due_on),
        labels: Some(was.labels.clone()),
    });
    let rank = was.rank.clone();
    let back = match status {
        Status::Open => Some(TaskCommand::Reopen),
        Status::Done => Some(TaskCommand::Complete),
        // No action accepts or dismisses a suggestion.
        Status::Suggested | Status::Dismissed => None,
    };
    [revise, TaskCommand::Move { rank }]
        .into_iter()
        .chain(back)
        .collect()
}
