//! Who the caller is, as their key has it.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Response;
use domain::identity::actor::KnownActor;
use domain::identity::api_key::ApiKey;
use domain::knowledge::workspace::Workspace;
use domain::{Actor, Aggregate};
use projections::identity::actor::Actors;
use projections::identity::api_key::ApiKeys;
use projections::knowledge::workspace::{self, JoinedWorkspace};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::answer;
use crate::problem::Problem;
use crate::query::Read;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(me))
}

/// The caller.
#[derive(Serialize, ToSchema)]
struct Me {
    actor: Actor,
    /// As people call them.
    name: String,
    product_id: Uuid,
    credential: Credential,
    /// Those that the caller is a member of, the newest first; a thousand at most.
    workspaces: Vec<JoinedWorkspace>,
}

/// The key that the request came with.
#[derive(Serialize, ToSchema)]
struct Credential {
    id: Uuid,
    name: String,
    /// `<context>:read`, `<context>:write`, or `*`. An agent reads and proposes, whatever they are.
    scopes: BTreeSet<String>,
    /// Id of the actor in whose hands the key is: the caller's own, unless somebody else has seen it.
    controller: Uuid,
    /// Nobody but the caller has seen it since it was enrolled.
    enrolled: bool,
}

/// Who the caller is: the actor, their product, what their key may do, and their role in each workspace. Takes no scope.
#[utoipa::path(get, path = "/me", tag = "actors", responses((status = 200, body = Me)), security(("api_key" = [])))]
async fn me(State(app): State<App>, read: Read) -> Result<Response, Problem> {
    let mut position = i64::MAX;
    for model in [ApiKey::CATEGORY, KnownActor::CATEGORY, Workspace::CATEGORY] {
        position = position.min(app.readers.wait(model, read.min_position).await?);
    }
    let caller = &read.caller;
    let key = app.row::<ApiKeys>(&read, caller.credential).await?;
    let actor = projections::get::<Actors>(&app.database, caller.viewer(), caller.actor.id).await?;
    let workspaces =
        workspace::joined_by(&app.database, caller.product_id, caller.actor.id).await?;
    let me = Me {
        actor: caller.actor,
        name: actor.map_or_else(|| key.content.name.clone(), |actor| actor.content.name),
        product_id: caller.product_id,
        credential: Credential {
            id: caller.credential,
            name: key.content.name,
            scopes: key.content.scopes,
            controller: key.content.controller,
            enrolled: key.content.enrolled,
        },
        workspaces,
    };
    Ok(answer::found((me, position)))
}
