//! Property tests: after any events of a stream, a row shows the state of the aggregate after the same events.

use domain::Aggregate;
use domain::knowledge::note::Note;
use domain::knowledge::task::{Status, Task};
use domain::knowledge::workspace::Workspace;
use domain::testing::any_of;
use proptest::collection::vec;
use proptest::prelude::*;

use super::note::{NoteContent, Notes};
use super::task::{TaskContent, Tasks};
use super::workspace::{WorkspaceContent, WorkspaceStatus, Workspaces};
use crate::testing::recorded;
use crate::{ReadModel, Row, apply};

/// Checks after every event that the row equals `shown`, made from the state and from fields that only the row has.
fn agree<A, M>(
    events: Vec<A::Event>,
    shown: impl Fn(&A, Option<&M::Content>) -> Option<M::Content>,
) -> Result<(), TestCaseError>
where
    A: Aggregate,
    M: ReadModel<Of = A>,
    M::Content: std::fmt::Debug,
{
    let mut state = A::default();
    let mut row: Option<Row<M::Content>> = None;
    for (version, event) in (1..).zip(events) {
        row = apply::<M>(row, &recorded::<A>(version, &event)).unwrap();
        state = state.evolve(&event);
        let content = row.as_ref().map(|row| row.content.clone());
        let expected = shown(&state, content.as_ref());
        prop_assert_eq!(content, expected);
    }
    Ok(())
}

fn shown_note(note: &Note) -> Option<NoteContent> {
    let content = note.content()?.clone();
    Some(NoteContent {
        workspace_id: content.workspace_id,
        title: content.title,
        body: content.body,
        tags: content.tags,
        aliases: content.aliases,
        file: content.file,
        links: content.links,
        status: serde_json::from_value(note.status()?.into()).unwrap(),
    })
}

/// Returns the row that a task should have. The state knows that a task is done, not when.
fn shown_task(task: &Task, row: Option<&TaskContent>) -> Option<TaskContent> {
    let Task::Present(draft, status) = task else {
        return None;
    };
    let draft = draft.as_ref().clone();
    let completed_at = row?.completed_at.filter(|_| *status == Status::Done);
    assert_eq!(completed_at.is_some(), *status == Status::Done);
    Some(TaskContent {
        workspace_id: draft.workspace_id,
        note_id: draft.note_id,
        title: draft.title,
        status: *status,
        assignee: draft.assignee,
        due_on: draft.due_on,
        labels: draft.labels,
        rank: draft.rank,
        completed_at,
    })
}

fn shown_workspace(workspace: &Workspace) -> Option<WorkspaceContent> {
    let status = match workspace {
        Workspace::Absent => return None,
        Workspace::Active(_) => WorkspaceStatus::Active,
        Workspace::Archived(_) => WorkspaceStatus::Archived,
    };
    let details = workspace.details()?.clone();
    Some(WorkspaceContent {
        name: details.name,
        status,
        members: details.members,
    })
}

proptest! {
    #[test]
    fn a_row_of_a_note_is_what_the_note_is(events in vec(any_of(), 0..30)) {
        agree::<Note, Notes>(events, |note, _| shown_note(note))?;
    }

    #[test]
    fn a_row_of_a_task_is_what_the_task_is(events in vec(any_of(), 0..30)) {
        agree::<Task, Tasks>(events, shown_task)?;
    }

    #[test]
    fn a_row_of_a_workspace_is_what_the_workspace_is(events in vec(any_of(), 0..30)) {
        agree::<Workspace, Workspaces>(events, |workspace, _| shown_workspace(workspace))?;
    }
}
