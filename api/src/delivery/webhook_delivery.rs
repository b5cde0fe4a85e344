//! Deliveries: what was sent, what came back, and sending it once more.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::{Loaded, On};
use domain::delivery::webhook_delivery::{Delivery, DeliveryCommand};
use projections::delivery::webhook_delivery::{self, DeliveryRow};
use projections::{Cursor, List};
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
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(resend))
}

/// Which deliveries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// `retrying`, `succeeded` or `exhausted`.
    status: Option<String>,
}

/// Attempted deliveries to an endpoint, newest first.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", tag = "webhooks",
    params(("id" = Uuid, Path), Which, Page),
    responses((status = 200, body = List<DeliveryRow>)), security(("api_key" = ["webhooks:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
    Params(which): Params<Which>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let position = app
        .ready(&read, "webhooks:read", &["webhook_delivery", "webhook"])
        .await?;
    let viewer = read.caller.viewer();
    projections::delivery::webhook::get(&app.database, viewer, id)
        .await?
        .ok_or_else(|| Problem::not_found("webhook endpoint"))?;
    let status = which.status.as_deref();
    one_of("status", status, &["retrying", "succeeded", "exhausted"])?;
    let cursor = Cursor::try_from(page)?;
    let found = webhook_delivery::list(&app.database, viewer, id, status, cursor).await?;
    Ok(answer::list(found, position))
}

/// One delivery, as its last attempt left it.
#[utoipa::path(get, path = "/deliveries/{id}", tag = "webhooks", params(("id" = Uuid, Path)),
    responses((status = 200, body = DeliveryRow)), security(("api_key" = ["webhooks:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let position = app
        .ready(&read, "webhooks:read", &["webhook_delivery"])
        .await?;
    let row = webhook_delivery::get(&app.database, read.caller.viewer(), id)
        .await?
        .ok_or_else(|| Problem::not_found("delivery"))?;
    Ok(answer::list(row, position))
}

/// Sends a delivery that has ended once more.
#[utoipa::path(post, path = "/deliveries/{id}/resend", tag = "webhooks", params(("id" = Uuid, Path)),
    responses((status = 204)), security(("api_key" = ["webhooks:write"])))]
async fn resend(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let resend = On::<Delivery> {
        id,
        command: DeliveryCommand::Resend,
    };
    app.run(
        &command.request,
        &resend,
        StatusCode::ACCEPTED,
        |_: &Loaded<Delivery>| None::<()>,
    )
    .await
}
