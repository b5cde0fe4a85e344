//! A task: what somebody is to do, from a suggestion or at once open, until it is done.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::tag::{as_in, kept, normalized};
use super::workspace::Permission;
use crate::{
    Actor, ActorKind, Aggregate, Audience, Class, DecisionContext, Refusal, RequiredPermission,
    Violations, events, excerpt,
};

/// Most characters of a title.
pub const MAX_TITLE: usize = 500;
/// Most labels of one task.
pub const MAX_LABELS: usize = 32;
const MAX_LABEL: usize = 64;

/// What a task begins as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    pub workspace_id: Uuid,
    /// The note that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note_id: Option<Uuid>,
    pub title: String,
    /// Id of the actor who is to do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_on: Option<NaiveDate>,
    #[serde(default)]
    pub labels: BTreeSet<String>,
    /// Its place among the tasks of the workspace; see [`rank`](super::rank).
    pub rank: String,
}

/// What is to change about a task; what is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub title: Option<String>,
    /// None within: nobody.
    pub assignee: Option<Option<Uuid>>,
    /// None within: whenever.
    pub due_on: Option<Option<NaiveDate>>,
    /// Replaces them all.
    pub labels: Option<BTreeSet<String>>,
}

events! {
    /// Everything that happens to a task.
    pub enum TaskEvent {
        /// It was made by somebody who may, or found in a line of a note: open at once.
        Created("task.created", 1) {
            #[serde(flatten)]
            draft: Draft,
        },
        /// It was proposed, for a person to decide.
        Suggested("task.suggested", 1) {
            #[serde(flatten)]
            draft: Draft,
        },
        /// A person took the suggestion: it is open.
        Accepted("task.accepted", 1) {},
        /// A person declined the suggestion.
        Dismissed("task.dismissed", 1) {},
        /// It got another title.
        Retitled("task.retitled", 1) { title: String },
        /// It was given to somebody; without an assignee: to nobody.
        Assigned("task.assigned", 1) {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            assignee: Option<Uuid>,
        },
        /// It is due on another day; without a date: whenever.
        Scheduled("task.scheduled", 1) {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            due_on: Option<NaiveDate>,
        },
        /// Labels were added to it, or removed.
        Labelled("task.labelled", 1) { added: BTreeSet<String>, removed: BTreeSet<String> },
        /// It was done.
        Completed("task.completed", 1) {},
        /// It is not done after all, and open again.
        Reopened("task.reopened", 1) {},
        /// It got another place among the tasks of its workspace.
        Moved("task.moved", 1) { rank: String },
        /// It is gone from every read model.
        Removed("task.removed", 1) {},
        /// It is back as it was when it was removed.
        Restored("task.restored", 1) {
            #[serde(flatten)]
            draft: Draft,
            status: Status,
        },
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "task.", serialize_all = "snake_case")]
pub enum TaskCommand {
    Create(Draft),
    Suggest(Draft),
    Accept,
    Dismiss,
    Revise(Changes),
    Complete,
    Reopen,
    Move {
        rank: String,
    },
    Delete,
    Restore,
    /// The line of a note that the task comes from says something else than before.
    FollowLine {
        title: Option<String>,
        done: Option<bool>,
    },
}

/// Why a command on a task is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(prefix = "task_", serialize_all = "snake_case")]
pub enum TaskRefusal {
    /// It was never made, or it is removed.
    #[error("there is no such task")]
    NotFound,
    /// The id is taken.
    #[error("a task with this id exists already")]
    Exists,
    /// A machine has no eyes.
    #[error("only a person accepts or dismisses a suggested task")]
    NeedsPerson,
    /// It was decided before.
    #[error("the task is {}, not a suggestion to be decided", <&str>::from(.0))]
    NotSuggested(Status),
    /// It was not accepted.
    #[error("the task is {}; only one that was accepted is worked on", <&str>::from(.0))]
    NotAccepted(Status),
    /// Nobody is given work in a place that they cannot see.
    #[error("the assignee is not a member of the workspace; let an owner admit them first")]
    AssigneeNotMember,
    /// Its note is not there.
    #[error("there is no such note in the workspace, or it is in the trash")]
    NoteUnavailable,
    /// One of the tasks between which it should stand is not there.
    #[error("a task that it should stand beside is not in the workspace")]
    NeighbourUnavailable,
    /// The neighbours stand the other way round, or have no room between them.
    #[error(
        "there is no place after the one and before the other; read the list again, or move one of them first"
    )]
    NoPlace,
    /// The command is malformed.
    #[error("{0}")]
    Invalid(#[from] Violations),
}

