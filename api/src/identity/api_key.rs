//! API keys: shown once when issued, rotated or enrolled; after that, only their hash is known.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use commands::identity::api_key::{Enrol, Issue, Rotate};
use commands::{Handler, On, Request};
use domain::identity::api_key::{ApiKey, ApiKeyCommand};
use domain::identity::product::OPERATOR;
use domain::{Actor, ActorKind};
use projections::identity::api_key::{ApiKeyContent, ApiKeys};
use projections::{Row, RowMetadata};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::MANAGES;
use crate::App;
use crate::command::{Command, Nothing};
use crate::filter::NoFilter;
use crate::problem::{FieldError, Problem};
use crate::query::Path;
use crate::resource::Resource;
use projections::identity::api_key::ApiKeyStatus;

/// Default time for which a rotated key keeps working: a day.
const OVERLAP_SECONDS: i64 = 86_400;
/// Notice that replaces the key in a repeated answer.
const SHOWN_BEFORE: &str =
    "the key was shown in the first answer only; rotate it, or revoke it and issue another";

pub fn routes() -> OpenApiRouter<App> {
    Resource::<ApiKeys>::at("/api-keys")
        .tagged("api-keys")
        .shown_as::<ApiKeyView>()
        .with(routes!(issue))
        .list::<NoFilter>("Lists the keys of the caller's product, or every key for the operator.")
        .with(routes!(enrol))
        .get("Returns one key's record, without the secret key.")
        .with(routes!(revoke))
        .with(routes!(rotate))
        .routes()
}

/// A key to issue.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewApiKey {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Product of the key; only the operator may name one, for others it is their own.
    product_id: Option<Uuid>,
    actor: NewActor,
    /// Scopes: `<context>:read`, `<context>:write`, or `*`.
    #[schema(min_items = 1)]
    scopes: BTreeSet<String>,
}

/// The future holder of the key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewActor {
    kind: ActorKind,
    /// Id of the actor; a new actor if not given. Only the operator may name an actor other than themselves.
    id: Option<Uuid>,
    /// Name of a new actor; defaults to the key's name.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
}

/// Options for rotating a key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// Seconds for which the old key keeps working; a day if not given.
    #[schema(minimum = 0, maximum = 2_592_000)]
    overlap_seconds: Option<i64>,
}

/// An API key.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
struct ApiKeyView {
    #[serde(flatten)]
    metadata: RowMetadata,
    name: String,
    actor: Actor,
    scopes: BTreeSet<String>,
    status: ApiKeyStatus,
    /// Id of the actor who controls the key: its own actor, unless somebody else has seen the key or created the actor. Two people count
    /// as two approvers only if their keys have different controllers.
    controller: Uuid,
    /// True if only the holder has seen the key since it was enrolled.
    enrolled: bool,
    /// Time until which the key before the last rotation works.
    previous_valid_until: Option<DateTime<Utc>>,
    /// The key itself; only in the first answer to the request that issues, rotates or enrols it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Notice in place of the key, in the answer to a repeated request.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

impl From<Row<ApiKeyContent>> for ApiKeyView {
    fn from(row: Row<ApiKeyContent>) -> Self {
        let key = row.content;
        Self {
            metadata: row.metadata,
            name: key.name,
            actor: key.actor,
            scopes: key.scopes,
            status: key.status,
            controller: key.controller,
            enrolled: key.enrolled,
            previous_valid_until: key.previous_valid_until,
            key: None,
            notice: None,
        }
    }
}

impl App {
    /// Runs a command that creates a key, and shows it once.
    async fn make_key(
        &self,
        request: &Request,
        handler: &dyn Handler,
        status: StatusCode,
    ) -> Result<Response, Problem> {
        self.run_revealing::<ApiKeys, _>(request, handler, status, |row, once| {
            let (id, generation) = (row.metadata.id, row.content.generation);
            let (key, notice) = once.show(|| self.secrets.api_key(id, generation), SHOWN_BEFORE);
            ApiKeyView {
                key,
                notice,
                ..row.into()
            }
        })
        .await
    }
}

/// Issues a key with at most the issuer's own scopes.
#[utoipa::path(post, path = "/api-keys", tag = "api-keys", request_body = NewApiKey,
    responses((status = 201, body = ApiKeyView)), security(("api_key" = ["api_keys:write"])))]
