//! Reverts the changes of a proposal to a note.

use std::collections::HashMap;

use domain::agents::proposal::{Applied, ProposalRule};
use domain::knowledge::artifact::Artifact;
use domain::knowledge::checklist::Checklist;
use domain::knowledge::note::{Changes, Note, NoteCommand};
use domain::knowledge::task::{Status, Task};
use uuid::Uuid;

use super::Contents;
use crate::{CommandError, UnitOfWork};

/// Trashes a note that the proposal created, unless others have added something to it; restores the earlier state of
/// any other note.
pub(super) async fn undo(
    work: &mut UnitOfWork<'_>,
    applied: Applied,
    others: &Contents,
) -> Result<(), CommandError> {
    let base = applied.base().map_err(CommandError::refused)?;
    let Applied {
        note_id, version, ..
    } = applied;
    if base == version {
        return Ok(());
    }
    let current = work.base_version::<Note>(note_id).await?;
    if current != version {
        return Err(CommandError::refused(ProposalRule::LaterEdits {
            note_id,
            version,
            current,
        }));
    }
    let before = work.at_version::<Note>(note_id, base).await?;
    if before.content().is_none() {
        require_empty(work, note_id, others).await?;
    }
    let now = work.load::<Note>(note_id).await?.state.clone();
    for command in way_back(&before, &now) {
        work.decide::<Note>(note_id, command).await?;
    }
    Ok(())
}

/// Returns the commands that restore a note's earlier state. Proposals change only active notes, and at most archive
/// them.
fn way_back(before: &Note, now: &Note) -> Vec<NoteCommand> {
    let (Some(was), Some(is)) = (before.content(), now.content()) else {
        return vec![NoteCommand::Trash];
    };
    let restore = (!matches!(now, Note::Active(_))).then_some(NoteCommand::Restore);
    let revise = NoteCommand::Revise(Changes {
        title: Some(was.title.clone()),
        body: Some(was.body.clone()),
        tags: Some(was.tags.clone()),
        ..Changes::default()
    });
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

/// Refuses while others have added something to the note. A task that only repeats its line does not count.
async fn require_empty(
    work: &mut UnitOfWork<'_>,
    note_id: Uuid,
    others: &Contents,
) -> Result<(), CommandError> {
    let lines = &work.load::<Checklist>(note_id).await?.state.lines;
    let titles: HashMap<Uuid, String> = lines
        .iter()
        .map(|line| (line.task_id, line.title.clone()))
        .collect();
    for id in &others.tasks {
        let Task::Present(task, status) = &work.load::<Task>(*id).await?.state else {
            continue;
        };
        let title = titles.get(id);
        let says_more = title.is_none_or(|title| task.says_more_than(title));
        // Dismissed tasks do not count.
        if task.note_id == Some(note_id) && says_more && *status != Status::Dismissed {
            return Err(CommandError::refused(ProposalRule::NoteInUse {
                note_id,
                by: format!("task {id}"),
            }));
        }
    }
    for id in &others.artifacts {
        let artifact = &work.load::<Artifact>(*id).await?.state;
        if matches!(artifact, Artifact::Attached(attached) if attached.note_id == note_id) {
            return Err(CommandError::refused(ProposalRule::NoteInUse {
                note_id,
                by: format!("artifact {id}"),
            }));
        }
    }
    Ok(())
}
