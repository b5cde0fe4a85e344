//! Webhook endpoints.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;
use commands::delivery::webhook::{Configure, Enable};
use commands::{Handler, On, Request};
use domain::delivery::webhook::{Changes, SECRET_OVERLAP, SECRET_ROTATED, Webhook, WebhookCommand};
use projections::Row;
use projections::delivery::webhook::{WebhookContent, Webhooks};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::command::{Command, Nothing};
use crate::filter::NoFilter;
use crate::problem::Problem;
use crate::query::Path;
use crate::resource::Resource;

pub fn routes() -> OpenApiRouter<App> {
    Resource::<Webhooks>::at("/webhooks")
        .with(routes!(create))
        .list::<NoFilter>("Lists the endpoints of the caller's product, newest first.")
        .get("Returns one endpoint, without its secret.")
        .with(routes!(update))
        .delete("Deletes an endpoint; nothing more is sent to it.", || WebhookCommand::Delete)
        .with(routes!(rotate_secret))
        .action_with(
            "enable",
            "Enables deliveries to an endpoint again, including those that waited. If the endpoint's key is revoked, only the same \
             actor can do this, with another key; other actors must first take the endpoint over by setting its `url`.",
            |id, _: Nothing| Enable { id },
        )
        .action("disable", "Disables an endpoint; its deliveries wait.", |_: Nothing| {
            WebhookCommand::Disable
        })
        .with(routes!(send_example))
        .with(routes!(replay))
        .routes()
}

/// An endpoint to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    /// URL with http or https, without user name or password; deliveries to private and loopback addresses are refused.
    url: String,
    /// Event types, or patterns such as `proposal.*`.
    #[schema(min_items = 1, max_items = 50)]
    events: BTreeSet<String>,
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// Headers sent with every delivery. Their values are encrypted and never shown again.
    headers: Option<BTreeMap<String, String>>,
    /// Maximum number of deliveries per second; unlimited if 0 or not given.
    #[schema(maximum = 10_000)]
    rate_limit: Option<u32>,
}

/// Changes to an endpoint.
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

/// Options for rotating a secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SecretRotation {
    /// Seconds for which deliveries are also signed with the old secret; a day if not given.
    #[schema(minimum = 0, maximum = 2_592_000)]
    overlap_seconds: Option<i64>,
}

/// The example to send.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExampleOf {
    /// Type of the example event; defaults to the first subscribed type.
    #[schema(example = "note.created")]
    event_type: Option<String>,
}

/// The history to replay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplayFrom {
    /// Position after which all events are delivered again; 0 means the whole history.
    #[schema(minimum = 0)]
    from_position: i64,
}

/// Notice that replaces the secret in a repeated answer.
const SHOWN_BEFORE: &str =
    "the secret was shown in the first answer only; rotate it to get another";
/// Notice about an endpoint that was moved to another origin or owner.
const MOVED: &str = "the url leads to another origin, or was another actor's: headers that were not given anew are dropped, and the secret is new";
/// Notice about a moved endpoint, in a repeated answer without the secret.
const MOVED_BEFORE: &str = "if this change led to another origin or took the endpoint over, the secret was new and shown in the first answer only; rotate it to get another";

/// An endpoint with its secret.
#[derive(Serialize, ToSchema)]
struct WebhookWithSecret {
    #[serde(flatten)]
    webhook: Row<WebhookContent>,
    /// Secret for verifying deliveries; only in the first answer to the request that creates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Notice about the secret.
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

    /// Runs a command that creates a secret, and shows it once.
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

/// Creates an endpoint and shows its secret once. It receives the events that the caller may see with this key at delivery.
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

/// Changes an endpoint. The caller who sets its `url` becomes its owner. If the `url` has another origin or the endpoint belonged to
/// another actor, its headers are dropped unless given again, and it gets a new secret.
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

/// Gives one of the caller's endpoints a new secret, and shows it once. Deliveries carry both signatures for a while.
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

/// Sends an example, to test whether the endpoint answers.
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

/// Delivers past events again, or for the first time to a new endpoint. An endpoint has at most one replay in progress; its deliveries are
/// queued a few hundred at a time.
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