async fn issue(State(app): State<App>, command: Command<NewApiKey>) -> Result<Response, Problem> {
    let caller = command.caller;
    caller.require(MANAGES)?;
    let mut request = command.request;
    request.product_id = match command.body.product_id {
        Some(id) if id == caller.product_id || caller.is_operator() => id,
        Some(_) => return Err(Problem::not_found("product")),
        None if caller.is_operator() => {
            return Err(Problem::invalid(vec![FieldError {
                pointer: "/product_id".into(),
                detail: format!("must name a product; {OPERATOR} for another key of the operator"),
            }]));
        }
        None => caller.product_id,
    };
    let named = command.body.actor.id;
    let actor_name = command.body.actor.name;
    let issue = Issue {
        id: Uuid::now_v7(),
        actor_name: actor_name.unwrap_or_else(|| command.body.name.clone()),
        name: command.body.name,
        actor: Actor {
            kind: command.body.actor.kind,
            id: named.unwrap_or_else(Uuid::now_v7),
        },
        named: named.is_some(),
        scopes: command.body.scopes,
        issuer: caller.issuer(),
        secrets: app.secrets.clone(),
    };
    app.make_key(&request, &issue, StatusCode::CREATED).await
}

/// Enrols the key of the request: replaces it at once by a new one that only its holder has seen. Needs no scope.
#[utoipa::path(post, path = "/api-keys/enrol", tag = "api-keys",
    responses((status = 200, body = ApiKeyView)), security(("api_key" = [])))]
async fn enrol(State(app): State<App>, command: Command<Nothing>) -> Result<Response, Problem> {
    let enrol = Enrol {
        id: command.caller.credential,
        secrets: app.secrets.clone(),
    };
    // Every key may be enrolled, whatever its scopes.
    let request = Request {
        scopes: Arc::new([MANAGES.to_owned()].into()),
        ..command.request
    };
    app.make_key(&request, &enrol, StatusCode::OK).await
}

/// Replaces a key by a new one; the old one keeps working for a while.
#[utoipa::path(post, path = "/api-keys/{id}/rotate", tag = "api-keys", params(("id" = Uuid, Path)),
    request_body = Option<Rotation>, responses((status = 200, body = ApiKeyView)),
    security(("api_key" = ["api_keys:write"])))]
async fn rotate(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    mut command: Command<Rotation>,
) -> Result<Response, Problem> {
    app.reach::<ApiKey>(&mut command, id).await?;
    let seconds = command.body.overlap_seconds.unwrap_or(OVERLAP_SECONDS);
    let rotate = Rotate {
        id,
        overlap: TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX),
        issuer: command.caller.issuer(),
        secrets: app.secrets.clone(),
    };
    app.make_key(&command.request, &rotate, StatusCode::OK)
        .await
}

/// Revokes a key, which stops working at once.
#[utoipa::path(delete, path = "/api-keys/{id}", tag = "api-keys", params(("id" = Uuid, Path)),
    responses((status = 200, body = ApiKeyView)), security(("api_key" = ["api_keys:write"])))]
async fn revoke(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    mut command: Command<Nothing>,
) -> Result<Response, Problem> {
    app.reach::<ApiKey>(&mut command, id).await?;
    let revoke = On::<ApiKey> {
        id,
        command: ApiKeyCommand::Revoke {
            issuer: command.caller.issuer(),
        },
    };
    app.run_as::<ApiKeys, _>(&command.request, &revoke, StatusCode::OK, ApiKeyView::from)
        .await
}
