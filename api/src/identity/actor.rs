//! Actors: members of the caller's workspaces, or all actors of the product for callers who manage its keys.

use axum::extract::State;
use axum::response::Response;
use domain::identity::scope;
use projections::identity::actor::{ActorContent, Actors};
use projections::{ReadModel, Row, Where, visible};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::OVERSEES;
use crate::App;
use crate::filter::Filter;
use crate::problem::Problem;
use crate::query::{Path, Read};
use crate::resource::Resource;

pub fn routes() -> OpenApiRouter<App> {
    Resource::<Actors>::at("/actors")
        .list::<ActorFilter>(
            "Lists the caller and the members of their workspaces, newest first, with kind and name.",
        )
        .with(routes!(get))
        .routes()
}

/// Filters for a list of actors.
#[derive(Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ActorFilter {
    /// Lists all actors of the product; also needs `api_keys:read`.
    all: Option<bool>,
}

impl Filter for ActorFilter {
    fn conditions(self) -> Result<Where, Problem> {
        Ok(Where::default())
    }

    fn is_for_all(&self) -> bool {
        self.all == Some(true)
    }
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
