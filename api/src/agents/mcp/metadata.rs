//! OAuth 2.0 protected resource metadata (RFC 9728). It names no authorization server, because the server accepts API keys and no tokens
//! of one.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;

/// Path of the metadata of the resource at `/mcp` (RFC 9728, section 3.1).
pub const PATH: &str = "/.well-known/oauth-protected-resource/mcp";

/// Scopes that calls need.
pub const SCOPES: [&str; 5] = [
    "notes:read",
    "tasks:read",
    "workspaces:read",
    "proposals:read",
    "proposals:write",
];

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(of_mcp))
        .routes(routes!(of_server))
}

/// The metadata that a client needs to authenticate.
#[derive(Serialize, ToSchema)]
struct ProtectedResource {
    resource: String,
    resource_name: &'static str,
    resource_documentation: String,
    bearer_methods_supported: [&'static str; 1],
    scopes_supported: [&'static str; 5],
}

fn describe(app: &App, headers: &HeaderMap) -> Json<ProtectedResource> {
    let base = app.site.base_url(headers);
    Json(ProtectedResource {
        resource: format!("{base}/mcp"),
        resource_name: "Daybook",
        resource_documentation: format!("{base}/docs"),
        bearer_methods_supported: ["header"],
        scopes_supported: SCOPES,
    })
}

/// Describes `/mcp` as a protected resource (RFC 9728).
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource/mcp", tag = "agents", operation_id = "protected_resource_mcp",
    responses((status = 200, body = ProtectedResource)))]
async fn of_mcp(State(app): State<App>, headers: HeaderMap) -> Json<ProtectedResource> {
    describe(&app, &headers)
}

/// Describes the same resource, for clients that know only the server.
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource", tag = "agents", operation_id = "protected_resource",
    responses((status = 200, body = ProtectedResource)))]
async fn of_server(State(app): State<App>, headers: HeaderMap) -> Json<ProtectedResource> {
    describe(&app, &headers)
}
