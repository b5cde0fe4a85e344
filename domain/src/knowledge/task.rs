//! Tasks: suggested or open, until they are done.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::tag::{as_in, kept, normalized};
use super::workspace::Workspace;
use crate::Permission;
use crate::{
    Actor, ActorKind, Aggregate, Audience, Class, DecisionContext, Rejection, RequiredPermission,
    Rule, Violations, events, excerpt,
};

/// The maximum length of a title in characters.
pub const MAX_TITLE: usize = 500;
/// The maximum number of labels of a task.
pub const MAX_LABELS: usize = 32;
const MAX_LABEL: usize = 64;

/// The fields of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    pub workspace_id: Uuid,
    /// Id of the note that the task belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note_id: Option<Uuid>,
    pub title: String,
    /// Id of the actor who is to do the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_on: Option<NaiveDate>,
    #[serde(default)]
    pub labels: BTreeSet<String>,
    /// Position among the tasks of the workspace; see [`rank`](super::rank).
    pub rank: String,
}

crate::generate! { struct Draft { workspace_id, note_id, title, assignee, due_on, labels, rank as Short } }

/// Changes of a task; absent fields stay as they are.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub title: Option<String>,
    /// New assignee; an inner None removes the assignee.
    pub assignee: Option<Option<Uuid>>,
    /// New due date; an inner None removes the date.
    pub due_on: Option<Option<NaiveDate>>,
    /// New labels; they replace all previous ones.
    pub labels: Option<BTreeSet<String>>,
}

events! {
    /// Events of a task.
    pub enum TaskEvent {
        /// A task was created by an actor or found in a line of a note; it is open at once.
        Created("task.created", 1) {
            #[serde(flatten)]
            draft: Draft,
        },
        /// A task was suggested, for a person to accept or dismiss.
        Suggested("task.suggested", 1) {
            #[serde(flatten)]
            draft: Draft,
        },
        /// A person accepted the suggested task; it is open.
        Accepted("task.accepted", 1) {},
        /// A person dismissed the suggested task.
        Dismissed("task.dismissed", 1) {},
        /// The task got another title.
        Retitled("task.retitled", 1) { title: String },
        /// The task was assigned to an actor; without an assignee, the assignee was removed.
        Assigned("task.assigned", 1) {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            assignee: Option<Uuid>,
        },
        /// The task got another due date; without a date, the date was removed.
        Scheduled("task.scheduled", 1) {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            due_on: Option<NaiveDate>,
        },
        /// Labels were added to the task or removed from it.
        Labelled("task.labelled", 1) { added: BTreeSet<String>, removed: BTreeSet<String> },
        /// The task was completed.
        Completed("task.completed", 1) {},
        /// The task was reopened.
        Reopened("task.reopened", 1) {},
        /// The task was moved to another position in its workspace.
        Moved("task.moved", 1) { rank: String as Short },
        /// The task was removed from every read model.
        Removed("task.removed", 1) {},
        /// The task was restored as it was when it was removed.
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
    /// Follows a change of the note's line that the task comes from.
    FollowLine {
        title: Option<String>,
        done: Option<bool>,
    },
}

/// Rules of tasks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum TaskRule {
    /// Only people accept or dismiss suggested tasks.
    #[error("only a person accepts or dismisses a suggested task")]
    NeedsPerson,
    /// The task is no longer a suggestion.
    #[error("the task is {}, not a suggestion to be decided", <&str>::from(.0))]
    NotSuggested(Status),
    /// The task was not accepted.
    #[error("the task is {}; only one that was accepted is worked on", <&str>::from(.0))]
    NotAccepted(Status),
    /// Assignees must be members of the workspace, so that they can see the task.
    #[error("the assignee is not a member of the workspace; let an owner admit them first")]
    AssigneeNotMember,
    /// The task's note is not available.
    #[error("there is no such note in the workspace, or it is in the trash")]
    NoteUnavailable,
    /// A neighbour of the new position is not in the workspace.
    #[error("a task that it should stand beside is not in the workspace")]
    NeighbourUnavailable,
    /// The neighbours are in the wrong order or have no room between them.
    #[error(
        "there is no place after the one and before the other; read the list again, or move one of them first"
    )]
    NoPlace,
}

impl Rule for TaskRule {
    type Of = Task;

    fn class(&self) -> Class<'_> {
        match self {
            Self::NotSuggested(..) => Class::Conflict,
            Self::NeedsPerson
            | Self::NotAccepted(..)
            | Self::AssigneeNotMember
            | Self::NoteUnavailable
            | Self::NeighbourUnavailable
            | Self::NoPlace => Class::Rule,
        }
    }
}

/// Reasons to refuse a command.
pub type TaskRefusal = Rejection<TaskRule>;

/// The status of a task.
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
    /// Waits for a person to accept or dismiss it.
    Suggested,
    Open,
    Done,
    /// Dismissed by a person; kept, so that it is not suggested again.
    Dismissed,
}

crate::generate! { enum Status { Suggested, Open, Done, Dismissed } }

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Task {
    #[default]
    Absent,
    Present(Box<Draft>, Status),
    /// The task, as it was when it was removed.
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

    /// Returns the task's workspace, also after its removal.
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
    type Rule = TaskRule;

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
            // A removed task ignores its line.
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

    /// Agents only suggest tasks; people decide.
    fn agents_may(command: &TaskCommand) -> bool {
        matches!(command, TaskCommand::Suggest(_))
    }

    /// Only editors and owners write, as for notes; members who may propose may suggest.
    fn required_permission(
        &self,
        _id: Uuid,
        command: &TaskCommand,
        at: &DecisionContext,
    ) -> RequiredPermission {
        let member = |workspace_id, permission| {
            RequiredPermission::member_of::<Workspace>(workspace_id, permission)
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
    /// Returns true if the task has more data than a line of a note with this title.
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
                return Err(TaskRule::NeedsPerson.into());
            }
            (Status::Suggested, TaskCommand::Accept) => TaskEvent::Accepted {},
            (Status::Suggested, TaskCommand::Dismiss) => TaskEvent::Dismissed {},
            (Status::Open | Status::Done, TaskCommand::Accept)
            | (Status::Dismissed, TaskCommand::Dismiss) => return Ok(vec![]),
            (Status::Dismissed, TaskCommand::Accept)
            | (Status::Open | Status::Done, TaskCommand::Dismiss) => {
                return Err(TaskRule::NotSuggested(status).into());
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
                return Err(TaskRule::NotAccepted(status).into());
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

/// Records every invalid field; pointers start with `prefix`.
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
