//! The endpoint: authentication, origin checks and rate limits. The transport implements the protocol itself.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{ACCEPT, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use rmcp::ErrorData;
use rmcp::model::RequestId;
use store::heavy;

use super::quota::Quotas;
use super::server::Server;
use super::transport::{self, Service};
use super::{PATH, message, metadata};
use crate::App;
use crate::accept;
use crate::caller::Caller;
use crate::problem::Problem;

/// The scope that a call lacked, if any; the response headers name it, too.
#[derive(Debug, Clone, Default)]
pub struct Lacking(Arc<OnceLock<String>>);

impl Lacking {
    pub fn note(&self, scope: String) {
        // Only the first one is kept.
        let _ = self.0.set(scope);
    }
}

pub fn router(app: &App) -> Router<App> {
    let server = app.clone();
    let service = transport::service(move || Server::new(server.clone()), app.limits.body);
    let quotas = Arc::new(Quotas::new(app.mcp.calls_per_minute));
    let answer = move |State(app): State<App>, request: Request| async move {
        answer(&app, &service, &quotas, request).await
    };
    Router::new().route(PATH, any(answer))
}

async fn answer(
    app: &App,
    service: &Service<Server>,
    quotas: &Quotas,
    request: Request,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let base = app.site.base_url(&parts.headers);
    if !takes_origin(app, &mut parts.headers) {
        let detail = "pages of this origin may not call; DAYBOOK_MCP_ORIGINS lists those that may";
        let error = ErrorData::invalid_request(detail, None);
        return message::refuse(StatusCode::FORBIDDEN, None, error);
    }
    let caller = match Caller::from_request_parts(&mut parts, app).await {
        Ok(caller) => caller,
        Err(problem) => return challenge(problem.into_response(), &base, None),
    };
    let allowance = match quotas.count(caller.actor.id) {
        Ok(allowance) => allowance,
        Err(spent) => return spent.exceeded(),
    };
    let lacking = Lacking::default();
    parts.extensions.insert(caller);
    parts.extensions.insert(lacking.clone());
    let (body, id) = match message(app, &parts.method, body).await {
        Ok(message) => message,
        Err(refused) => return allowance.tell(refused),
    };
    accept_ranges(&mut parts.headers);
    let is_json = message::is_json(&parts.headers);
    let response = service.handle(Request::from_parts(parts, body)).await;
    let mut response = message::in_its_words(response.map(Body::new), id, is_json).await;
    if let Some(scope) = lacking.0.get() {
        *response.status_mut() = StatusCode::FORBIDDEN;
        response = challenge(response, &base, Some(scope));
    }
    allowance.tell(response)
}

/// Returns true if the request has no `Origin` or an allowed one. Removes the header, because the transport allows fewer origins.
fn takes_origin(app: &App, headers: &mut HeaderMap) -> bool {
    let Some(origin) = headers.remove(ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().ok().and_then(|text| text.parse().ok());
    origin.is_some_and(|origin| app.mcp.allows(&app.site, &origin))
}

/// Names both media types in `Accept` if a range covers them or it is absent, because the transport looks for the names.
fn accept_ranges(headers: &mut HeaderMap) {
    const BOTH: [&str; 2] = ["application/json", "text/event-stream"];
    if BOTH.iter().all(|form| accept::takes(headers, form)) {
        headers.insert(
            ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
    }
}

/// Checks the body; returns it with the id of the request, if it is one.
async fn message(
    app: &App,
    method: &Method,
    body: Body,
) -> Result<(Body, Option<RequestId>), Response> {
    if method != Method::POST {
        return Ok((body, None));
    }
    let limit = app.limits.body;
    let bytes = to_bytes(body, limit).await.map_err(|_| {
        let detail = format!("the body must arrive whole, in the coding that Content-Encoding names, and be at most {limit} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_unreadable", detail).into_response()
    })?;
    let checked = heavy(bytes.len(), || message::check(&bytes)).await;
    let checked = checked.map_err(|busy| Problem::from(busy).into_response())?;
    let id = checked.map_err(|(id, error)| message::refuse(StatusCode::BAD_REQUEST, id, error))?;
    Ok((Body::from(bytes), id))
}

/// Adds the header that says where to learn which scopes a key needs (RFC 9728, section 5.1; RFC 6750, section 3.1).
fn challenge(mut response: Response, base: &str, lacking: Option<&String>) -> Response {
    let metadata = format!("resource_metadata=\"{base}{}\"", metadata::PATH);
    let challenge = match (response.status(), lacking) {
        (StatusCode::UNAUTHORIZED, _) => {
            format!(
                "Bearer {metadata}, scope=\"{}\"",
                metadata::SCOPES.join(" ")
            )
        }
        (_, Some(scope)) => {
            format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\", {metadata}")
        }
        (_, None) => return response,
    };
    if let Ok(value) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}
