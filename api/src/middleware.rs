//! Middleware around every request: correlation, metrics, position.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::Actor;
use tracing::Instrument;
use uuid::Uuid;

use crate::App;
use crate::entity_tag::{self, Known};
use crate::problem::{self, Problem};
use crate::{answer, coding, unread};

/// Target of the access log, which has one line per request.
pub const ACCESS_LOG: &str = "access";

/// Tells the access log which actor's key a request used, once that is known.
#[derive(Debug, Clone, Default)]
pub struct Requester(Arc<OnceLock<Actor>>);

impl Requester {
    pub fn is(&self, actor: Actor) {
        // A request has only one key.
        let _ = self.0.set(actor);
    }
}

/// The id that connects everything that one request causes.
#[derive(Debug, Clone, Copy)]
pub struct Correlation(pub Uuid);

const HEADER: &str = "daybook-correlation-id";
/// Name of a common header that other clients send, not always with a UUID.
const COMMON_HEADER: &str = "x-correlation-id";

/// Returns the correlation id in a request's headers.
fn given(headers: &HeaderMap) -> Result<Option<Uuid>, Problem> {
    let parse = |value: &HeaderValue| Uuid::try_parse(value.to_str().ok()?).ok();
    match headers.get(HEADER) {
        Some(value) => parse(value).map(Some).ok_or_else(|| {
            Problem::malformed("malformed_header", "Daybook-Correlation-Id must be a UUID")
        }),
        None => Ok(headers.get(COMMON_HEADER).and_then(parse)),
    }
}

/// Logs a request, without its query, body or key. Method, route and correlation id are in its span.
fn told(route: &str, status: StatusCode, elapsed: Duration, actor: Option<&Actor>) {
    let actor = actor.map(|actor| format!("{}:{}", actor.kind.as_ref(), actor.id));
    let status_code = status.as_u16();
    let is_probe = ["/health/live", "/health/ready", "/metrics"].contains(&route);
    if is_probe {
        tracing::debug!(target: ACCESS_LOG, status = status_code, ?elapsed, actor, "request");
    } else if status.is_server_error() {
        tracing::warn!(target: ACCESS_LOG, status = status_code, ?elapsed, actor, "request failed");
    } else {
        tracing::info!(target: ACCESS_LOG, status = status_code, ?elapsed, actor, "request");
    }
}

/// Returns true for uploads: they may take as long as bytes keep arriving, so they have no total timeout.
fn streams(method: &Method, route: &str) -> bool {
    matches!(
        (method.as_str(), route),
        ("PUT", "/files/{id}") | ("POST", "/v1/notes/{id}/attachments")
    )
}

/// Returns the method as a metrics label. Unknown methods share one label, because clients can send any.
fn label(method: &Method) -> &'static str {
    const METHODS: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
    ];
    let known = METHODS.iter().find(|known| **known == method.as_str());
    known.copied().unwrap_or("other")
}

/// Adds a correlation id, a span, a timeout and metrics to every request, and the log position to every answer. Problems name the
/// correlation id. Request bodies are decoded, and answers that the client already has are not sent again.
pub async fn around(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (correlation_id, refused) = match given(request.headers()) {
        Ok(given) => (given.unwrap_or_else(Uuid::now_v7), None),
        Err(problem) => (Uuid::now_v7(), Some(problem)),
    };
    request.extensions_mut().insert(Correlation(correlation_id));
    let requester = Requester::default();
    request.extensions_mut().insert(requester.clone());
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let known = Known::of(&request);
    let request = unread::read_away(request, app.limits.body);
    let span = tracing::info_span!("http", %method, route, %correlation_id);
    let answer = async {
        let response = match (refused, coding::decode(request)) {
            (Some(problem), _) => problem.into_response(),
            (None, Err(refusal)) => refusal.into_response(),
            (None, Ok(request)) => next.run(request).await,
        };
        match known {
            Some(known) => entity_tag::not_modified(&known, response),
            None => response,
        }
    };
    let bound = if streams(&method, route) {
        Duration::MAX
    } else {
        app.limits.timeout
    };
    let answered = tokio::time::timeout(bound, answer.instrument(span.clone()));
    let mut response = answered
        .await
        .unwrap_or_else(|_| Problem::timed_out(bound).into_response());

    let status = response.status();
    span.in_scope(|| told(route, status, started.elapsed(), requester.0.get()));
    metrics::histogram!("daybook_http_request_seconds",
        "method" => label(&method), "route" => route.to_owned(), "status" => status.as_u16().to_string())
    .record(started.elapsed());
    response = problem::correlate(response, correlation_id);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&correlation_id.to_string()) {
        headers.insert(HEADER, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if response.headers().contains_key("daybook-position") {
        response
    } else {
        answer::at(response, app.head())
    }
}
