//! Agents: they register with a key that can only propose, have a budget, and can be suspended and resumed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::On;
use commands::agents::agent::{Register, Revise};
use domain::agents::agent::{Agent, AgentCommand, Changes, Registration};
use projections::agents::agent::{AgentContent, Agents};
use projections::{List, Row, Where};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::answer;
use crate::command::{Command, Nothing};
use crate::problem::Problem;
use crate::query::{Page, Params, Path, Read, one_of};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register, list))
        .routes(routes!(get, revise))
        .routes(routes!(suspend))
        .routes(routes!(resume))
}

/// An agent to register.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAgent {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Model that the agent runs on.
    #[schema(min_length = 1, max_length = 200)]
    model: Option<String>,
    /// Actor id of the person responsible for the agent; defaults to the caller.
    owner_id: Option<Uuid>,
    /// Maximum number of proposals per day (UTC); unlimited if not given.
    #[schema(minimum = 1, maximum = 100_000)]
    daily_proposals: Option<u32>,
}

/// Changes to an agent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AgentChanges {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(min_length = 1, max_length = 200)]
    model: Option<String>,
    /// Maximum number of proposals per day (UTC); 0 removes the limit.
    #[schema(minimum = 0, maximum = 100_000)]
    daily_proposals: Option<u32>,
}

/// The reason to suspend an agent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Suspension {
    #[schema(min_length = 1, max_length = 1_000)]
    reason: String,
}

/// Filters for a list of agents.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Status: `active` or `suspended`.
    status: Option<String>,
}

/// Notice that replaces the key in a repeated answer.
const SHOWN_BEFORE: &str =
    "the key was shown in the first answer only; rotate the key api_key_id to get another";

/// An agent with its key.
#[derive(Serialize, ToSchema)]
struct RegisteredAgent {
    #[serde(flatten)]
    agent: Row<AgentContent>,
    /// The key; only in the first answer to the registration request.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Notice in place of the key, in the answer to a repeated request.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

const fn on(id: Uuid, command: AgentCommand) -> On<Agent> {
    On { id, command }
}

/// Registers an agent and issues its key, which can only read and propose. Admit the agent to a workspace as an `agent`.
#[utoipa::path(post, path = "/agents", tag = "agents", request_body = NewAgent,
    responses((status = 201, body = RegisteredAgent)), security(("api_key" = ["agents:write"])))]
async fn register(State(app): State<App>, command: Command<NewAgent>) -> Result<Response, Problem> {
    let new = command.body;
    let register = Register {
        id: Uuid::now_v7(),
        registration: Registration {
            name: new.name,
            model: new.model,
            owner_id: new.owner_id.unwrap_or(command.caller.actor.id),
            api_key_id: Uuid::now_v7(),
            daily_proposals: new.daily_proposals,
        },
        secrets: app.secrets.clone(),
    };
    let (request, secrets) = (&command.request, &app.secrets);
    app.run_revealing::<Agents, _>(request, &register, StatusCode::CREATED, |agent, once| {
        let key_id = agent.content.api_key_id;
        let (key, notice) = once.show(|| secrets.api_key(key_id, 0), SHOWN_BEFORE);
        RegisteredAgent { agent, key, notice }
    })
    .await
}

/// Changes an agent.
#[utoipa::path(patch, path = "/agents/{id}", tag = "agents", params(("id" = Uuid, Path)), request_body = AgentChanges,
    responses((status = 200, body = Row<AgentContent>)), security(("api_key" = ["agents:write"])))]
async fn revise(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<AgentChanges>,
) -> Result<Response, Problem> {
    let AgentChanges {
        name,
        model,
        daily_proposals,
    } = command.body;
    let changes = Changes {
        name,
        model,
        daily_proposals,
    };
    let revise = Revise { id, changes };
    app.run::<Agents>(&command.request, &revise, StatusCode::OK)
        .await
}

/// Suspends an agent. Its keys stop working at once, and its proposals cannot be approved until it is resumed.
#[utoipa::path(post, path = "/agents/{id}/suspend", tag = "agents", params(("id" = Uuid, Path)),
    request_body = Suspension, responses((status = 200, body = Row<AgentContent>)),
    security(("api_key" = ["agents:write"])))]
async fn suspend(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Suspension>,
) -> Result<Response, Problem> {
    let reason = command.body.reason;
    let suspend = on(id, AgentCommand::Suspend { reason });
    let response = app
        .run::<Agents>(&command.request, &suspend, StatusCode::OK)
        .await?;
    app.authenticator.changed_at(app.head());
    Ok(response)
}

/// Resumes a suspended agent. Its keys work again, and its proposals can be approved again.
#[utoipa::path(post, path = "/agents/{id}/resume", tag = "agents", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<AgentContent>)), security(("api_key" = ["agents:write"])))]
async fn resume(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let response = app
        .run::<Agents>(
            &command.request,
            &on(id, AgentCommand::Resume),
            StatusCode::OK,
        )
        .await?;
    app.authenticator.changed_at(app.head());
    Ok(response)
}

/// Returns one agent.
#[utoipa::path(get, path = "/agents/{id}", tag = "agents", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<AgentContent>)), security(("api_key" = ["agents:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    app.get::<Agents>(&read, id).await
}

/// Lists the agents of the caller's product, newest first.
#[utoipa::path(get, path = "/agents", tag = "agents", params(Which, Page),
    responses((status = 200, body = List<Row<AgentContent>>)), security(("api_key" = ["agents:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    Params(which): Params<Which>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    one_of("status", which.status.as_deref(), &["active", "suspended"])?;
    let wanted = Where::default().and("t.status = ?", &which.status);
    Ok(answer::found(
        app.list::<Agents>(&read, wanted, page).await?,
    ))
}
