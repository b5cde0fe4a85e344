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
use crate::query::{Page, Params, Path, Read};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(suggest))
        .routes(routes!(get, revise, delete))
        .routes(routes!(accept))
        .routes(routes!(dismiss))
        .routes(routes!(complete))
        .routes(routes!(reopen))
        .routes(routes!(restore))
        .routes(routes!(move_between))
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
#[schema(as = WhichTasks)]
pub(crate) struct Which {
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

impl Which {
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

/// Runs a command that creates a task.
async fn begin(
    app: &App,
    command: Command<NewTask>,
    by: fn(Draft) -> TaskCommand,
) -> Result<Response, Problem> {
    let id = Uuid::now_v7();
    let begin = Change {
        id,
        command: by(command.body.draft(id)),
    };
    app.run::<Tasks>(&command.request, &begin, StatusCode::CREATED)
        .await
}

/// Runs a command that has no content besides its path.
async fn change(
    app: &App,
    id: Uuid,
    command: &Command<Nothing>,
    change: TaskCommand,
) -> Result<Response, Problem> {
    let change = Change {
        id,
        command: change,
    };
    app.run::<Tasks>(&command.request, &change, StatusCode::OK)
        .await
}

/// Creates an open task. Agents suggest tasks instead.
#[utoipa::path(post, path = "/tasks", tag = "tasks", request_body = NewTask,
    responses((status = 201, body = Row<TaskContent>)), security(("api_key" = ["tasks:write"])))]
async fn create(State(app): State<App>, command: Command<NewTask>) -> Result<Response, Problem> {
    begin(&app, command, TaskCommand::Create).await
}

/// Suggests a task for a person to accept or dismiss. Every role except viewer may do so; needs the scope for proposals.
#[utoipa::path(post, path = "/tasks/suggestions", tag = "tasks", request_body = NewTask,
    responses((status = 201, body = Row<TaskContent>)), security(("api_key" = ["proposals:write"])))]
async fn suggest(State(app): State<App>, command: Command<NewTask>) -> Result<Response, Problem> {
    begin(&app, command, TaskCommand::Suggest).await
}

/// Accepts a suggested task, which becomes open. Only a person can do so.
#[utoipa::path(post, path = "/tasks/{id}/accept", tag = "tasks", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<TaskContent>)), security(("api_key" = ["tasks:write"])))]
async fn accept(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    change(&app, id, &command, TaskCommand::Accept).await
}

/// Dismisses a suggested task. Only a person can do so.
#[utoipa::path(post, path = "/tasks/{id}/dismiss", tag = "tasks", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<TaskContent>)), security(("api_key" = ["tasks:write"])))]
async fn dismiss(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    change(&app, id, &command, TaskCommand::Dismiss).await
}

/// Completes a task.
#[utoipa::path(post, path = "/tasks/{id}/complete", tag = "tasks", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<TaskContent>)), security(("api_key" = ["tasks:write"])))]
async fn complete(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    change(&app, id, &command, TaskCommand::Complete).await
}

/// Reopens a completed task.
#[utoipa::path(post, path = "/tasks/{id}/reopen", tag = "tasks", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<TaskContent>)), security(("api_key" = ["tasks:write"])))]
async fn reopen(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    change(&app, id, &command, TaskCommand::Reopen).await
}

/// Deletes a task. The line of the note that it came from stays, but creates no new task.
#[utoipa::path(delete, path = "/tasks/{id}", tag = "tasks", params(("id" = Uuid, Path)),
    responses((status = 204)), security(("api_key" = ["tasks:write"])))]
async fn delete(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    change(&app, id, &command, TaskCommand::Delete).await
}

/// Restores a deleted task.
#[utoipa::path(post, path = "/tasks/{id}/restore", tag = "tasks", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<TaskContent>)), security(("api_key" = ["tasks:write"])))]
async fn restore(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    change(&app, id, &command, TaskCommand::Restore).await
}

/// Changes a task.
#[utoipa::path(patch, path = "/tasks/{id}", tag = "tasks", params(("id" = Uuid, Path)),
    request_body = TaskRevision, responses((status = 200, body = Row<TaskContent>)),
    security(("api_key" = ["tasks:write"])))]
async fn revise(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<TaskRevision>,
) -> Result<Response, Problem> {
    let TaskRevision {
        title,
        assignee,
        due_on,
        labels,
    } = command.body;
    let revise = Change {
        id,
        command: TaskCommand::Revise(Changes {
            title,
            assignee,
            due_on,
            labels,
        }),
    };
    app.run::<Tasks>(&command.request, &revise, StatusCode::OK)
        .await
}

/// Moves a task between two others of its workspace, or to one end.
#[utoipa::path(post, path = "/tasks/{id}/move", tag = "tasks", operation_id = "move",
    params(("id" = Uuid, Path)), request_body = NewPlace,
    responses((status = 200, body = Row<TaskContent>)), security(("api_key" = ["tasks:write"])))]
async fn move_between(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<NewPlace>,
) -> Result<Response, Problem> {
    let NewPlace { after, before } = command.body;
    let place = Move { id, after, before };
    app.run::<Tasks>(&command.request, &place, StatusCode::OK)
        .await
}

/// Returns one task.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<TaskContent>)), security(("api_key" = ["tasks:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    // Not cached: its visibility depends on its note.
    let (row, position) = app.find::<Tasks>(&read, id).await?;
    let version = row.metadata.version;
    Ok(App::show(row, version, position))
}

/// Lists the tasks in the caller's workspaces, except those of notes in the trash.
#[utoipa::path(get, path = "/tasks", tag = "tasks", params(Which, Page),
    responses((status = 200, body = List<Row<TaskContent>>)), security(("api_key" = ["tasks:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    Params(which): Params<Which>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    Ok(answer::found(app.tasks(&read, &which, page).await?))
}

impl App {
    /// Returns a page of the tasks that the caller may see.
    pub(crate) async fn tasks(
        &self,
        read: &Read,
        which: &Which,
        page: Page,
    ) -> Result<(List<Row<TaskContent>>, Position), Problem> {
        let assignee = which.assignee(&read.caller)?;
        let status: Option<&str> = which.status.map(Into::into);
        let label = which.label.as_deref().map(spellings);
        let today = (which.overdue == Some(true)).then(|| Utc::now().date_naive());
        let wanted = Where::default()
            .and("t.workspace_id = ?", which.workspace_id)
            .and("t.note_id = ?", which.note_id)
            .and("t.status = ?", status)
            .and("t.assignee = ?", assignee)
            .and("t.labels && ?::text[]", label)
            .and("t.status = 'open' and t.due_on < ?", today)
            .and("t.due_on < ?", which.due_before);
        let order = which.order.map_or(NEWEST_FIRST, TaskOrder::order);
        self.list_in::<Tasks>(read, wanted, order, page).await
    }
}
