//! Database sessions of nodes: few, named, shared by all consumers, and waited for when all are in use.

use std::collections::BTreeMap;

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio_postgres::Client as Database;

use crate::harness::{Client, OwnApp, PATIENCE, Server, eventually};

/// Number of sessions of an idle node.
const IDLE: usize = 12;
/// Maximum number of sessions of a node with the default settings in docs/configuration.md.
const MOST: usize = 22;

/// Counts the sessions of all nodes by name.
async fn sessions(database: &Database) -> BTreeMap<String, usize> {
    const SESSIONS: &str = "select application_name, count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() group by 1";
    let rows = database.query(SESSIONS, &[]).await.unwrap();
    let one = |row: &tokio_postgres::Row| {
        let count: i64 = row.get(1);
        (row.get(0), usize::try_from(count).unwrap())
    };
    rows.iter().map(one).collect()
}

fn count(sessions: &BTreeMap<String, usize>) -> usize {
    sessions.values().sum()
}

/// Counts the consumers that each node runs.
async fn leases(database: &Database) -> Vec<i64> {
    const LEASES: &str = "select count(*) from pg_locks join pg_stat_activity a using (pid)
        where a.datname = current_database() and a.application_name like '% leases' and granted and locktype = 'advisory'
            and classid = 1684109569 group by pid order by 1";
    let rows = database.query(LEASES, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Counts the sessions again and again for as long as a load runs.
async fn never_more_than<T>(most: usize, database: &Database, load: impl Future<Output = T>) {
    let watch = async {
        loop {
            let found = sessions(database).await;
            assert!(count(&found) <= most, "{found:?}");
        }
    };
    tokio::select! {
        _ = load => {}
        () = watch => {}
    }
}

async fn write(client: &Client, workspace_id: uuid::Uuid) {
    client.note(workspace_id, "Tea", "- [ ] Steep it").await;
    client.get("/v1/notes").await.expect(200);
    client.get("/v1/search?q=tea").await.expect(200);
}

#[tokio::test]
async fn a_node_opens_few_sessions_and_names_them() {
    let app = OwnApp::start().await;
    let database = app.sql().await;
    let workspace_id = app.alice.workspace().await;
    let load = join_all((0..60).map(|_| write(&app.alice, workspace_id)));
    never_more_than(MOST, &database, load).await;
    let found = eventually(async || {
        let found = sessions(&database).await;
        (count(&found) <= IDLE).then_some(found)
    })
    .await;
    let described = include_str!("../../docs/configuration.md");
    for name in found.keys() {
        let is_described = described.contains(&format!("| `{name}` |"));
        assert!(
            is_described,
            "docs/configuration.md does not describe the session {name:?}"
        );
    }
}

#[tokio::test]
async fn two_nodes_share_fifty_connections_with_whoever_looks() {
    const FREE: usize = 50 - 3;
    let app = OwnApp::start().await;
    let other = Server::start(&app.database_url, &[]).await;
    let database = app.sql().await;
    let workspace_id = app.alice.workspace().await;
    let nodes = [app.alice.clone(), app.alice.at(&other.url)];
    let load = join_all((0..80).map(|n| write(&nodes[n % 2], workspace_id)));
    // This test's own session is one of those that are free.
    never_more_than(FREE - 1, &database, load).await;
}

#[tokio::test]
async fn consumers_are_shared_out_and_taken_over() {
    let app = OwnApp::start().await;
    let database = app.sql().await;
    let all = eventually(async || {
        let ready = app.operator.get("/health/ready").await;
        let held = leases(&database).await;
        (ready.status == 200 && held.len() == 1).then(|| held[0])
    })
    .await;
    let other = Server::start(&app.database_url, &[]).await;
    let half = all / 2;
    eventually(async || (leases(&database).await == [half, all - half]).then_some(())).await;
    // Each node shows what consumers on the other one have applied.
    let workspace_id = app.alice.workspace().await;
    let nodes = [app.alice.clone(), app.alice.at(&other.url)];
    for turn in 0..10 {
        let (writer, reader) = (&nodes[turn % 2], &nodes[(turn + 1) % 2]);
        let note = writer.note(workspace_id, "Tea", "- [ ] Steep it").await;
        let position = note["position"].as_i64().unwrap();
        for path in ["/v1/notes", "/v1/search?q=tea"] {
            let found = reader.get_at(path, position).await.expect(200);
            let ids = found["items"].as_array().unwrap().iter();
            assert!(
                ids.map(|item| &item["id"]).any(|id| *id == note["id"]),
                "{path}"
            );
        }
    }
    other.kill().await;
    eventually(async || (leases(&database).await == [all]).then_some(())).await;
    let note = app.alice.note(workspace_id, "Water", "").await;
    let position = note["position"].as_i64().unwrap();
    for path in ["/v1/notes", "/v1/search?q=water", "/v1/tasks"] {
        app.alice.get_at(path, position).await.expect(200);
    }
    // A node whose session ends takes its leases again.
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like '% leases'";
    database.query(end, &[]).await.unwrap();
    eventually(async || (leases(&database).await == [all]).then_some(())).await;
    app.alice.note(workspace_id, "Milk", "").await;
    app.settle().await;
}

#[tokio::test]
async fn a_query_for_which_there_is_no_session_is_told_the_cause() {
    // Longer than the ten seconds for which a session is waited for.
    let one = [
        ("DAYBOOK_SESSIONS_QUERIES", "1"),
        ("DAYBOOK_REQUEST_TIMEOUT", "15"),
    ];
    let app = OwnApp::start_with(&one).await;
    app.alice.workspace().await;
    app.alice.get("/v1/notes").await.expect(200);
    let database = app.sql().await;
    database
        .batch_execute("begin; lock table read.notes in access exclusive mode")
        .await
        .unwrap();
    let get = || async {
        let request = app.alice.request(Method::GET, "/v1/notes");
        app.alice.send(request.timeout(PATIENCE)).await
    };
    let (one, other) = tokio::join!(get(), get());
    let refused = [one, other].map(|answer| answer.expect(503));
    let details: Vec<_> = refused.iter().map(|problem| &problem["detail"]).collect();
    let expected = json!(
        "all 1 database sessions for queries are in use; try again later, or allow for more with DAYBOOK_SESSIONS_QUERIES"
    );
    assert!(details.contains(&&expected), "{details:?}");
    database.batch_execute("rollback").await.unwrap();
    app.alice.get("/v1/notes").await.expect(200);
}
