//! Agents: they register with a key that can only propose, have a budget, and can be suspended and resumed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::agents::agent::{Register, Revise};
use domain::agents::agent::{AgentCommand, Changes, Registration};
use projections::Row;
use projections::agents::agent::{AgentContent, Agents};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::command::{Command, Nothing};
use crate::filter::Filter;
use crate::problem::Problem;
use crate::resource::Resource;
use projections::agents::agent::AgentStatus;

pub fn routes() -> OpenApiRouter<App> {
    Resource::<Agents>::at("/agents")
        .with(routes!(register))
        .list::<AgentFilter>("Lists the agents of the caller's product, newest first.")
        .get("Returns one agent.")
        .patch_with("Changes an agent.", |id, changes: AgentChanges| Revise {
            id,
            changes: changes.into(),
        })
        .action(
            "suspend",
            "Suspends an agent. Its keys stop working at once, and its proposals cannot be approved until it is resumed.",
            |Suspension { reason }| AgentCommand::Suspend { reason },
        )
        .action(
            "resume",
            "Resumes a suspended agent. Its keys work again, and its proposals can be approved again.",
            |_: Nothing| AgentCommand::Resume,
        )
        .routes()
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

impl From<AgentChanges> for Changes {
    fn from(asked: AgentChanges) -> Self {
        Self {
            name: asked.name,
            model: asked.model,
            daily_proposals: asked.daily_proposals,
        }
    }
}

/// The reason to suspend an agent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Suspension {
    #[schema(min_length = 1, max_length = 1_000)]
    reason: String,
}

/// Filters for a list of agents.
#[derive(Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AgentFilter {
    #[param(inline)]
    status: Option<AgentStatus>,
}

impl Filter for AgentFilter {}

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
