//! Health probes and metrics for operators.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use projections::Health;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;

/// Longest time that the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(metrics))
}

/// The answer of `/health/live`.
#[derive(Serialize, ToSchema)]
struct Live {
    status: &'static str,
}

/// Answers 200 while the process runs.
#[utoipa::path(get, path = "/health/live", tag = "operations", responses((status = 200, body = Live)))]
async fn live() -> Json<Live> {
    Json(Live { status: "live" })
}

/// The answer of `/health/ready`.
#[derive(Serialize, ToSchema)]
struct Ready {
    /// Status: `ready`, `degraded` (it answers, but some streams are in quarantine) or `not_ready`.
    status: &'static str,
    /// Components that are not ready, with the reasons.
    not_ready: Vec<String>,
    /// Read models and reactions that run without some streams, with the number of streams.
    degraded: Vec<String>,
    /// Last position of the log.
    position: i64,
    /// State and progress of each consumer of the log.
    #[schema(value_type = Vec<Object>)]
    consumers: Vec<Health>,
}

/// Answers 200 if commands and queries work; otherwise names the faults.
#[utoipa::path(get, path = "/health/ready", tag = "operations", responses(
    (status = 200, body = Ready), (status = 503, body = Ready)))]
async fn ready(State(app): State<App>) -> Response {
    let mut not_ready = Vec::new();
    not_ready.extend(database(&app).await);
    if let Err(error) = app.files.blobs.health().await {
        not_ready.push(format!("files: {error}"));
    }
    if app.shutdown.is_cancelled() {
        not_ready.push("server: shutting down".to_owned());
    }
    let mut consumers = app.readers.health();
    consumers.extend(app.reactions.health());
    for consumer in &consumers {
        if consumer.stopped {
            not_ready.push(format!(
                "projection {}: stopped; the server's log says why",
                consumer.name
            ));
        } else if consumer.interrupted {
            not_ready.push(format!(
                "projection {}: interrupted; the server's log says why",
                consumer.name
            ));
        } else if consumer.position < 0 {
            not_ready.push(format!("projection {}: starting", consumer.name));
        }
    }
    let degraded: Vec<String> = consumers
        .iter()
        .filter(|consumer| consumer.quarantined > 0)
        .map(|consumer| {
            let Health {
                name, quarantined, ..
            } = consumer;
            format!("projection {name}: {quarantined} stream(s) in quarantine")
        })
        .collect();
    let (code, status) = match (not_ready.is_empty(), degraded.is_empty()) {
        (true, true) => (StatusCode::OK, "ready"),
        (true, false) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    let answer = Ready {
        status,
        not_ready,
        degraded,
        position: app.head(),
        consumers,
    };
    (code, Json(answer)).into_response()
}

/// Returns the database faults that stop commands or queries, without any user data.
async fn database(app: &App) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(trouble) = app.database.trouble() {
        faults.push(format!("database: {}", trouble.cause));
    }
    match tokio::time::timeout(PATIENCE, app.readers.missing_tables()).await {
        Ok(Ok(missing)) => faults.extend(
            missing
                .iter()
                .map(|table| format!("read model: the table {table} is missing and is rebuilt")),
        ),
        Ok(Err(error)) => faults.push(format!("database: {}", store::cause(&error))),
        Err(_) => faults.push("database: it does not answer".to_owned()),
    }
    faults.dedup();
    faults
}

/// Returns metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, body = String, content_type = "text/plain")))]
async fn metrics(State(app): State<App>) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (headers, app.metrics.render()).into_response()
}
