//! The registry of resources: one line each.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::openapi::Base;
use crate::problem::Problem;
use crate::{App, agents, delivery, health, identity, knowledge, middleware, operations};

pub(crate) fn described() -> OpenApiRouter<App> {
    let v1 = OpenApiRouter::new()
        .merge(identity::product::routes())
        .merge(identity::api_key::routes())
        .merge(knowledge::workspace::routes())
        .merge(knowledge::note::routes())
        .merge(agents::proposal::routes())
        .merge(delivery::webhook::routes())
        .merge(delivery::webhook_delivery::routes())
        .merge(operations::event::routes())
        .merge(operations::due_work::routes());
    OpenApiRouter::with_openapi(Base::openapi())
        .nest("/v1", v1)
        .merge(health::routes())
}

/// The whole server.
pub fn router(app: App) -> Router {
    let (router, document) = described().split_for_parts();
    let pages = SwaggerUi::new("/docs")
        .url("/openapi.json", document)
        .config(Config::default().use_base_layout().validator_url("none"));
    router
        .merge(pages)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(DefaultBodyLimit::max(app.limits.body))
        .layer(from_fn_with_state(app.clone(), middleware::around))
        .with_state(app)
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

fn panicked(panic: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    Problem::internal(&text).into_response()
}
