//! Workspaces and their members.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::On;
use commands::knowledge::workspace::SetMember;
use domain::knowledge::workspace::{Role, Workspace, WorkspaceCommand};
use projections::Row;
use projections::knowledge::workspace::{WorkspaceContent, Workspaces};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::command::{Command, Nothing};
use crate::filter::NoFilter;
use crate::problem::Problem;
use crate::query::Path;
use crate::resource::Resource;

pub fn routes() -> OpenApiRouter<App> {
    Resource::<Workspaces>::at("/workspaces")
        .create(
            "Creates a workspace, whose owner is the caller. The operator cannot, because it has no product to create one in.",
            |WorkspaceName { name }| WorkspaceCommand::Create { name },
        )
        .list::<NoFilter>("Lists the caller's workspaces.")
        .get("Returns one workspace.")
        .patch("Renames a workspace.", |WorkspaceName { name }| {
            WorkspaceCommand::Rename { name }
        })
        .action(
            "archive",
            "Archives a workspace for good; it can still be read.",
            |_: Nothing| WorkspaceCommand::Archive,
        )
        .with(routes!(set_member, remove_member))
        .routes()
}

/// The name of a workspace.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WorkspaceName {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// The role of a member.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Membership {
    role: Role,
}

const fn on(id: Uuid, command: WorkspaceCommand) -> On<Workspace> {
    On { id, command }
}

/// Adds an actor of the product as a member, or changes a member's role.
#[utoipa::path(put, path = "/workspaces/{id}/members/{actor_id}", tag = "workspaces",
    params(("id" = Uuid, Path), ("actor_id" = Uuid, Path)), request_body = Membership,
    responses((status = 200, body = Row<WorkspaceContent>)), security(("api_key" = ["workspaces:write"])))]
async fn set_member(
    State(app): State<App>,
    Path((id, actor_id)): Path<(Uuid, Uuid)>,
    command: Command<Membership>,
) -> Result<Response, Problem> {
    let set = SetMember {
        id,
        actor_id,
        role: command.body.role,
    };
    app.run::<Workspaces>(&command.request, &set, StatusCode::OK)
        .await
}

/// Removes a member; every member may remove themselves.
#[utoipa::path(delete, path = "/workspaces/{id}/members/{actor_id}", tag = "workspaces",
    params(("id" = Uuid, Path), ("actor_id" = Uuid, Path)),
    responses((status = 200, body = Row<WorkspaceContent>)), security(("api_key" = ["workspaces:write"])))]
async fn remove_member(
    State(app): State<App>,
    Path((id, actor_id)): Path<(Uuid, Uuid)>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let remove = on(id, WorkspaceCommand::RemoveMember { actor_id });
    app.run::<Workspaces>(&command.request, &remove, StatusCode::OK)
        .await
}
