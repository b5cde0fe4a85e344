//! What happens around every request: correlation, metrics, position.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use uuid::Uuid;

use crate::App;
use crate::answer;
use crate::problem::Problem;

/// Ties together everything that one request sets off.
#[derive(Debug, Clone, Copy)]
pub struct Correlation(pub Uuid);

const HEADERS: [&str; 2] = ["daybook-correlation-id", "x-correlation-id"];

/// Gives every request a correlation id, a span, a bound in time, a measurement, and every answer its position.
pub async fn around(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let correlation_id = HEADERS
        .iter()
        .filter_map(|name| request.headers().get(*name)?.to_str().ok())
        .find_map(|text| Uuid::try_parse(text).ok())
        .unwrap_or_else(Uuid::now_v7);
    request.extensions_mut().insert(Correlation(correlation_id));
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let span = tracing::info_span!("http", %method, route, %correlation_id);
    let answered = tokio::time::timeout(
        app.limits.timeout,
        next.run(request).instrument(span.clone()),
    );
    let mut response = answered
        .await
        .unwrap_or_else(|_| Problem::timed_out(app.limits.timeout).into_response());

    let status = response.status();
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), elapsed = ?started.elapsed(), "request failed");
        } else {
            tracing::debug!(status = status.as_u16(), elapsed = ?started.elapsed(), "request");
        }
    });
    metrics::histogram!("daybook_http_request_seconds",
        "method" => method.to_string(), "route" => route, "status" => status.as_u16().to_string())
    .record(started.elapsed());
    if let Ok(value) = HeaderValue::from_str(&correlation_id.to_string()) {
        response.headers_mut().insert(HEADERS[0], value);
    }
    if response.headers().contains_key("daybook-position") {
        response
    } else {
        answer::at(response, app.head())
    }
}
