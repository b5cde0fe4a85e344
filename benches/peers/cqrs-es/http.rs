//! The same command behind axum, and axum answering a constant, both loaded by wrk.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::{Cqrs, VERSION, create};

const CONNECTIONS: &str = "64";

pub async fn measure(cqrs: Cqrs) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/notes", post(command))
        .route("/constant", post(async || "{}"))
        .with_state(cqrs);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    wrk(&format!("{url}/constant"), "axum answering a constant", "").await;
    wrk(&format!("{url}/notes"), "cqrs-es behind axum", VERSION).await;
}

async fn command(State(cqrs): State<Cqrs>, _body: String) -> StatusCode {
    create(cqrs).await;
    StatusCode::CREATED
}

/// Runs wrk for a second to warm up, then for five seconds, whose results the script prints.
async fn wrk(url: &str, peer: &str, version: &str) {
    for duration in ["1s", "5s"] {
        let output = Command::new("wrk")
            .args(["-t1", "-c", CONNECTIONS, "-d", duration])
            .args(["-s", concat!(env!("CARGO_MANIFEST_DIR"), "/post.lua"), url])
            .env("PEER", peer)
            .env("VERSION", version)
            .output()
            .await
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        if duration == "5s" {
            print!("{}", String::from_utf8_lossy(&output.stdout));
        }
    }
}
