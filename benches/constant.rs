//! What HTTP alone can do: an axum server that answers every request with the same.

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::wrk::{self, Requests};

/// What [`answers_per_second`] is called in the table.
pub const ANSWER: &str = "axum answering a constant";

/// The same requests, while this process does nothing else.
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
