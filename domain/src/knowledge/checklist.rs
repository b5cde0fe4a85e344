//! Checklists of notes: which line belongs to which task, and the text of each line when it was last read.
//!
//! Only differences from the last reading change tasks. A revision that leaves a line alone does not undo later changes
//! of its task.

mod matching;

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::task::Task;
use super::task_line::TaskLine;
use crate::{Aggregate, Audience, DecisionContext, NoRule, Rejection, events};
use matching::matched;

/// Number of removed lines that are remembered.
const MAX_GONE: usize = 500;

/// A line, as it was last read, with its task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub task_id: Uuid,
    pub title: String,
    pub done: bool,
}

crate::generate! { struct Line { task_id, title, done } }

events! {
    /// Events of a checklist; its stream has the id of the note.
    pub enum ChecklistEvent {
        /// The note was read, and its checklist lines had changed.
        Read("checklist.read", 1) {
            /// Id of the note's workspace.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            workspace_id: Option<Uuid>,
            lines: Vec<Line>,
        },
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "checklist.", serialize_all = "snake_case")]
pub enum ChecklistCommand {
    Read {
        /// Id of the note's workspace; none if the note is gone.
        workspace_id: Option<Uuid>,
        lines: Vec<TaskLine>,
        /// Id of the note's event that caused the reading; ids of new tasks are derived from it.
        cause: Uuid,
    },
    /// Records that the line of a task was marked or unmarked because the task changed.
    Mark { task_id: Uuid, done: bool },
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checklist {
    workspace_id: Option<Uuid>,
    pub lines: Vec<Line>,
    /// Removed lines, the most recently removed last: a line that comes back gets its old task.
    gone: Vec<Line>,
    /// Number of readings that changed the checklist.
    pub readings: u64,
}

/// A change of the tasks of a checklist from one reading to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The line at this index is new.
    New(usize),
    /// The line changed; none in fields that stayed the same.
    Other {
        task_id: Uuid,
        title: Option<String>,
        done: Option<bool>,
    },
    Gone(Uuid),
}

impl Aggregate for Checklist {
    const CATEGORY: &'static str = "checklist";
    const SCOPE: &'static str = Task::SCOPE;
    const AUDIENCE: Audience = Audience::Members;
    type Command = ChecklistCommand;
    type Event = ChecklistEvent;
    type Rule = NoRule<Self>;

    fn evolve(self, event: &ChecklistEvent) -> Self {
        match event {
            ChecklistEvent::Read {
                workspace_id,
                lines,
            } => {
                let there: HashSet<Uuid> = lines.iter().map(|line| line.task_id).collect();
                let mut gone = self.gone;
                gone.extend(self.lines);
                gone.retain(|line| !there.contains(&line.task_id));
                gone.drain(..gone.len().saturating_sub(MAX_GONE));
                Self {
                    workspace_id: workspace_id.or(self.workspace_id),
                    lines: lines.clone(),
                    gone,
                    readings: self.readings + 1,
                }
            }
        }
    }

    fn decide(
        &self,
        command: ChecklistCommand,
        _: &DecisionContext,
    ) -> Result<Vec<ChecklistEvent>, Rejection<NoRule<Self>>> {
        let (workspace_id, lines) = match command {
            ChecklistCommand::Read {
                workspace_id,
                lines,
                cause,
            } => (workspace_id, self.read(lines, cause)),
            ChecklistCommand::Mark { task_id, done } => (None, self.marked(task_id, done)),
        };
        if lines == self.lines {
            return Ok(vec![]);
        }
        let workspace_id = workspace_id.or(self.workspace_id);
        Ok(vec![ChecklistEvent::Read {
            workspace_id,
            lines,
        }])
    }

    fn workspace(&self, _id: Uuid) -> Option<Uuid> {
        self.workspace_id
    }
}

impl Checklist {
    fn read(&self, lines: Vec<TaskLine>, cause: Uuid) -> Vec<Line> {
        let known = matched(&self.lines, &lines);
        let mut gone = self.gone.clone();
        let mut back = |line: &TaskLine| {
            let last = |same_mark: bool| {
                gone.iter().rposition(|gone| {
                    gone.title == line.title && (!same_mark || gone.done == line.done)
                })
            };
            let last = last(true).or_else(|| last(false))?;
            Some(gone.remove(last).task_id)
        };
        (lines.into_iter().zip(known).enumerate())
            .map(|(index, (line, known))| Line {
                task_id: known
                    .and_then(|known| Some(self.lines.get(known)?.task_id))
                    .or_else(|| back(&line))
                    .unwrap_or_else(|| task_id(cause, self.readings, index)),
                title: line.title,
                done: line.done,
            })
            .collect()
    }

    fn marked(&self, task_id: Uuid, done: bool) -> Vec<Line> {
        let mut lines = self.lines.clone();
        for line in lines.iter_mut().filter(|line| line.task_id == task_id) {
            line.done = done;
        }
        lines
    }

    /// Returns the index, among the note's current lines, of the line of a task.
    #[must_use]
    pub fn line_of(&self, task_id: Uuid, now: &[TaskLine]) -> Option<usize> {
        let line = self.lines.iter().position(|line| line.task_id == task_id)?;
        let known = matched(&self.lines, now);
        known.into_iter().position(|known| known == Some(line))
    }
}

/// Returns the changes from one reading to the next, in the order of the lines.
#[must_use]
pub fn changes(before: &[Line], now: &[Line]) -> Vec<Change> {
    let by_task = |lines: &[Line]| -> HashMap<Uuid, Line> {
        let pairs = lines.iter().map(|line| (line.task_id, line.clone()));
        pairs.collect()
    };
    let (known, present) = (by_task(before), by_task(now));
    let gone = before
        .iter()
        .filter(|line| !present.contains_key(&line.task_id))
        .map(|line| Change::Gone(line.task_id));
    let others = now.iter().enumerate().filter_map(|(index, line)| {
        let Some(before) = known.get(&line.task_id) else {
            return Some(Change::New(index));
        };
        let title = (line.title != before.title).then(|| line.title.clone());
        let done = (line.done != before.done).then_some(line.done);
        (title.is_some() || done.is_some()).then_some(Change::Other {
            task_id: line.task_id,
            title,
            done,
        })
    });
    gone.chain(others).collect()
}

/// Derives the id of a new line's task. It is the same however often it is decided, sorts in the order of the lines,
/// and has the time of the event.
fn task_id(cause: Uuid, readings: u64, index: usize) -> Uuid {
    let index = u16::try_from(index).unwrap_or(u16::MAX).to_be_bytes();
    let digest: [u8; 32] = Sha256::new()
        .chain_update(cause)
        .chain_update(readings.to_be_bytes())
        .chain_update(index)
        .finalize()
        .into();
    let mut random = [0; 10];
    random.copy_from_slice(&digest[..10]);
    random[..2].copy_from_slice(&index);
    let time = u64::try_from(cause.as_u128() >> 80).unwrap_or_default();
    Builder::from_unix_timestamp_millis(time, &random).into_uuid()
}

#[cfg(test)]
#[path = "checklist_tests.rs"]
mod tests;
