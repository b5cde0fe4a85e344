//! Commands on tasks, which also check the note, the assignee and the neighbours.

use async_trait::async_trait;
use domain::Permission;
use domain::agents::proposal::Proposal;
use domain::knowledge::checklist::{Checklist, ChecklistCommand};
use domain::knowledge::note::{Changes, Note, NoteCommand};
use domain::knowledge::rank;
use domain::knowledge::task::{Draft, Task, TaskCommand, TaskRefusal, TaskRule};
use domain::knowledge::task_line::{task_lines, with_mark};
use domain::knowledge::workspace::Workspace;
use domain::{Aggregate, StreamId, Violations};
use uuid::Uuid;

use crate::{CommandError, Handler, UnitOfWork};

/// Any command on a task except moving.
pub struct Change {
    pub id: Uuid,
    pub command: TaskCommand,
}

#[async_trait]
impl Handler for Change {
    fn name(&self) -> String {
        self.command.as_ref().to_owned()
    }

    /// Suggesting a task needs only the scope for proposals, so that an agent's key suffices.
    fn context(&self) -> &'static str {
        if matches!(self.command, TaskCommand::Suggest(_)) {
            Proposal::SCOPE
        } else {
            Task::SCOPE
        }
    }

    fn agents_may(&self) -> bool {
        Task::agents_may(&self.command)
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Task>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        decide(work, self.id, self.command.clone()).await
    }
}

/// Decides any command on a task except moving.
pub(crate) async fn decide(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    command: TaskCommand,
) -> Result<(), CommandError> {
    let (given, settled) = (given(&command), settled(&command));
    // The permission is checked first, so that other actors learn nothing about notes and members.
    work.decide::<Task>(id, command).await?;
    let task = work.load::<Task>(id).await?;
    let Some(draft) = task.state.draft().cloned() else {
        return Ok(());
    };
    require_note(work, &draft).await?;
    if let Some(assignee) = given {
        require_member(work, draft.workspace_id, assignee).await?;
    }
    if let (Some(note_id), Some(done)) = (draft.note_id, settled) {
        mark(work, id, note_id, done).await?;
    }
    Ok(())
}

/// Returns the workspace of a task; none if there is no such task.
pub(crate) async fn workspace(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
) -> Result<Option<Uuid>, CommandError> {
    let task = work.load::<Task>(id).await?;
    Ok(task.state.draft().map(|draft| draft.workspace_id))
}

/// Returns true if a command completes a task, and false if it reopens one.
fn settled(command: &TaskCommand) -> Option<bool> {
    if matches!(command, TaskCommand::Complete) {
        Some(true)
    } else {
        matches!(command, TaskCommand::Reopen).then_some(false)
    }
}

/// Marks or unmarks the line that a task comes from, unless its note is not active.
async fn mark(
    work: &mut UnitOfWork<'_>,
    task_id: Uuid,
    note_id: Uuid,
    done: bool,
) -> Result<(), CommandError> {
    let Note::Active(note) = work.load::<Note>(note_id).await?.state.clone() else {
        return Ok(());
    };
    let checklist = &work.load::<Checklist>(note_id).await?.state;
    let marked = checklist
        .line_of(task_id, &task_lines(&note.body))
        .and_then(|line| with_mark(&note.body, line, done));
    let Some(body) = marked else {
        return Ok(());
    };
    let revise = NoteCommand::Revise(Changes {
        body: Some(body),
        ..Changes::default()
    });
    work.decide::<Note>(note_id, revise).await?;
    // Lets the next reading of the note find no difference.
    let marked = ChecklistCommand::Mark { task_id, done };
    work.decide::<Checklist>(note_id, marked).await?;
    Ok(())
}