impl Refusal for TaskRefusal {
    fn class(&self) -> Class<'_> {
        match self {
            Self::NotFound => Class::Absent,
            Self::Exists | Self::NotSuggested(_) => Class::Conflict,
            Self::NeedsPerson
            | Self::NotAccepted(_)
            | Self::AssigneeNotMember
            | Self::NoteUnavailable
            | Self::NeighbourUnavailable
            | Self::NoPlace => Class::Rule,
            Self::Invalid(violations) => Class::Invalid(violations),
        }
    }
}

/// How far a task has come.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[schema(as = TaskStatus)]
pub enum Status {
    /// Nobody has agreed to it yet.
    Suggested,
    Open,
    Done,
    /// Nobody wants it; kept, so that it is not suggested again.
    Dismissed,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Task {
    #[default]
    Absent,
    Present(Box<Draft>, Status),
    /// As it was then.
    Removed(Box<Draft>, Status),
}

impl Task {
    #[must_use]
    pub const fn draft(&self) -> Option<&Draft> {
        match self {
            Self::Present(draft, _) => Some(draft),
            Self::Absent | Self::Removed(..) => None,
        }
    }

    /// Where it is, or was.
    const fn workspace_id(&self) -> Option<Uuid> {
        match self {
            Self::Present(draft, _) | Self::Removed(draft, _) => Some(draft.workspace_id),
            Self::Absent => None,
        }
    }

    fn becomes(mut self, next: Status) -> Self {
        if let Self::Present(_, status) = &mut self {
            *status = next;
        }
        self
    }

    fn change(mut self, change: impl FnOnce(&mut Draft)) -> Self {
        if let Self::Present(draft, _) = &mut self {
            change(draft);
        }
        self
    }
}

impl Aggregate for Task {
    const CATEGORY: &'static str = "task";
    const SCOPE: &'static str = "tasks";
    const AUDIENCE: Audience = Audience::Members;
    type Command = TaskCommand;
    type Event = TaskEvent;
    type Refusal = TaskRefusal;

    fn evolve(self, event: &TaskEvent) -> Self {
        match event {
            TaskEvent::Created { draft } => Self::Present(Box::new(draft.clone()), Status::Open),
            TaskEvent::Suggested { draft } => {
                Self::Present(Box::new(draft.clone()), Status::Suggested)
            }
            TaskEvent::Accepted {} | TaskEvent::Reopened {} => self.becomes(Status::Open),
            TaskEvent::Dismissed {} => self.becomes(Status::Dismissed),
            TaskEvent::Completed {} => self.becomes(Status::Done),
            TaskEvent::Retitled { title } => self.change(|draft| draft.title.clone_from(title)),
            TaskEvent::Assigned { assignee } => self.change(|draft| draft.assignee = *assignee),
            TaskEvent::Scheduled { due_on } => self.change(|draft| draft.due_on = *due_on),
            TaskEvent::Labelled { added, removed } => self.change(|draft| {
                draft.labels.retain(|label| !removed.contains(label));
                draft.labels.extend(added.iter().cloned());
            }),
            TaskEvent::Moved { rank } => self.change(|draft| draft.rank.clone_from(rank)),
            TaskEvent::Removed {} => match self {
                Self::Present(draft, status) => Self::Removed(draft, status),
                Self::Absent | Self::Removed(..) => self,
            },
            TaskEvent::Restored { draft, status } => {
                Self::Present(Box::new(draft.clone()), *status)
            }
        }
    }

