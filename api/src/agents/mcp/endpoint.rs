//! The endpoint: who calls, whether they may, and how much; the protocol itself is the transport's.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use store::heavy;

use super::quota::Quotas;
use super::server::Server;
use super::transport::{self, Service};
use super::{message, metadata};
use crate::App;
use crate::caller::Caller;
use crate::problem::Problem;

/// The scope that a call turned out to lack, if any: the answer says so in its head as well.
#[derive(Debug, Clone, Default)]
pub struct Lacking(Arc<OnceLock<String>>);

impl Lacking {
    pub fn note(&self, scope: String) {
        // The first is enough.
        let _ = self.0.set(scope);
    }
}

pub fn router(app: &App) -> Router<App> {
    let settings = &app.mcp;
    let origins: Vec<String> = settings
        .origins
        .iter()
        .chain(&settings.public_url)
        .cloned()
        .collect();
    let server = app.clone();
    let service = transport::service(
        move || Server::new(server.clone()),
        &origins,
        app.limits.body,
    );
    let quotas = Arc::new(Quotas::new(settings.calls_per_minute));
    let answer = move |State(app): State<App>, request: Request| async move {
        answer(&app, &service, &quotas, request).await
    };
    Router::new().route("/mcp", any(answer))
}

async fn answer(
    app: &App,
    service: &Service<Server>,
    quotas: &Quotas,
    request: Request,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let base = app.mcp.base_url(&parts.headers);
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
    let body = match message(app, &parts.method, body).await {
        Ok(body) => body,
        Err(refused) => return allowance.tell(refused),
    };
    let response = service.handle(Request::from_parts(parts, body)).await;
    let mut response = message::in_its_words(response.map(Body::new)).await;
    if let Some(scope) = lacking.0.get() {
        *response.status_mut() = StatusCode::FORBIDDEN;
        response = challenge(response, &base, Some(scope));
    }
    allowance.tell(response)
}

/// The body, if it is a message.
async fn message(app: &App, method: &Method, body: Body) -> Result<Body, Response> {
    if method != Method::POST {
        return Ok(body);
    }
    let limit = app.limits.body;
    let bytes = to_bytes(body, limit).await.map_err(|_| {
        let detail = format!("the body must arrive whole, and be at most {limit} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_unreadable", detail).into_response()
    })?;
    let checked = heavy(bytes.len(), || message::check(&bytes)).await;
    let checked = checked.map_err(|busy| Problem::from(busy).into_response())?;
    checked.map_err(message::refuse)?;
    Ok(Body::from(bytes))
}

/// Tells where to learn what a key needs (RFC 9728, section 5.1; RFC 6750, section 3.1).
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