/// Returns the assignee that a command sets.
const fn given(command: &TaskCommand) -> Option<Uuid> {
    match command {
        TaskCommand::Create(draft) | TaskCommand::Suggest(draft) => draft.assignee,
        TaskCommand::Revise(changes) => match changes.assignee {
            Some(assignee) => assignee,
            None => None,
        },
        TaskCommand::Accept
        | TaskCommand::Dismiss
        | TaskCommand::Complete
        | TaskCommand::Reopen
        | TaskCommand::Move { .. }
        | TaskCommand::Delete
        | TaskCommand::Restore
        | TaskCommand::FollowLine { .. } => None,
    }
}

/// Requires that the note of a task is in the same workspace and not in the trash.
async fn require_note(work: &mut UnitOfWork<'_>, draft: &Draft) -> Result<(), CommandError> {
    let Some(note_id) = draft.note_id else {
        return Ok(());
    };
    match &work.load::<Note>(note_id).await?.state {
        Note::Active(note) | Note::Archived(note) if note.workspace_id == draft.workspace_id => {
            Ok(())
        }
        Note::Absent | Note::Active(_) | Note::Archived(_) | Note::Trashed(_) | Note::Purged => {
            Err(CommandError::refused(TaskRule::NoteUnavailable))
        }
    }
}

async fn require_member(
    work: &mut UnitOfWork<'_>,
    workspace_id: Uuid,
    actor_id: Uuid,
) -> Result<(), CommandError> {
    let workspace = work.load::<Workspace>(workspace_id).await?;
    let details = workspace.state.details();
    if details.is_some_and(|details| details.members.contains_key(&actor_id)) {
        Ok(())
    } else {
        Err(CommandError::refused(TaskRule::AssigneeNotMember))
    }
}

/// Moves a task between two others.
pub struct Move {
    pub id: Uuid,
    /// Id of the previous task; none: the task becomes the first.
    pub after: Option<Uuid>,
    /// Id of the next task; none: the task becomes the last.
    pub before: Option<Uuid>,
}

#[async_trait]
impl Handler for Move {
    fn name(&self) -> String {
        "task.move".into()
    }

    fn context(&self) -> &'static str {
        Task::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Task>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        place(work, self.id, self.after, self.before).await
    }
}

/// Moves a task between two others, or to an end.
pub(crate) async fn place(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    after: Option<Uuid>,
    before: Option<Uuid>,
) -> Result<(), CommandError> {
    let task = work.load::<Task>(id).await?;
    let Some(draft) = task.state.draft().cloned() else {
        return Err(CommandError::refused(TaskRefusal::NotFound));
    };
    work.permit::<Workspace>(draft.workspace_id, Permission::Write)
        .await?;
    let mut violations = Violations::default();
    violations.require(
        after.is_some() || before.is_some(),
        "/after",
        "must be given, or before, or both",
    );
    for (pointer, neighbour) in [("/after", after), ("/before", before)] {
        violations.require(
            neighbour != Some(id),
            pointer,
            "must be another task than the one that is moved",
        );
    }
    violations
        .into_result()
        .map_err(|violations| CommandError::refused(TaskRefusal::from(violations)))?;
    let after = neighbour(work, &draft, after).await?;
    let before = neighbour(work, &draft, before).await?;
    let rank = rank::place(after.as_deref(), before.as_deref())
        .ok_or_else(|| CommandError::refused(TaskRule::NoPlace))?;
    work.decide::<Task>(id, TaskCommand::Move { rank }).await?;
    require_note(work, &draft).await
}

/// Returns the rank of a task of the same workspace.
async fn neighbour(
    work: &mut UnitOfWork<'_>,
    draft: &Draft,
    id: Option<Uuid>,
) -> Result<Option<String>, CommandError> {
    let Some(id) = id else {
        return Ok(None);
    };
    let neighbour = work.load::<Task>(id).await?.state.draft();
    neighbour
        .filter(|neighbour| neighbour.workspace_id == draft.workspace_id)
        .map(|neighbour| Some(neighbour.rank.clone()))
        .ok_or_else(|| CommandError::refused(TaskRule::NeighbourUnavailable))
}
