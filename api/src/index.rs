//! The root path: tells people and programs where to go.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{accept, agents, openapi};

pub fn routes() -> OpenApiRouter<crate::App> {
    OpenApiRouter::new().routes(routes!(index))
}

/// The server and its main paths.
#[derive(Serialize, ToSchema)]
struct Index {
    name: &'static str,
    version: &'static str,
    description: &'static str,
    /// Path of the guides, reference, error codes and event types, for people.
    documentation: &'static str,
    /// Path of the API's description (OpenAPI 3.1), for programs.
    openapi: &'static str,
    /// Path of the endpoint for agents (Model Context Protocol).
    mcp: &'static str,
    /// Path of the readiness probe.
    health: &'static str,
}

/// Describes the server and its main paths. Browsers are redirected to the documentation.
#[utoipa::path(get, path = "/", tag = "operations", operation_id = "index",
    responses((status = 200, body = Index), (status = 303, description = "To the documentation, where `Accept` prefers a page.")))]
async fn index(headers: HeaderMap) -> Response {
    let mut response = match accept::preferred(&headers, &["application/json", "text/html"]) {
        "text/html" => Redirect::to("/docs").into_response(),
        _ => Json(Index {
            name: "Daybook",
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            documentation: "/docs",
            openapi: openapi::PATH,
            mcp: agents::mcp::PATH,
            health: "/health/ready",
        })
        .into_response(),
    };
    let accept = HeaderValue::from_name(header::ACCEPT);
    response.headers_mut().insert(header::VARY, accept);
    response
}
