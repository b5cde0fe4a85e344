//! All routes. Each group registers those of its resources.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{ACCESS_CONTROL_REQUEST_METHOD, LOCATION};
use axum::http::{Method, Request, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{Route, get};
use futures::future::Either;
use tower::layer::layer_fn;
use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::openapi::Base;
use crate::problem::Problem;
use crate::{
    App, agents, coding, delivery, docs, health, identity, index, knowledge, middleware, openapi,
    operations, site,
};

pub(crate) fn described() -> OpenApiRouter<App> {
    let v1 = together([
        identity::routes(),
        knowledge::routes(),
        agents::routes(),
        delivery::routes(),
        operations::routes(),
    ]);
    OpenApiRouter::with_openapi(Base::openapi())
        .nest("/v1", v1)
        .merge(knowledge::calendar::routes())
        .merge(agents::mcp::routes())
        .merge(operations::file_content::routes())
        .merge(health::routes())
        .merge(index::routes())
}

/// Merges routes.
///
/// # Panics
///
/// Panics if two different schemas have one name, because one would silently replace the other in the OpenAPI document.
pub(crate) fn together<const N: usize>(routes: [OpenApiRouter<App>; N]) -> OpenApiRouter<App> {
    let mut merged = OpenApiRouter::new();
    for routes in routes {
        let known = merged.get_openapi().components.as_ref();
        let added = routes.get_openapi().components.iter();
        for (name, schema) in added.flat_map(|added| &added.schemas) {
            let known = known.and_then(|known| known.schemas.get(name));
            assert!(
                known.is_none_or(|known| known == schema),
                "two schemas are named {name}: rename one of the types, or give it #[schema(as = …)]",
            );
        }
        merged = merged.merge(routes);
    }
    merged
}

/// Returns the router of the whole server.
///
/// # Panics
///
/// Panics if no read model of a resource is registered. The message names the missing line.
pub fn router(app: App) -> Router {
    for model in openapi::read_models() {
        assert!(
            app.readers.knows(model),
            "no read model {model} runs: add it to models() in the mod.rs of its group in projections/src",
        );
    }
    let cors = site::cors(&app);
    // One combined layer, because axum boxes each layer.
    let around = ServiceBuilder::new()
        .map_response(coding::weaken_tag)
        .layer(coding::compress())
        .layer(from_fn_with_state(app.clone(), middleware::around))
        .layer(DefaultBodyLimit::max(app.limits.body))
        .layer(CatchPanicLayer::custom(panicked));
    Router::from(described())
        .route(openapi::PATH, get(openapi::publish))
        .merge(docs::router())
        .merge(agents::mcp::router(&app))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(around)
        .layer(layer_fn(move |inner| with_cors(&cors, inner)))
        .with_state(app)
}

/// Adds CORS headers. An `OPTIONS` request that is not a browser's preflight goes to the routes directly.
fn with_cors(
    cors: &CorsLayer,
    inner: Route,
) -> impl Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + use<>
{
    let mut cors = cors.layer(inner);
    service_fn(move |request: Request<Body>| {
        let asks = request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if request.method() == Method::OPTIONS && !asks {
            Either::Left(cors.get_mut().call(request))
        } else {
            Either::Right(cors.call(request))
        }
    })
}

/// Answers 404, or redirects a path with a trailing slash to the path without it.
pub(crate) async fn not_found(uri: Uri) -> Response {
    let path = uri.path();
    let detail = format!("there is nothing at {path}");
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() == path.len() || !(openapi::describes(trimmed) || docs::has(trimmed)) {
        let detail = format!("{detail}; /docs lists what there is");
        return Problem::new(StatusCode::NOT_FOUND, "no_such_path", detail).into_response();
    }
    let location = match uri.query() {
        Some(query) => format!("{trimmed}?{query}"),
        None => trimmed.to_owned(),
    };
    let detail = format!("{detail}; leave out the slash at its end");
    let moved = Problem::new(StatusCode::PERMANENT_REDIRECT, "trailing_slash", detail);
    ([(LOCATION, location)], moved).into_response()
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

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use super::*;

    #[test]
    fn every_schema_has_a_name_of_its_own() {
        assert!(!described().get_openapi().paths.paths.is_empty());
    }

    #[test]
    #[should_panic(expected = "two schemas are named Label")]
    fn refuses_two_schemas_of_one_name() {
        let with = |schema| {
            let mut routes = OpenApiRouter::new();
            let components = &mut routes.get_openapi_mut().components;
            let schemas = &mut components.get_or_insert_default().schemas;
            schemas.insert("Label".into(), schema);
            routes
        };
        let _ = together([with(String::schema()), with(bool::schema())]);
    }
}
