//! Deliveries: the requests, their answers, and resending.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::delivery::webhook::Resend;
use projections::delivery::webhook::Webhooks;
use projections::delivery::webhook_delivery::{Deliveries, DeliveryContent};
use projections::{List, Row};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::answer;
use crate::command::{Command, Nothing};
use crate::filter::Filter;
use crate::problem::Problem;
use crate::query::{Page, Params, Path, Read};
use crate::resource::Resource;
use projections::delivery::webhook_delivery::DeliveryStatus;
use serde::Serialize;

pub fn routes() -> OpenApiRouter<App> {
    Resource::<Deliveries>::at("/deliveries")
        .tagged("webhooks")
        .get("Returns one delivery as of its last attempt.")
        .with(routes!(deliveries))
        .with(routes!(resend))
        .routes()
}

/// Filters for a list of deliveries.
#[derive(Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeliveryFilter {
    #[param(inline)]
    status: Option<DeliveryStatus>,
}

impl Filter for DeliveryFilter {}

/// Lists the attempted deliveries to an endpoint, newest first.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", tag = "webhooks",
    params(("id" = Uuid, Path), DeliveryFilter, Page),
    responses((status = 200, body = List<Row<DeliveryContent>>)), security(("api_key" = ["webhooks:read"])))]
async fn deliveries(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
    Params(filter): Params<DeliveryFilter>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    app.find::<Webhooks>(&read, id).await?;
    let wanted = filter.conditions()?.and("t.webhook_id = ?", Some(id));
    Ok(answer::found(
        app.list::<Deliveries>(&read, wanted, page).await?,
    ))
}

/// Resends a delivery now. A waiting retry is made at once instead.
#[utoipa::path(post, path = "/deliveries/{id}/resend", tag = "webhooks", params(("id" = Uuid, Path)),
    responses((status = 202, body = Row<DeliveryContent>)), security(("api_key" = ["webhooks:write"])))]
async fn resend(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let resend = Resend { delivery_id: id };
    app.run::<Deliveries>(&command.request, &resend, StatusCode::ACCEPTED)
        .await
}
