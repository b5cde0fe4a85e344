//! Tool calls: agents' calls of MCP tools and their outcomes.

use axum::extract::State;
use axum::response::Response;
use projections::agents::tool_call::{ToolCallContent, ToolCalls};
use projections::{List, Row, Where};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::answer;
use crate::problem::Problem;
use crate::query::{Page, Params, Path, Read};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
}

/// Filters for a list of tool calls.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Actor id of the caller.
    agent: Option<Uuid>,
    run_id: Option<String>,
    tool: Option<String>,
    /// Outcome: `ok`, `replayed`, `input_required`, or a problem code.
    outcome: Option<String>,
}

/// Returns one tool call.
#[utoipa::path(get, path = "/tool-calls/{id}", tag = "agents", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<ToolCallContent>)), security(("api_key" = ["agents:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    app.get::<ToolCalls>(&read, id).await
}

/// Lists the tool calls of the caller's product, newest first.
#[utoipa::path(get, path = "/tool-calls", tag = "agents", params(Which, Page),
    responses((status = 200, body = List<Row<ToolCallContent>>)), security(("api_key" = ["agents:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    Params(which): Params<Which>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let wanted = Where::default()
        .and("t.created_by = ?", &which.agent)
        .and("t.run_id = ?", &which.run_id)
        .and("t.tool = ?", &which.tool)
        .and("t.outcome = ?", &which.outcome);
    Ok(answer::found(
        app.list::<ToolCalls>(&read, wanted, page).await?,
    ))
}
