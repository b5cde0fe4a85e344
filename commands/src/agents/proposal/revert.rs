//! Reverting an applied proposal changes back what it has changed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::agents::proposal::{
    Applied, AppliedArtifact, AppliedTask, Effects, Proposal, ProposalCommand, ProposalRefusal,
};
use domain::knowledge::artifact::{Artifact, ArtifactCommand};
use domain::knowledge::note::{Note, NoteCommand};
use domain::knowledge::task::{Changes, Draft, Status, Task, TaskCommand};
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use crate::knowledge::artifact;
use crate::{Book, CommandError, Handler};

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
        let Effects {
            notes,
            tasks,
            artifacts,
        } = applied.unwrap_or_default();
        // Several actions may have changed one thing: the last says how it was left.
        let notes: BTreeMap<Uuid, Applied> = notes.into_iter().map(|n| (n.note_id, n)).collect();
        for applied in notes.into_values() {
            undo(book, applied).await?;
        }
        let tasks: BTreeMap<Uuid, AppliedTask> =
            tasks.into_iter().map(|t| (t.task_id, t)).collect();
        for applied in tasks.into_values() {
            undo_task(book, applied).await?;
        }
        let artifacts: BTreeMap<Uuid, AppliedArtifact> =
            artifacts.into_iter().map(|a| (a.artifact_id, a)).collect();
        for applied in artifacts.into_values() {
            undo_artifact(book, applied).await?;
        }
        Ok(())
    }
}

/// A note that the proposal wrote goes to the trash; any other is as it was before.
async fn undo(book: &mut Book<'_>, applied: Applied) -> Result<(), CommandError> {
    let base = applied.base().map_err(CommandError::refused)?;
    let Applied {
        note_id, version, ..
    } = applied;
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

/// A task that the proposal made goes; any other is as it was before.
async fn undo_task(book: &mut Book<'_>, applied: AppliedTask) -> Result<(), CommandError> {
    let AppliedTask {
        task_id,
        version,
        base_version,
        merged: _,
    } = applied;
    if base_version == version {
        return Ok(());
    }
    let current = book.base_version::<Task>(task_id).await?;
    if current != version {
        return Err(CommandError::refused(ProposalRefusal::LaterChanges {
            task_id,
            version,
            current,
        }));
    }
    let before = book.at_version::<Task>(task_id, base_version).await?;
    let now = book.load::<Task>(task_id).await?.state.clone();
    match (before, now) {
        (Task::Present(was, status), Task::Present(..)) => {
            for command in task_way_back(&was, status) {
                book.decide::<Task>(task_id, command).await?;
            }
        }
        (Task::Absent | Task::Removed, Task::Present(..)) => {
            book.decide::<Task>(task_id, TaskCommand::Delete).await?;
        }
        (Task::Present(..), Task::Absent | Task::Removed) => {
            return Err(CommandError::refused(ProposalRefusal::TaskDeleted(task_id)));
        }
        (Task::Absent | Task::Removed, Task::Absent | Task::Removed) => {}
    }
    Ok(())
}

/// What makes a task what it was before a proposal; what is so already makes no event.
fn task_way_back(was: &Draft, status: Status) -> Vec<TaskCommand> {
    let revise = TaskCommand::Revise(Changes {
        title: Some(was.title.clone()),
        assignee: Some(was.assignee),
        due_on: Some(was.due_on),
        labels: Some(was.labels.clone()),
    });
    let rank = was.rank.clone();
    let back = match status {
        Status::Open => Some(TaskCommand::Reopen),
        Status::Done => Some(TaskCommand::Complete),
        // No action changes whether a suggestion is accepted.
        Status::Suggested | Status::Dismissed => None,
    };
    [revise, TaskCommand::Move { rank }]
        .into_iter()
        .chain(back)
        .collect()
}

/// What the proposal attached is detached; what it detached is attached again.
async fn undo_artifact(book: &mut Book<'_>, applied: AppliedArtifact) -> Result<(), CommandError> {
    let AppliedArtifact {
        artifact_id,
        version,
        base_version,
    } = applied;
    if base_version == version {
        return Ok(());
    }
    let current = book.base_version::<Artifact>(artifact_id).await?;
    if current != version {
        return Err(CommandError::refused(ProposalRefusal::ArtifactChanged {
            artifact_id,
            version,
            current,
        }));
    }
    let back = match book
        .at_version::<Artifact>(artifact_id, base_version)
        .await?
    {
        Artifact::Attached(_) => ArtifactCommand::Restore,
        Artifact::Absent | Artifact::Detached(_) | Artifact::Removed => ArtifactCommand::Detach,
    };
    artifact::decide(book, artifact_id, back).await
}
