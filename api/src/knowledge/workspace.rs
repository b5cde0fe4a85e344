//! Workspaces and their members.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::{Loaded, On};
use domain::knowledge::workspace::{Role, Workspace, WorkspaceCommand};
use projections::knowledge::workspace::{self, WorkspaceRow};
use projections::{Cursor, List};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::answer::{self, Found};
use crate::command::{Command, Nothing};
use crate::problem::Problem;
use crate::query::{Page, Params, Path, Read};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, rename))
        .routes(routes!(archive))
        .routes(routes!(set_member, remove_member))
}

/// A workspace's name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// What a member may do.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Membership {
    role: Role,
}

fn resource(workspace: &Loaded<Workspace>) -> Option<WorkspaceRow> {
    let facts = workspace.facts.as_ref()?;
    let details = workspace.state.details()?;
    let status = match workspace.state {
        Workspace::Absent => return None,
        Workspace::Active(_) => "active",
        Workspace::Archived(_) => "archived",
    };
    Some(WorkspaceRow {
        id: workspace.id,
        product_id: facts.product_id,
        name: details.name.clone(),
        status: status.into(),
        members: details.members.clone(),
        version: workspace.version,
        created_at: facts.created_at,
        updated_at: facts.updated_at,
        created_by: facts.created_by.id,
        position: facts.position,
    })
}

const fn on(id: Uuid, command: WorkspaceCommand) -> On<Workspace> {
    On { id, command }
}

/// Opens a workspace; the caller is its owner.
#[utoipa::path(post, path = "/workspaces", tag = "workspaces", request_body = Named,
    responses((status = 201, body = WorkspaceRow)), security(("api_key" = ["workspaces:write"])))]
async fn create(State(app): State<App>, command: Command<Named>) -> Result<Response, Problem> {
    let name = command.body.name;
    let create = on(Uuid::now_v7(), WorkspaceCommand::Create { name });
    app.run(&command.request, &create, StatusCode::CREATED, resource)
        .await
}

/// Renames a workspace.
#[utoipa::path(patch, path = "/workspaces/{id}", tag = "workspaces", params(("id" = Uuid, Path)),
    request_body = Named, responses((status = 200, body = WorkspaceRow)),
    security(("api_key" = ["workspaces:write"])))]
async fn rename(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Named>,
) -> Result<Response, Problem> {
    let name = command.body.name;
    let rename = on(id, WorkspaceCommand::Rename { name });
    app.run(&command.request, &rename, StatusCode::OK, resource)
        .await
}

/// Closes a workspace for good: it can still be read.
#[utoipa::path(post, path = "/workspaces/{id}/archive", tag = "workspaces", params(("id" = Uuid, Path)),
    responses((status = 200, body = WorkspaceRow)), security(("api_key" = ["workspaces:write"])))]
async fn archive(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let archive = on(id, WorkspaceCommand::Archive);
    app.run(&command.request, &archive, StatusCode::OK, resource)
        .await
}

/// Makes an actor a member, or gives them another role.
#[utoipa::path(put, path = "/workspaces/{id}/members/{actor_id}", tag = "workspaces",
    params(("id" = Uuid, Path), ("actor_id" = Uuid, Path)), request_body = Membership,
    responses((status = 200, body = WorkspaceRow)), security(("api_key" = ["workspaces:write"])))]
async fn set_member(
    State(app): State<App>,
    Path((id, actor_id)): Path<(Uuid, Uuid)>,
    command: Command<Membership>,
) -> Result<Response, Problem> {
    let role = command.body.role;
    let set = on(id, WorkspaceCommand::SetMember { actor_id, role });
    app.run(&command.request, &set, StatusCode::OK, resource)
        .await
}

/// Removes a member; every member may remove themselves.
#[utoipa::path(delete, path = "/workspaces/{id}/members/{actor_id}", tag = "workspaces",
    params(("id" = Uuid, Path), ("actor_id" = Uuid, Path)),
    responses((status = 200, body = WorkspaceRow)), security(("api_key" = ["workspaces:write"])))]
async fn remove_member(
    State(app): State<App>,
    Path((id, actor_id)): Path<(Uuid, Uuid)>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let remove = on(id, WorkspaceCommand::RemoveMember { actor_id });
    app.run(&command.request, &remove, StatusCode::OK, resource)
        .await
}

/// One workspace.
#[utoipa::path(get, path = "/workspaces/{id}", tag = "workspaces", params(("id" = Uuid, Path)),
    responses((status = 200, body = WorkspaceRow)), security(("api_key" = ["workspaces:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
) -> Result<Found<WorkspaceRow>, Problem> {
    let position = app.ready(&read, "workspaces:read", &["workspace"]).await?;
    let row = workspace::get(&app.database, read.caller.viewer(), id)
        .await?
        .ok_or_else(|| Problem::not_found("workspace"))?;
    Ok(Found {
        version: row.version,
        resource: row,
        position,
    })
}

/// The caller's workspaces.
#[utoipa::path(get, path = "/workspaces", tag = "workspaces", params(Page),
    responses((status = 200, body = List<WorkspaceRow>)), security(("api_key" = ["workspaces:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let position = app.ready(&read, "workspaces:read", &["workspace"]).await?;
    let cursor = Cursor::try_from(page)?;
    let found = workspace::list(&app.database, read.caller.viewer(), cursor).await?;
    Ok(answer::list(found, position))
}
