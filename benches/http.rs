//! Commands over HTTP: `POST /v1/notes` with an idempotency key, everything that the product does switched on.

use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::load::Seen;
use crate::report::Row;
use crate::{Bench, load};

pub async fn measure(bench: &Bench, name: &str, connections: usize) -> Row {
    let before = constant(connections).await;
    let seen = commands(bench, name, connections).await;
    let after = constant(connections).await;
    let limit = f64::midpoint(before.per_second, after.per_second);
    Row::new(
        name,
        "commands/s",
        &seen,
        "axum answering a constant",
        limit,
    )
}

/// The same client against a server that does nothing.
async fn constant(connections: usize) -> Seen {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/notes", listener.local_addr().unwrap());
    let app = Router::new().route("/v1/notes", post(async || "{}"));
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let seen = posts(connections, url, String::new(), Uuid::nil()).await;
    server.abort();
    seen
}

async fn commands(bench: &Bench, name: &str, connections: usize) -> Seen {
    bench.database(name).await;
    let (mut server, url, operator) = serve(&bench.postgres.url(name)).await;
    let client = Client::new();
    let product = call(
        &client,
        &url,
        &operator,
        "products",
        json!({"name": "bench"}),
    )
    .await;
    let key = json!({"name": "bench", "product_id": product["id"], "actor": {"kind": "person"}, "scopes": ["*"]});
    let key = call(&client, &url, &operator, "api-keys", key).await;
    let key = key["key"].as_str().unwrap();
    let workspace = call(&client, &url, key, "workspaces", json!({"name": "bench"})).await;
    let workspace = workspace["id"].as_str().unwrap().parse().unwrap();
    let seen = posts(
        connections,
        format!("{url}/v1/notes"),
        key.to_owned(),
        workspace,
    )
    .await;
    server.kill().await.unwrap();
    seen
}

async fn serve(database_url: &str) -> (Child, String, String) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_daybook"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("DATABASE_URL", database_url)
        .env(
            "DAYBOOK_SECRET_KEY",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        )
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let mut key = String::new();
    loop {
        let line = lines.next_line().await.unwrap().expect("the server starts");
        if let Some(operator) = line.strip_prefix("operator API key: ") {
            key = operator.to_owned();
        }
        if let Some(url) = line.strip_prefix("listening on ") {
            return (server, url.to_owned(), key);
        }
    }
}

async fn call(client: &Client, url: &str, key: &str, what: &str, body: Value) -> Value {
    let request = client
        .post(format!("{url}/v1/{what}"))
        .bearer_auth(key)
        .json(&body);
    let response = request.send().await.unwrap().error_for_status().unwrap();
    response.json().await.unwrap()
}

async fn posts(connections: usize, url: String, key: String, workspace_id: Uuid) -> Seen {
    let client = Client::builder()
        .pool_max_idle_per_host(connections)
        .build()
        .unwrap();
    let body = json!({"workspace_id": workspace_id, "title": "Bench", "body": "x".repeat(200), "tags": []});
    let shared = Arc::new((client, url, key, body.to_string()));
    load::run(connections, move || {
        let shared = Arc::clone(&shared);
        async move {
            let (client, url, key, body) = shared.as_ref();
            let response = client
                .post(url)
                .bearer_auth(key)
                .header("content-type", "application/json")
                .header("idempotency-key", Uuid::now_v7().to_string())
                .body(body.clone())
                .send()
                .await
                .unwrap();
            assert!(response.status().is_success(), "{}", response.status());
            response.bytes().await.unwrap();
        }
    })
    .await
}
