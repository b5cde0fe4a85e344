//! The limit of HTTP alone: an axum server that answers every request with a constant.

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::wrk::{self, Requests};

/// The name of [`answers_per_second`] in the table.
pub const ANSWER: &str = "axum answering a constant";

/// Measures the same requests, while this process does nothing else.
pub async fn answers_per_second(requests: &Requests, connections: usize) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/v1/notes", get(constant).post(constant))
        .route("/v1/notes/{id}", get(constant));
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let seen = wrk::run(&url, requests, connections).await;
    server.abort();
    seen.per_second
}

async fn constant() -> &'static str {
    "{}"
}
