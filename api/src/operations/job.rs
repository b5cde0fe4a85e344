//! Jobs: those that are due or waiting, and dead letters.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use store::Position;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use workers::{Job, list as due, redrive as drive};

use crate::App;
use crate::answer::{self, DryRun};
use crate::caller::Caller;
use crate::command::{Command, Nothing};
use crate::problem::Problem;
use crate::query::{self, Params, Path, Read};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(redrive))
}

/// Filters for a list of jobs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct JobFilter {
    /// Returns only dead letters.
    dead_letter: Option<bool>,
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Jobs.
#[derive(Serialize, ToSchema)]
struct JobList {
    #[schema(value_type = Vec<Object>)]
    items: Vec<Job>,
}

fn operator(caller: &Caller, scope: &str) -> Result<(), Problem> {
    caller.require(scope)?;
    if caller.is_operator() {
        Ok(())
    } else {
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "operator_only",
            "only the operator sees the work of the whole server; use the operator's key",
        ))
    }
}

/// Lists jobs by due time. Only the operator may do so.
#[utoipa::path(get, path = "/jobs", tag = "operations", params(JobFilter),
    responses((status = 200, body = JobList)), security(("api_key" = ["jobs:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    Params(filter): Params<JobFilter>,
) -> Result<Response, Problem> {
    operator(&read.caller, "jobs:read")?;
    let position = reached(&app, read.min_position).await?;
    let limit = query::limit(filter.limit, 50, 200)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let items = due(&app.database, filter.dead_letter.unwrap_or(false), limit).await?;
    Ok(answer::found((JobList { items }, position)))
}

/// Waits until all reactions, which create the jobs, have reached a position.
async fn reached(app: &App, wanted: Position) -> Result<Position, Problem> {
    let mut reached = Position::MAX;
    for reaction in app.reactions.health() {
        reached = reached.min(app.reactions.wait(reaction.name, wanted).await?);
    }
    Ok(reached)
}

/// Makes a dead letter due again; appends no event. Only the operator may do so.
#[utoipa::path(post, path = "/jobs/{id}/redrive", tag = "operations", params(("id" = Uuid, Path)),
    responses((status = 204)), security(("api_key" = ["jobs:write"])))]
async fn redrive(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    operator(&command.caller, "jobs:write")?;
    command.caller.require_no_agent()?;
    if command.request.dry_run {
        return Ok(DryRun::of(vec![]));
    }
    let driven = drive(&app.database, Some(id)).await?;
    if driven == 0 {
        return Err(Problem::not_found("dead_letter item"));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
