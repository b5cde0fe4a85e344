//! The registry of resources: one line each.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::openapi::Base;
use crate::problem::Problem;
use crate::{App, agents, delivery, health, identity, knowledge, middleware, openapi, operations};

pub(crate) fn described() -> OpenApiRouter<App> {
    let v1 = OpenApiRouter::new()
        .merge(identity::me::routes())
        .merge(identity::product::routes())
        .merge(identity::actor::routes())
        .merge(identity::api_key::routes())
        .merge(identity::avatar::routes())
        .merge(knowledge::workspace::routes())
        .merge(knowledge::note::routes())
        .merge(knowledge::link::routes())
        .merge(knowledge::search::routes())
        .merge(knowledge::task::routes())
        .merge(knowledge::calendar_feed::routes())
        .merge(knowledge::artifact::routes())
        .merge(knowledge::attachment::routes())
        .merge(agents::agent::routes())
        .merge(agents::proposal::routes())
        .merge(agents::tool_call::routes())
        .merge(agents::policy::routes())
        .merge(delivery::webhook::routes())
        .merge(delivery::webhook_delivery::routes())
        .merge(operations::event::routes())
        .merge(operations::due_work::routes())
        .merge(operations::file::routes())
        .merge(operations::storage::routes());
    OpenApiRouter::with_openapi(Base::openapi())
        .nest("/v1", v1)
        .merge(knowledge::calendar::routes())
        .merge(agents::mcp::routes())
        .merge(operations::file_content::routes())
        .merge(health::routes())
}

/// The whole server.
pub fn router(app: App) -> Router {
    let pages = SwaggerUi::new("/docs")
        .external_url_unchecked("/openapi.json", openapi::published().clone())
        .config(Config::default().use_base_layout().validator_url("none"));
    let pages = Router::from(pages).layer(map_response(page));
    Router::from(described())
        .merge(pages)
        .merge(agents::mcp::router(&app))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(DefaultBodyLimit::max(app.limits.body))
        .layer(from_fn_with_state(app.clone(), middleware::around))
        .with_state(app)
}

/// Whatever the scripts of a page would like to load from elsewhere: the browser does not let them.
async fn page(uri: Uri, response: Response) -> Response {
    let mut response = match response.status() {
        StatusCode::NOT_FOUND => not_found(uri).await.into_response(),
        _ => response,
    };
    response.headers_mut().insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    );
    response
}

async fn not_found(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_path",
        format!(
            "there is nothing at {}; /docs lists what there is",
            uri.path()
        ),
    )
}

async fn method_not_allowed(uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!(
            "{} does not take this method; /docs lists what it takes",
            uri.path()
        ),
    )
}

fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    Problem::internal(&text).into_response()
}
