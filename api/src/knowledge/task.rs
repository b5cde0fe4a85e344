//! Tasks: created or suggested, worked on, and listed across notes.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{NaiveDate, Utc};
use commands::knowledge::task::{Change, Move};
use domain::knowledge::rank;
use domain::knowledge::tag::spellings;
use domain::knowledge::task::{Changes, Draft, Status, TaskCommand};
use projections::knowledge::task::{BY_RANK, TaskContent, Tasks};
use projections::{List, NEWEST_FIRST, Order, Row, Where};
use serde::Deserialize;
use store::Position;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::answer;
use crate::body::present;
use crate::caller::Caller;
use crate::command::{Command, Nothing};
use crate::parameters;
use crate::problem::Problem;
use crate::query::{Page, Params, Read};
use crate::resource::Resource;

pub fn routes() -> OpenApiRouter<App> {
    Resource::<Tasks>::at("/tasks")
        .create_with(
            "Creates an open task. Agents suggest tasks instead.",
            |id, new: NewTask| change(id, TaskCommand::Create(new.draft(id))),
        )
        .with(routes!(suggest))
        .with(routes!(list))
        .get("Returns one task.")
        .patch_with("Changes a task.", |id, revision: TaskRevision| {
            change(id, TaskCommand::Revise(revision.into()))
        })
        .action_with(
            "accept",
            "Accepts a suggested task, which becomes open. Only a person can do so.",
            |id, _: Nothing| change(id, TaskCommand::Accept),
        )
        .action_with(
            "dismiss",
            "Dismisses a suggested task. Only a person can do so.",
            |id, _: Nothing| change(id, TaskCommand::Dismiss),
        )
        .action_with("complete", "Completes a task.", |id, _: Nothing| {
            change(id, TaskCommand::Complete)
        })
        .action_with("reopen", "Reopens a completed task.", |id, _: Nothing| {
            change(id, TaskCommand::Reopen)
        })
        .action_with("restore", "Restores a deleted task.", |id, _: Nothing| {
            change(id, TaskCommand::Restore)
        })
        .action_with(
            "move",
            "Moves a task between two others of its workspace, or to one end.",
            |id, NewPlace { after, before }| Move { id, after, before },
        )
        .delete_with(
            "Deletes a task. The line of the note that it came from stays, but creates no new task.",
            |id| change(id, TaskCommand::Delete),
        )
        .routes()
}

const fn change(id: Uuid, command: TaskCommand) -> Change {
    Change { id, command }
}

/// A task to create or suggest.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTask {
    workspace_id: Uuid,
    /// Id of a note in the same workspace that the task belongs to.
    note_id: Option<Uuid>,
    /// Title, a single line.
    #[schema(min_length = 1, max_length = 500)]
    title: String,
    /// Id of a member of the workspace.
    assignee: Option<Uuid>,
    due_on: Option<NaiveDate>,
    #[serde(default)]
    #[schema(max_items = 32)]
    labels: BTreeSet<String>,
}

/// Changes to a task.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TaskRevision {
    #[schema(min_length = 1, max_length = 500)]
    title: Option<String>,
    /// Id of a member of the workspace; null removes the assignee.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Uuid>)]
    assignee: Option<Option<Uuid>>,
    /// Due date; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<NaiveDate>)]
    due_on: Option<Option<NaiveDate>>,
    /// Replaces all labels.
    #[schema(max_items = 32)]
    labels: Option<BTreeSet<String>>,
}

/// The new place of a task among the tasks of its workspace.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPlace {
    /// Id of the task that precedes it; if absent, it becomes the first.
    after: Option<Uuid>,
    /// Id of the task that follows it; if absent, it becomes the last.
    before: Option<Uuid>,
}