    fn decide(
        &self,
        command: TaskCommand,
        at: &DecisionContext,
    ) -> Result<Vec<TaskEvent>, TaskRefusal> {
        match (self, command) {
            (Self::Absent, TaskCommand::Create(draft)) => Ok(vec![TaskEvent::Created {
                draft: valid(draft)?,
            }]),
            (Self::Absent, TaskCommand::Suggest(draft)) => Ok(vec![TaskEvent::Suggested {
                draft: valid(draft)?,
            }]),
            (_, TaskCommand::Create(_) | TaskCommand::Suggest(_)) => Err(TaskRefusal::Exists),
            // Whoever removed it has nothing more to do with its line.
            (Self::Removed(..), TaskCommand::FollowLine { .. }) => Ok(vec![]),
            (Self::Removed(draft, status), TaskCommand::Restore) => Ok(vec![TaskEvent::Restored {
                draft: draft.as_ref().clone(),
                status: *status,
            }]),
            (Self::Absent | Self::Removed(..), _) => Err(TaskRefusal::NotFound),
            (Self::Present(draft, status), command) => draft.decide(*status, command, at),
        }
    }

    fn workspace(&self, _id: Uuid) -> Option<Uuid> {
        self.workspace_id()
    }

    /// Agents leave it to people what is to be done.
    fn agents_may(command: &TaskCommand) -> bool {
        matches!(command, TaskCommand::Suggest(_))
    }

    /// As for notes, only editors and owners write; whoever proposes suggests.
    fn required_permission(
        &self,
        _id: Uuid,
        command: &TaskCommand,
        at: &DecisionContext,
    ) -> RequiredPermission {
        let member = |workspace_id, permission| RequiredPermission::Member {
            workspace_id,
            permission,
        };
        if at.actor == Actor::SYSTEM {
            return RequiredPermission::Product;
        }
        match command {
            TaskCommand::Create(draft) => member(draft.workspace_id, Permission::Write),
            TaskCommand::Suggest(draft) => member(draft.workspace_id, Permission::Propose),
            TaskCommand::Accept
            | TaskCommand::Dismiss
            | TaskCommand::Revise(_)
            | TaskCommand::Complete
            | TaskCommand::Reopen
            | TaskCommand::Move { .. }
            | TaskCommand::Delete
            | TaskCommand::Restore
            | TaskCommand::FollowLine { .. } => self
                .workspace_id()
                .map_or(RequiredPermission::Product, |id| {
                    member(id, Permission::Write)
                }),
        }
    }
}

impl Draft {
    /// Than a line of a note with this title.
    #[must_use]
    pub fn says_more_than(&self, title: &str) -> bool {
        let plain = Self {
            title: title.to_owned(),
            assignee: None,
            due_on: None,
            labels: BTreeSet::new(),
            ..self.clone()
        };
        *self != plain
    }

    fn decide(
        &self,
        status: Status,
        command: TaskCommand,
        at: &DecisionContext,
    ) -> Result<Vec<TaskEvent>, TaskRefusal> {
        let event = match (status, command) {
            (_, TaskCommand::Create(_) | TaskCommand::Suggest(_)) => {
                return Err(TaskRefusal::Exists);
            }
            (_, TaskCommand::Accept | TaskCommand::Dismiss)
                if at.actor.kind != ActorKind::Person =>
            {
                return Err(TaskRefusal::NeedsPerson);
            }
            (Status::Suggested, TaskCommand::Accept) => TaskEvent::Accepted {},
            (Status::Suggested, TaskCommand::Dismiss) => TaskEvent::Dismissed {},
            (Status::Open | Status::Done, TaskCommand::Accept)
            | (Status::Dismissed, TaskCommand::Dismiss) => return Ok(vec![]),
            (Status::Dismissed, TaskCommand::Accept)
            | (Status::Open | Status::Done, TaskCommand::Dismiss) => {
                return Err(TaskRefusal::NotSuggested(status));
            }
            (_, TaskCommand::Delete) => TaskEvent::Removed {},
            (_, TaskCommand::Restore) => return Ok(vec![]),
            (Status::Open, TaskCommand::Complete) => TaskEvent::Completed {},
            (Status::Done, TaskCommand::Reopen) => TaskEvent::Reopened {},
            (Status::Done, TaskCommand::Complete) | (Status::Open, TaskCommand::Reopen) => {
                return Ok(vec![]);
            }
            (
                Status::Suggested | Status::Dismissed,
                TaskCommand::Complete | TaskCommand::Reopen,
            )
            | (Status::Dismissed, TaskCommand::Revise(_) | TaskCommand::Move { .. }) => {
                return Err(TaskRefusal::NotAccepted(status));
            }
            (_, TaskCommand::Revise(changes)) => return self.revise(changes),
            (_, TaskCommand::Move { rank }) if rank == self.rank => return Ok(vec![]),
            (_, TaskCommand::Move { rank }) => TaskEvent::Moved { rank },
            (_, TaskCommand::FollowLine { title, done }) => {
                return Ok(self.follow(status, title, done));
            }
        };
        Ok(vec![event])
    }

