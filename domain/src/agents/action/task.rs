//! Actions on tasks.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{Action, Stale};
use crate::knowledge::merge::{self, Hunk};
use crate::knowledge::rank;
use crate::knowledge::tag::as_in;
use crate::knowledge::task::{Changes, Draft, Task, TaskCommand};

impl Action {
    /// Returns the command on a task that carries out the action. Moving a task also requires the positions of its
    /// neighbours.
    #[must_use]
    pub fn task_command(&self, workspace_id: Uuid, task_id: Uuid) -> Option<TaskCommand> {
        Some(match self.clone() {
            Self::CreateTask {
                note_id,
                title,
                assignee,
                due_on,
                labels,
            } => TaskCommand::Create(Draft {
                workspace_id,
                note_id,
                title,
                assignee,
                due_on,
                labels,
                rank: rank::of(task_id),
            }),
            Self::ReviseTask {
                title,
                assignee,
                due_on,
                labels,
                ..
            } => TaskCommand::Revise(Changes {
                title,
                assignee,
                due_on,
                labels,
            }),
            Self::CompleteTask { .. } => TaskCommand::Complete,
            Self::ReopenTask { .. } => TaskCommand::Reopen,
            Self::DeleteTask { .. } => TaskCommand::Delete,
            Self::MoveTask { .. }
            | Self::CreateNote { .. }
            | Self::ReviseNote { .. }
            | Self::TagNote { .. }
            | Self::ArchiveNote { .. }
            | Self::LinkNote { .. }
            | Self::UnlinkNote { .. }
            | Self::AttachArtifact { .. }
            | Self::DetachArtifact { .. } => return None,
        })
    }

    /// Returns the action carried over from the version of the task that it was written for to the current version.
    pub fn onto_task(&self, base: &Task, now: &Task, version: i64) -> Result<Self, Stale> {
        let action = self.clone().at_version(version);
        match (action, base, now) {
            (Self::ReviseTask { .. }, Task::Present(base, _), Task::Present(now, _)) => {
                self.revision_onto(base, now, version)
            }
            (
                Self::CompleteTask { .. } | Self::ReopenTask { .. } | Self::DeleteTask { .. },
                base,
                now,
            ) if base != now => Err(Stale::because(
                "it has moved on: the task was changed since",
            )),
            (action, _, _) => Ok(action),
        }
    }

    /// Merges each field as a whole, and labels as a set.
    fn revision_onto(&self, base: &Draft, now: &Draft, version: i64) -> Result<Self, Stale> {
        let mut action = self.clone().at_version(version);
        let mut hunks = vec![];
        if let Self::ReviseTask {
            title,
            assignee,
            due_on,
            labels,
            ..
        } = &mut action
        {
            field("title", title, &base.title, &now.title, &mut hunks);
            field(
                "assignee",
                assignee,
                &base.assignee,
                &now.assignee,
                &mut hunks,
            );
            field("due_on", due_on, &base.due_on, &now.due_on, &mut hunks);
            let sets = |labels: &BTreeSet<String>| {
                let labels = as_in(&(&now.labels | &base.labels), labels);
                merge::sets(&base.labels, &now.labels, &labels)
            };
            *labels = labels.as_ref().map(sets);
        }
        if hunks.is_empty() {
            Ok(action)
        } else {
            Err(Stale::over(hunks))
        }
    }
}

fn field<T: PartialEq + Clone + serde::Serialize>(
    name: &str,
    change: &mut Option<T>,
    base: &T,
    now: &T,
    hunks: &mut Vec<Hunk>,
) {
    let Some(proposed) = change.take() else {
        return;
    };
    *change = merge::atoms(base, now.clone(), proposed.clone());
    if change.is_none() {
        let [base, now, proposed] = [base, now, &proposed].map(text);
        hunks.push(merge::clash(name, &base, &now, &proposed));
    }
}

/// Returns the value as JSON without quotes; empty if there is no text.
fn text(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(_) | Err(_) => String::new(),
    }
}