/// Filters for a list of tasks.
#[derive(Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = TaskFilter)]
pub(crate) struct TaskFilter {
    workspace_id: Option<Uuid>,
    note_id: Option<Uuid>,
    #[param(inline)]
    status: Option<Status>,
    /// Assignee: `me`, or the id of an actor.
    assignee: Option<String>,
    label: Option<String>,
    /// Returns only open tasks that were due before today in UTC. For another time zone, use `due_before`.
    overdue: Option<bool>,
    /// Returns only tasks that are due before this date.
    due_before: Option<NaiveDate>,
    #[param(inline)]
    order: Option<TaskOrder>,
}

/// Order of the list: `newest` first (the default), or by `rank`, the order in which people moved them.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TaskOrder {
    Newest,
    Rank,
}

impl TaskOrder {
    const fn order(self) -> Order {
        match self {
            Self::Newest => NEWEST_FIRST,
            Self::Rank => BY_RANK,
        }
    }
}

impl TaskFilter {
    fn assignee(&self, caller: &Caller) -> Result<Option<Uuid>, Problem> {
        match self.assignee.as_deref() {
            None => Ok(None),
            Some("me") => Ok(Some(caller.actor.id)),
            Some(id) => Uuid::try_parse(id)
                .map(Some)
                .map_err(|_| parameters::invalid("assignee", "must be me, or a UUID")),
        }
    }
}

impl From<TaskRevision> for Changes {
    fn from(revision: TaskRevision) -> Self {
        Self {
            title: revision.title,
            assignee: revision.assignee,
            due_on: revision.due_on,
            labels: revision.labels,
        }
    }
}

impl NewTask {
    fn draft(self, id: Uuid) -> Draft {
        Draft {
            workspace_id: self.workspace_id,
            note_id: self.note_id,
            title: self.title,
            assignee: self.assignee,
            due_on: self.due_on,
            labels: self.labels,
            rank: rank::of(id),
        }
    }
}

/// Suggests a task for a person to accept or dismiss. Every role except viewer may do so; needs the scope for proposals.
#[utoipa::path(post, path = "/tasks/suggestions", tag = "tasks", request_body = NewTask,
    responses((status = 201, body = Row<TaskContent>)), security(("api_key" = ["proposals:write"])))]
async fn suggest(State(app): State<App>, command: Command<NewTask>) -> Result<Response, Problem> {
    let id = Uuid::now_v7();
    let suggest = change(id, TaskCommand::Suggest(command.body.draft(id)));
    app.run::<Tasks>(&command.request, &suggest, StatusCode::CREATED)
        .await
}

/// Lists the tasks in the caller's workspaces, except those of notes in the trash.
#[utoipa::path(get, path = "/tasks", tag = "tasks", params(TaskFilter, Page),
    responses((status = 200, body = List<Row<TaskContent>>)), security(("api_key" = ["tasks:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    Params(filter): Params<TaskFilter>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    Ok(answer::found(app.tasks(&read, &filter, page).await?))
}

impl App {
    /// Returns a page of the tasks that the caller may see.
    pub(crate) async fn tasks(
        &self,
        read: &Read,
        filter: &TaskFilter,
        page: Page,
    ) -> Result<(List<Row<TaskContent>>, Position), Problem> {
        let assignee = filter.assignee(&read.caller)?;
        let status: Option<&str> = filter.status.map(Into::into);
        let label = filter.label.as_deref().map(spellings);
        let today = (filter.overdue == Some(true)).then(|| Utc::now().date_naive());
        let wanted = Where::default()
            .and("t.workspace_id = ?", filter.workspace_id)
            .and("t.note_id = ?", filter.note_id)
            .and("t.status = ?", status)
            .and("t.assignee = ?", assignee)
            .and("t.labels && ?::text[]", label)
            .and("t.status = 'open' and t.due_on < ?", today)
            .and("t.due_on < ?", filter.due_before);
        let order = filter.order.map_or(NEWEST_FIRST, TaskOrder::order);
        self.list_in::<Tasks>(read, wanted, order, page).await
    }
}
