//! A task looks at its note, its assignee and its neighbours.

use async_trait::async_trait;
use domain::agents::proposal::Proposal;
use domain::knowledge::checklist::{Checklist, ChecklistCommand};
use domain::knowledge::note::{Changes, Note, NoteCommand};
use domain::knowledge::rank;
use domain::knowledge::task::{Draft, Task, TaskCommand, TaskRefusal};
use domain::knowledge::task_line::{task_lines, with_mark};
use domain::knowledge::workspace::{Permission, Workspace};
use domain::{Aggregate, StreamId, Violations};
use uuid::Uuid;

use crate::{CommandError, Handler, UnitOfWork};

/// Any command on a task but to move it.
pub struct Change {
    pub id: Uuid,
    pub command: TaskCommand,
}

#[async_trait]
impl Handler for Change {
    fn name(&self) -> String {
        self.command.as_ref().to_owned()
    }

    /// To suggest is to propose: an agent's key that can do nothing else can do that.
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

/// Decides any command on a task but to move it.
pub(crate) async fn decide(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    command: TaskCommand,
) -> Result<(), CommandError> {
    let (given, settled) = (given(&command), settled(&command));
    // First whether the caller may: strangers learn nothing of notes and members.
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

/// Where a task lives; none: there is no such task.
pub(crate) async fn workspace(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
) -> Result<Option<Uuid>, CommandError> {
    let task = work.load::<Task>(id).await?;
    Ok(task.state.draft().map(|draft| draft.workspace_id))
}

/// Whether a task is done after a command that says so.
fn settled(command: &TaskCommand) -> Option<bool> {
    if matches!(command, TaskCommand::Complete) {
        Some(true)
    } else {
        matches!(command, TaskCommand::Reopen).then_some(false)
    }
}

/// The line that a task comes from says what became of it, unless its note is put away.
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
    // So that a later reading of the note finds nothing that it would have to follow.
    let marked = ChecklistCommand::Mark { task_id, done };
    work.decide::<Checklist>(note_id, marked).await?;
    Ok(())
}

/// To whom a command gives a task.
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

/// The note of a task is in the same workspace, and not on its way out.
async fn require_note(work: &mut UnitOfWork<'_>, draft: &Draft) -> Result<(), CommandError> {
    let Some(note_id) = draft.note_id else {
        return Ok(());
    };
    match &work.load::<Note>(note_id).await?.state {
        Note::Active(note) | Note::Archived(note) if note.workspace_id == draft.workspace_id => {
            Ok(())
        }
        Note::Absent | Note::Active(_) | Note::Archived(_) | Note::Trashed(_) | Note::Purged => {
            Err(CommandError::refused(TaskRefusal::NoteUnavailable))
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
        Err(CommandError::refused(TaskRefusal::AssigneeNotMember))
    }
}

/// Puts a task between two others.
pub struct Move {
    pub id: Uuid,
    /// None: it becomes the first.
    pub after: Option<Uuid>,
    /// None: it becomes the last.
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
    work.permit(draft.workspace_id, Permission::Write).await?;
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
        .ok_or_else(|| CommandError::refused(TaskRefusal::NoPlace))?;
    work.decide::<Task>(id, TaskCommand::Move { rank }).await?;
    require_note(work, &draft).await
}

/// Where a task of the same workspace stands.
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
        .ok_or_else(|| CommandError::refused(TaskRefusal::NeighbourUnavailable))
}
