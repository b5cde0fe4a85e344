//! Commands and queries over HTTP, with all features of the product enabled.

use reqwest::Client;
use serde_json::json;

use crate::constant::{self, ANSWER};
use crate::report::Row;
use crate::server::{Server, Tenant};
use crate::wrk::{self, Requests};
use crate::{Bench, limit};

/// Number of notes that are queried.
const NOTES: usize = 5000;

pub async fn rows(bench: &Bench) -> Vec<Row> {
    let mut rows = Vec::new();
    for connections in [64, 256] {
        let name = format!("http_command_{connections}");
        if bench.wants(&name) {
            let server = Server::start(&bench.create(&name).await).await;
            let requests = new_notes(&Tenant::new(&server).await);
            rows.push(row(&name, "commands/s", &server, &requests, connections).await);
            server.stop().await;
            bench.clear(&name).await;
        }
    }
    if bench.wants_any(&["http_query_64", "http_list_64"]) {
        rows.extend(queries(bench).await);
    }
    rows
}

/// Returns requests to `POST /v1/notes`.
pub fn new_notes(tenant: &Tenant) -> Requests {
    let workspace_id = tenant.desk.workspace_id;
    let body = json!({"workspace_id": workspace_id, "title": "Bench", "body": "x".repeat(200), "tags": []});
    Requests {
        key: tenant.key.clone(),
        paths: vec!["/v1/notes".into()],
        body: Some(body.to_string()),
    }
}

async fn queries(bench: &Bench) -> Vec<Row> {
    let server = Server::start(&bench.create("http_query").await).await;
    let tenant = Tenant::new(&server).await;
    let store = bench.store("http_query").await;
    let (ids, position) = tenant.desk.write(store.as_ref(), NOTES).await;
    await_position(&server, &tenant, position).await;

    let get = |paths| Requests {
        key: tenant.key.clone(),
        paths,
        body: None,
    };
    let mut rows = Vec::new();
    if bench.wants("http_query_64") {
        let paths = ids.iter().map(|id| format!("/v1/notes/{id}")).collect();
        rows.push(row("http_query_64", "queries/s", &server, &get(paths), 64).await);
    }
    if bench.wants("http_list_64") {
        let workspace_id = tenant.desk.workspace_id;
        let path = format!("/v1/notes?workspace_id={workspace_id}&limit=50");
        let row = row("http_list_64", "lists/s", &server, &get(vec![path]), 64).await;
        rows.push(row.under("50 notes of 300 bytes each"));
    }
    server.stop().await;
    bench.clear("http_query").await;
    rows
}

/// Waits until the server's notes have reached the position.
async fn await_position(server: &Server, tenant: &Tenant, position: i64) {
    let request = Client::new()
        .get(format!("{}/v1/notes", server.url))
        .bearer_auth(&tenant.key)
        .header("daybook-min-position", position);
    request.send().await.unwrap().error_for_status().unwrap();
}

async fn row(
    name: &str,
    unit: &'static str,
    server: &Server,
    requests: &Requests,
    connections: usize,
) -> Row {
    let constant = async || constant::answers_per_second(requests, connections).await;
    let load = async || wrk::run(&server.url, requests, connections).await;
    let (seen, limit) = limit::around(constant, load).await;
    Row::of(name, unit, &seen).limited(ANSWER, limit)
}
