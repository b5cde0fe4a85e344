//! Webhook endpoints.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;
use commands::delivery::webhook::{Configure, Enable};
use commands::{Handler, On, Request};
use domain::delivery::webhook::{Changes, SECRET_OVERLAP, SECRET_ROTATED, Webhook, WebhookCommand};
use projections::delivery::webhook::{WebhookContent, Webhooks};
use projections::{List, Row, Where};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::answer;
use crate::command::{Command, Nothing};
use crate::problem::Problem;
use crate::query::{Page, Params, Path, Read};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, update, delete))
        .routes(routes!(rotate_secret))
        .routes(routes!(enable))
        .routes(routes!(disable))
        .routes(routes!(send_example))
        .routes(routes!(replay))
}

/// An endpoint to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    /// http or https, without a name or password; private and loopback addresses are refused when it is called.
    url: String,
    /// Event types, or patterns such as `proposal.*`.
    #[schema(min_items = 1, max_items = 50)]
    events: BTreeSet<String>,
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// Sent along with every delivery. Their values are sealed, and never shown again.
    headers: Option<BTreeMap<String, String>>,
    /// Deliveries per second; 0 or nothing: no limit.
    #[schema(maximum = 10_000)]
    rate_limit: Option<u32>,
}

/// What is to change about an endpoint.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookChanges {
    url: Option<String>,
    #[schema(min_items = 1, max_items = 50)]
    events: Option<BTreeSet<String>>,
    #[schema(max_length = 1000)]
    description: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    #[schema(maximum = 10_000)]
    rate_limit: Option<u32>,
}

/// How a secret is to be rotated.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecretRotation {
    /// How long deliveries are signed with the old secret too; a day if not given.
    #[schema(minimum = 0, maximum = 2_592_000)]
    overlap_seconds: Option<i64>,
}

/// Which example.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExampleOf {
    /// The first type that the endpoint has subscribed to, if not given.
    #[schema(example = "note.created")]
    event_type: Option<String>,
}

/// Which history.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplayFrom {
    /// Everything after it is delivered again; 0 is the whole history.
    #[schema(minimum = 0)]
    from_position: i64,
}

/// What to do where a repetition would show a secret.
const SHOWN_BEFORE: &str =
    "the secret was shown in the first answer only; rotate it to get another";
/// What has happened to an endpoint that was sent elsewhere.
const MOVED: &str = "the url leads to another origin, or was another actor's: headers that were not given anew are dropped, and the secret is new";
/// The same, where the secret is not shown.
const MOVED_BEFORE: &str = "if this change led to another origin or took the endpoint over, the secret was new and shown in the first answer only; rotate it to get another";

/// An endpoint with its secret.
#[derive(Serialize, ToSchema)]
struct WebhookWithSecret {
    #[serde(flatten)]
    webhook: Row<WebhookContent>,
    /// Verifies deliveries. Only in the first answer to the request that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// What to do or to know about the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

impl App {
    fn configure(
        &self,
        id: Uuid,
        command: fn(Changes) -> WebhookCommand,
        changes: Changes,
    ) -> Configure {
        Configure {
            id,
            command,
            changes,
            secrets: self.secrets.clone(),
        }
    }

    /// Runs a command that makes a secret, and shows it once.
    async fn make_secret(
        &self,
        request: &Request,
        handler: &dyn Handler,
        status: StatusCode,
    ) -> Result<Response, Problem> {
        self.run_revealing::<Webhooks, _>(request, handler, status, |webhook, once| {
            let (secret, notice) = once.show(|| self.secret(&webhook), SHOWN_BEFORE);
            WebhookWithSecret {
                webhook,
                secret,
                notice,
            }
        })
        .await
    }

    fn secret(&self, webhook: &Row<WebhookContent>) -> String {
        self.secrets
            .webhook(webhook.metadata.id, webhook.content.generation)
    }
}

const fn on(id: Uuid, command: WebhookCommand) -> On<Webhook> {
    On { id, command }
}

/// Makes an endpoint, and shows its secret once. It gets what the caller may see with this key when it is delivered.
#[utoipa::path(post, path = "/webhooks", tag = "webhooks", request_body = NewWebhook,
    responses((status = 201, body = WebhookWithSecret)), security(("api_key" = ["webhooks:write"])))]
async fn create(State(app): State<App>, command: Command<NewWebhook>) -> Result<Response, Problem> {
    let new = command.body;
    let changes = Changes {
        url: Some(new.url),
        events: Some(new.events),
        description: new.description,
        headers: new.headers,
        rate_limit: new.rate_limit,
        ..Changes::default()
    };
    let create = app.configure(Uuid::now_v7(), WebhookCommand::Create, changes);
    app.make_secret(&command.request, &create, StatusCode::CREATED)
        .await
}

/// Changes an endpoint. Whoever sets its `url` owns it. Its headers go, unless they are given anew, and its secret is new,
/// if the `url` is of another origin or the endpoint was another actor's.
#[utoipa::path(patch, path = "/webhooks/{id}", tag = "webhooks", params(("id" = Uuid, Path)),
    request_body = WebhookChanges, responses((status = 200, body = WebhookWithSecret)),
    security(("api_key" = ["webhooks:write"])))]
