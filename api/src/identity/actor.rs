//! Actors: members of the caller's workspaces, or all actors of the product for callers who manage its keys.

use axum::extract::State;
use axum::response::Response;
use domain::identity::scope;
use projections::identity::actor::{ActorContent, Actors};
use projections::{List, ReadModel, Row, Where, visible};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::OVERSEES;
use crate::App;
use crate::answer;
use crate::problem::Problem;
use crate::query::{Page, Params, Path, Read};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
}

/// Filters for a list of actors.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Lists all actors of the product; also needs `api_keys:read`.
    all: Option<bool>,
}

/// Lists the caller and the members of their workspaces, newest first, with kind and name.
#[utoipa::path(get, path = "/actors", tag = "actors", params(Which, Page),
    responses((status = 200, body = List<Row<ActorContent>>)), security(("api_key" = ["actors:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    Params(which): Params<Which>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    Ok(answer::found(if which.all == Some(true) {
        app.list_all::<Actors>(&read, page).await?
    } else {
        app.list::<Actors>(&read, Where::default(), page).await?
    }))
}

/// Returns one actor: the caller or a member of their workspaces; with `api_keys:read`, any actor of the product.
#[utoipa::path(get, path = "/actors/{id}", tag = "actors", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<ActorContent>)), security(("api_key" = ["actors:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let visible = if scope::grants(&read.caller.scopes, OVERSEES) {
        visible::IN_PRODUCT
    } else {
        Actors::VISIBLE
    };
    let (row, position) = app.find_where::<Actors>(&read, visible, id).await?;
    Ok(App::show(&row, row.metadata.version, position))
}
