//! The caller, as described by their key.

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
    /// Display name of the caller.
    name: String,
    product_id: Uuid,
    credential: Credential,
    /// Workspaces that the caller is a member of, newest first; a thousand at most.
    workspaces: Vec<JoinedWorkspace>,
}

/// The key of the request.
#[derive(Serialize, ToSchema)]
struct Credential {
    id: Uuid,
    name: String,
    /// Scopes: `<context>:read`, `<context>:write`, or `*`. Whatever its scopes, an agent can only read and propose.
    scopes: BTreeSet<String>,
    /// Id of the actor who controls the key: the caller, unless somebody else has seen it.
    controller: Uuid,
    /// True if only the caller has seen the key since it was enrolled.
    enrolled: bool,
}

/// Returns the caller: the actor, their product, the scopes of their key, and their role in each workspace. Needs no scope.
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
