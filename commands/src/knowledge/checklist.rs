//! Keeps the tasks of a note in step with its lines.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::knowledge::checklist::{self, Change, Checklist, ChecklistCommand, Line};
use domain::knowledge::note::Note;
use domain::knowledge::rank;
use domain::knowledge::task::{Draft, Task, TaskCommand};
use domain::knowledge::task_line::task_lines;
use domain::{Actor, Aggregate, StreamId};
use uuid::Uuid;

use crate::{CommandError, Handler, UnitOfWork};

/// The name of the command that updates tasks from their lines.
pub(crate) const FOLLOW: &str = "checklist.follow";

/// Updates the tasks of a note to match its current lines, in one append. Repeating the command changes nothing.
pub struct Follow {
    pub note_id: Uuid,
    /// The event of the note that is followed, and its author.
    pub cause: Uuid,
    pub author: Actor,
}

#[async_trait]
impl Handler for Follow {
    fn name(&self) -> String {
        FOLLOW.into()
    }

    fn context(&self) -> &'static str {
        Checklist::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Checklist>(self.note_id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let note = work.load::<Note>(self.note_id).await?;
        let said = note.state.content();
        let said = said.map(|note| (note.workspace_id, task_lines(&note.body)));
        // A note that is gone has no lines.
        let (workspace_id, lines) = said.unzip();
        work.on_behalf_of(self.author, "what a line of the note says".into());
        let before = self.lines(work).await?;
        let read = ChecklistCommand::Read {
            workspace_id,
            lines: lines.unwrap_or_default(),
            cause: self.cause,
        };
        work.decide::<Checklist>(self.note_id, read).await?;
        let now = self.lines(work).await?;
        for change in checklist::changes(&before, &now) {
            match change {
                Change::New(index) => {
                    let rank = place(work, &before, &now, index).await?;
                    if let (Some(line), Some(workspace_id)) = (now.get(index), workspace_id) {
                        self.make(work, workspace_id, line, rank).await?;
                    }
                }
                Change::Other {
                    task_id,
                    title,
                    done,
                } => carry_out(work, task_id, TaskCommand::FollowLine { title, done }).await?,
                Change::Gone(task_id) => carry_out(work, task_id, TaskCommand::Delete).await?,
            }
        }
        Ok(())
    }
}

/// Decides a command on a task, unless the task was removed.
async fn carry_out(
    work: &mut UnitOfWork<'_>,
    task_id: Uuid,
    command: TaskCommand,
) -> Result<(), CommandError> {
    if work.load::<Task>(task_id).await?.state.draft().is_some() {
        work.decide::<Task>(task_id, command).await?;
    }
    Ok(())
}

impl Follow {
    async fn lines(&self, work: &mut UnitOfWork<'_>) -> Result<Vec<Line>, CommandError> {
        Ok(work
            .load::<Checklist>(self.note_id)
            .await?
            .state
            .lines
            .clone())
    }

    async fn make(
        &self,
        work: &mut UnitOfWork<'_>,
        workspace_id: Uuid,
        line: &Line,
        rank: String,
    ) -> Result<(), CommandError> {
        let task_id = line.task_id;
        if work.load::<Task>(task_id).await?.version > 0 {
            return come_back(work, line).await;
        }
        let draft = Draft {
            workspace_id,
            note_id: Some(self.note_id),
            title: line.title.clone(),
            assignee: None,
            due_on: None,
            labels: BTreeSet::new(),
            rank,
        };
        work.decide::<Task>(task_id, TaskCommand::Create(draft))
            .await?;
        if line.done {
            work.decide::<Task>(task_id, TaskCommand::Complete).await?;
        }
        Ok(())
    }
}

/// Restores the task of a line that is back, as it was.
async fn come_back(work: &mut UnitOfWork<'_>, line: &Line) -> Result<(), CommandError> {
    let follow = TaskCommand::FollowLine {
        title: Some(line.title.clone()),
        done: Some(line.done),
    };
    for command in [TaskCommand::Restore, follow] {
        work.decide::<Task>(line.task_id, command).await?;
    }
    Ok(())
}

/// Places the task of a new line between those of its neighbours if an older line follows it, and otherwise last.
async fn place(
    work: &mut UnitOfWork<'_>,
    before: &[Line],
    now: &[Line],
    index: usize,
) -> Result<String, CommandError> {
    let (above, below) = now.split_at(index);
    let known = below
        .iter()
        .find(|line| before.iter().any(|known| known.task_id == line.task_id));
    let below = rank_of(work, known).await?;
    let above = rank_of(work, above.last()).await?;
    let between = below.and_then(|below| rank::place(above.as_deref(), Some(&below)));
    let last = now.get(index).map(|line| rank::of(line.task_id));
    Ok(between.or(last).unwrap_or_default())
}

async fn rank_of(
    work: &mut UnitOfWork<'_>,
    line: Option<&Line>,
) -> Result<Option<String>, CommandError> {
    let Some(line) = line else {
        return Ok(None);
    };
    let task = work.load::<Task>(line.task_id).await?;
    Ok(task.state.draft().map(|draft| draft.rank.clone()))
}