    fn revise(&self, changes: Changes) -> Result<Vec<TaskEvent>, TaskRefusal> {
        let mut violations = Violations::default();
        check(
            changes.title.as_deref(),
            changes.due_on.flatten(),
            changes.labels.as_ref(),
            "",
            &mut violations,
        );
        violations.into_result()?;
        let mut events = Vec::new();
        let title = changes.title.map(|title| title.trim().to_owned());
        events.extend(self.retitle(title));
        if let Some(assignee) = changes.assignee.filter(|to| *to != self.assignee) {
            events.push(TaskEvent::Assigned { assignee });
        }
        if let Some(due_on) = changes.due_on.filter(|date| *date != self.due_on) {
            events.push(TaskEvent::Scheduled { due_on });
        }
        let labels = changes.labels.map(|labels| as_in(&self.labels, &labels));
        if let Some(labels) = labels
            && labels != self.labels
        {
            events.push(TaskEvent::Labelled {
                added: &labels - &self.labels,
                removed: &self.labels - &labels,
            });
        }
        Ok(events)
    }

    fn retitle(&self, title: Option<String>) -> Option<TaskEvent> {
        title
            .filter(|title| *title != self.title)
            .map(|title| TaskEvent::Retitled { title })
    }

    fn follow(&self, status: Status, title: Option<String>, done: Option<bool>) -> Vec<TaskEvent> {
        let next = match (status, done) {
            (Status::Open, Some(true)) => Some(TaskEvent::Completed {}),
            (Status::Done, Some(false)) => Some(TaskEvent::Reopened {}),
            (Status::Suggested | Status::Open | Status::Done | Status::Dismissed, _) => None,
        };
        self.retitle(title).into_iter().chain(next).collect()
    }
}

fn valid(mut draft: Draft) -> Result<Draft, Violations> {
    let mut violations = Violations::default();
    check(
        Some(&draft.title),
        draft.due_on,
        Some(&draft.labels),
        "",
        &mut violations,
    );
    violations.into_result()?;
    draft.title = draft.title.trim().to_owned();
    draft.labels = normalized(&draft.labels);
    Ok(draft)
}

/// Notes every field that breaks a rule; pointers start with `prefix`.
pub(crate) fn check(
    title: Option<&str>,
    due_on: Option<NaiveDate>,
    labels: Option<&BTreeSet<String>>,
    prefix: &str,
    violations: &mut Violations,
) {
    if let Some(title) = title {
        violations.require_line(title.trim(), 1, MAX_TITLE, &format!("{prefix}/title"));
    }
    violations.require(
        due_on.is_none_or(|date| (1970..=9999).contains(&date.year())),
        format!("{prefix}/due_on"),
        "must be a date from 1970 to 9999",
    );
    let Some(labels) = labels else { return };
    violations.require(
        labels.len() <= MAX_LABELS,
        format!("{prefix}/labels"),
        format!("must be at most {MAX_LABELS} labels"),
    );
    for label in labels {
        violations.require(
            (1..=MAX_LABEL).contains(&kept(label).chars().count()),
            format!("{prefix}/labels"),
            format!(
                "must be labels of 1 to {MAX_LABEL} characters; {} is not",
                excerpt(label)
            ),
        );
        violations.require_visible(label.trim(), &format!("{prefix}/labels"));
    }
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
