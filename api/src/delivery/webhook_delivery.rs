//! Deliveries: the requests, their answers, and resending.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::delivery::webhook::Resend;
use projections::delivery::webhook::Webhooks;
use projections::delivery::webhook_delivery::{Deliveries, DeliveryContent};
use projections::{List, Row, Where};
use serde::Deserialize;
use utoipa::IntoParams;
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
        .routes(routes!(deliveries))
        .routes(routes!(get))
        .routes(routes!(resend))
}

/// Filters for a list of deliveries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Status: `retrying`, `succeeded` or `exhausted`.
    status: Option<String>,
}

/// Lists the attempted deliveries to an endpoint, newest first.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", tag = "webhooks",
    params(("id" = Uuid, Path), Which, Page),
    responses((status = 200, body = List<Row<DeliveryContent>>)), security(("api_key" = ["webhooks:read"])))]
async fn deliveries(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
    Params(which): Params<Which>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    one_of(
        "status",
        which.status.as_deref(),
        &["retrying", "succeeded", "exhausted"],
    )?;
    app.find::<Webhooks>(&read, id).await?;
    let webhook_id = Some(id);
    let wanted = Where::default()
        .and("t.webhook_id = ?", &webhook_id)
        .and("t.status = ?", &which.status);
    Ok(answer::found(
        app.list::<Deliveries>(&read, wanted, page).await?,
    ))
}

/// Returns one delivery as of its last attempt.
#[utoipa::path(get, path = "/deliveries/{id}", tag = "webhooks", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<DeliveryContent>)), security(("api_key" = ["webhooks:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    app.get::<Deliveries>(&read, id).await
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