async fn update(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<WebhookChanges>,
) -> Result<Response, Problem> {
    let asked = command.body;
    let changes = Changes {
        url: asked.url,
        events: asked.events,
        description: asked.description,
        headers: asked.headers,
        rate_limit: asked.rate_limit,
        ..Changes::default()
    };
    let leads = changes.url.is_some();
    let update = app.configure(id, WebhookCommand::Update, changes);
    let request = &command.request;
    app.run_revealing::<Webhooks, _>(request, &update, StatusCode::OK, |webhook, once| {
        let moved = once.has_appended(SECRET_ROTATED);
        WebhookWithSecret {
            secret: moved.then(|| app.secret(&webhook)),
            notice: match (moved, once.is_repeated() && leads) {
                (true, _) => Some(MOVED),
                (false, true) => Some(MOVED_BEFORE),
                (false, false) => None,
            },
            webhook,
        }
    })
    .await
}

/// Deletes an endpoint; nothing more is sent to it.
#[utoipa::path(delete, path = "/webhooks/{id}", tag = "webhooks", params(("id" = Uuid, Path)),
    responses((status = 204)), security(("api_key" = ["webhooks:write"])))]
async fn delete(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let delete = on(id, WebhookCommand::Delete);
    app.run::<Webhooks>(&command.request, &delete, StatusCode::OK)
        .await
}

/// Gives an endpoint of the caller's a new secret, and shows it once. Deliveries carry both signatures for a while.
#[utoipa::path(post, path = "/webhooks/{id}/rotate-secret", tag = "webhooks", params(("id" = Uuid, Path)),
    request_body = Option<SecretRotation>, responses((status = 200, body = WebhookWithSecret)),
    security(("api_key" = ["webhooks:write"])))]
async fn rotate_secret(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<SecretRotation>,
) -> Result<Response, Problem> {
    let overlap = command
        .body
        .overlap_seconds
        .map_or(SECRET_OVERLAP, |seconds| {
            TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX)
        });
    let rotate = on(id, WebhookCommand::RotateSecret { overlap });
    app.make_secret(&command.request, &rotate, StatusCode::OK)
        .await
}

/// Lets deliveries go to an endpoint again, those that waited included. Where the key that it belonged to is revoked, only
/// its actor does so, with another key; others take it over first by setting its `url`.
#[utoipa::path(post, path = "/webhooks/{id}/enable", tag = "webhooks", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<WebhookContent>)), security(("api_key" = ["webhooks:write"])))]
async fn enable(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    app.run::<Webhooks>(&command.request, &Enable { id }, StatusCode::OK)
        .await
}

/// Keeps deliveries back from an endpoint.
#[utoipa::path(post, path = "/webhooks/{id}/disable", tag = "webhooks", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<WebhookContent>)), security(("api_key" = ["webhooks:write"])))]
async fn disable(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let disable = on(id, WebhookCommand::Disable);
    app.run::<Webhooks>(&command.request, &disable, StatusCode::OK)
        .await
}

/// Sends an example, to see whether the endpoint answers.
#[utoipa::path(post, path = "/webhooks/{id}/send-example", tag = "webhooks", params(("id" = Uuid, Path)),
    request_body = Option<ExampleOf>, responses((status = 202, body = Row<WebhookContent>)),
    security(("api_key" = ["webhooks:write"])))]
async fn send_example(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<ExampleOf>,
) -> Result<Response, Problem> {
    let example = WebhookCommand::SendExample {
        event_type: command.body.event_type,
    };
    let send = on(id, example);
    app.run::<Webhooks>(&command.request, &send, StatusCode::ACCEPTED)
        .await
}

/// Delivers history again, or for the first time to a new endpoint. One replay of an endpoint is under way at a time; its
/// deliveries are queued a few hundred at a time.
#[utoipa::path(post, path = "/webhooks/{id}/replay", tag = "webhooks", params(("id" = Uuid, Path)),
    request_body = ReplayFrom, responses((status = 202, body = Row<WebhookContent>)),
    security(("api_key" = ["webhooks:write"])))]
async fn replay(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<ReplayFrom>,
) -> Result<Response, Problem> {
    let replay = WebhookCommand::Replay {
        from_position: command.body.from_position,
        to_position: app.head(),
    };
    app.run::<Webhooks>(&command.request, &on(id, replay), StatusCode::ACCEPTED)
        .await
}

/// One endpoint, without its secret.
#[utoipa::path(get, path = "/webhooks/{id}", tag = "webhooks", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<WebhookContent>)), security(("api_key" = ["webhooks:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    app.get::<Webhooks>(&read, id).await
}

/// The endpoints of the caller's product, newest first.
#[utoipa::path(get, path = "/webhooks", tag = "webhooks", params(Page),
    responses((status = 200, body = List<Row<WebhookContent>>)), security(("api_key" = ["webhooks:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    Ok(answer::found(
        app.list::<Webhooks>(&read, Where::default(), page).await?,
    ))
}
