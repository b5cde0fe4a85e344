//! What commands and queries answer.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use commands::{Handler, Loaded, Planned, Request};
use domain::Aggregate;
use serde::Serialize;
use store::Position;
use utoipa::ToSchema;

use crate::App;
use crate::problem::Problem;

/// What `?dry_run=true` answers: nothing was appended.
#[derive(Debug, Serialize, ToSchema)]
pub struct DryRun {
    pub dry_run: bool,
    #[schema(value_type = Vec<PlannedEvent>)]
    pub events: Vec<Planned>,
}

/// An event that the command would append.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedEvent {
    /// `category-uuid`.
    pub stream: String,
    pub version: i64,
    pub r#type: String,
    pub data: serde_json::Value,
}

/// A resource as a command left it, or as a query found it.
pub struct Found<T> {
    pub resource: T,
    pub version: i64,
    pub position: Position,
}

impl<T: Serialize> IntoResponse for Found<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.resource).into_response();
        tag(&mut response, self.version);
        at(response, self.position)
    }
}

/// Adds the position that an answer holds for.
pub fn at(mut response: Response, position: Position) -> Response {
    response
        .headers_mut()
        .insert("daybook-position", HeaderValue::from(position));
    response
}

fn tag(response: &mut Response, version: i64) {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
}

/// A list, with how far the read model was.
pub fn list(page: impl Serialize, position: Position) -> Response {
    at(Json(page).into_response(), position)
}

impl App {
    /// Runs a command, and answers with the resource as it was right after it, however often the command comes.
    pub(crate) async fn run<A: Aggregate, V: Serialize>(
        &self,
        request: &Request,
        handler: &dyn Handler,
        status: StatusCode,
        view: impl FnOnce(&Loaded<A>) -> Option<V>,
    ) -> Result<Response, Problem> {
        let done = self.executor.execute(request, handler).await?;
        if let Some(events) = done.planned {
            let preview = DryRun {
                dry_run: true,
                events,
            };
            return Ok(at(Json(preview).into_response(), done.position));
        }
        let loaded = self
            .executor
            .loader()
            .at_version::<A>(done.stream.id, done.version)
            .await?;
        let mut response = match view(&loaded) {
            Some(resource) => (status, Json(resource)).into_response(),
            None => StatusCode::NO_CONTENT.into_response(),
        };
        tag(&mut response, done.version);
        if done.replayed {
            response
                .headers_mut()
                .insert("idempotency-replayed", HeaderValue::from_static("true"));
        }
        Ok(at(response, done.position))
    }
}
