//! Several server processes on one database.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_postgres::{Client as Database, NoTls};
use uuid::Uuid;

use crate::harness::{Client, OwnApp, PATIENCE, Server, eventually, id};
use crate::load::{Crew, Log, Subscriber, audit, chance, lapse_leases};

/// A live stream of the log's server-sent events.
struct Live {
    response: Response,
    unread: String,
}

impl Live {
    async fn open(client: &Client, path: &str) -> Self {
        let request = client
            .request(Method::GET, path)
            .header("Accept", "text/event-stream")
            // The stream stays open for the whole test.
            .timeout(Duration::from_secs(3600));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        Self {
            response,
            unread: String::new(),
        }
    }

    /// Returns the next event; none once the server has ended the stream.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((message, rest)) = self.unread.split_once("\n\n") {
                let data = message.lines().find_map(|line| line.strip_prefix("data: "));
                let event = data.map(|data| serde_json::from_str::<Value>(data).unwrap());
                if let Some(event) = &event {
                    let position = format!("id: {}", event["position"]);
                    assert!(message.lines().any(|line| line == position), "{message}");
                }
                self.unread = rest.to_owned();
                match event {
                    Some(event) => return Some(event),
                    // A comment that keeps the connection alive.
                    None => continue,
                }
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

async fn database(app: &OwnApp) -> Database {
    let (client, connection) = tokio_postgres::connect(&app.database_url, NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn two_nodes_under_load_keep_one_log_without_gap_or_double() {
    let mut chance = chance();
    let app = OwnApp::start().await;
    let other = Server::start(&app.database_url, &[]).await;
    let subscriber = Subscriber::subscribe(&app.alice).await;
    let crew = Crew::hire(&app, &[&app.url, &other.url]).await;
    let mut live = Live::open(&app.operator.at(&other.url), "/v1/events").await;
    let shift = crew.work(6, &mut chance);
    crew.acknowledged(150).await;
    shift.rest().await;
    audit(&app, &other.url, &crew, &subscriber).await;

    // The live stream of the other node equals the log, in order.
    let log = Log::read(&app.operator, crew.position()).await;
    for event in &log.0 {
        let said = tokio::time::timeout(PATIENCE, live.next()).await.unwrap();
        assert_eq!(said.as_ref(), Some(event));
    }
}

#[tokio::test]
async fn what_one_node_has_written_is_read_at_its_position_on_the_other() {
    let app = OwnApp::start().await;
    let other = Server::start(&app.database_url, &[]).await;
    let nodes = [app.alice.clone(), app.alice.at(&other.url)];
    let workspace_id = app.alice.workspace().await;
    let busy = Crew::hire(&app, &[&app.url, &other.url]).await;
    let shift = busy.work(2, &mut chance());
    for turn in 0..20 {
        let (writer, reader) = (&nodes[turn % 2], &nodes[(turn + 1) % 2]);
        let note = writer.note(workspace_id, "Tea", "Steep it.").await;
        let path = format!("/v1/notes/{}", id(&note));
        let revised = writer
            .patch(&path, json!({"body": format!("Steep it {turn} times.")}))
            .await;
        let position = revised.position();
        let read = reader.get_at(&path, position).await;
        assert!(read.position() >= position);
        assert_eq!(read.expect(200), revised.expect(200));
        let path = format!("/v1/events?after={}&limit=1", position - 1);
        let events = reader.get_at(&path, position).await.expect(200);
        assert_eq!(events["items"][0]["position"], position);
    }
    shift.rest().await;
}

#[tokio::test]
async fn one_idempotency_key_on_two_nodes_at_once_has_one_effect() {
    let app = OwnApp::start().await;
    let other = Server::start(&app.database_url, &[]).await;
    let nodes = [app.alice.clone(), app.alice.at(&other.url)];
    let workspace_id = app.alice.workspace().await;
    let write = async |client: &Client, key: &str, title: &str| {
        let request = client
            .request(Method::POST, "/v1/notes")
            .header("Idempotency-Key", key);
        client
            .send(request.json(&json!({"workspace_id": workspace_id, "title": title})))
            .await
    };
    for _ in 0..20 {
        let key = Uuid::new_v4().to_string();
        let answers = tokio::join!(
            write(&nodes[0], &key, "Tea"),
            write(&nodes[1], &key, "Tea"),
            write(&nodes[0], &key, "Tea"),
            write(&nodes[1], &key, "Tea"),
        );
        let (written, refused): (Vec<_>, Vec<_>) = <[_; 4]>::from(answers)
            .into_iter()
            .partition(|answer| answer.status == 201);
        for answer in refused {
            answer.expect_problem(409, "idempotency_key_in_progress");
        }
        let first = written.iter().find(|answer| !replayed(answer)).unwrap();
        assert_eq!(written.iter().filter(|answer| !replayed(answer)).count(), 1);
        assert!(written.iter().all(|answer| answer.body == first.body));
        for node in &nodes {
            let again = write(node, &key, "Tea").await;
            assert!(replayed(&again));
            assert_eq!(again.expect(201), first.body);
            write(node, &key, "Coffee")
                .await
                .expect_problem(422, "idempotency_key_reused");
        }
    }
    let path = "/v1/events?type=note.created&limit=1000";
    let created = app.operator.get(path).await.expect(200);
    assert_eq!(created["items"].as_array().unwrap().len(), 20);
}

fn replayed(answer: &crate::harness::Answer) -> bool {
    answer.headers.contains_key("idempotency-replayed")
}

#[tokio::test]
async fn when_a_node_dies_the_other_takes_over_all_that_it_did() {
    let mut chance = chance();
    let mut app = OwnApp::start().await;
    // It is alone, and once it is ready it runs every projection and every reaction.
    eventually(async || {
        let ready = app.operator.get("/health/ready").await;
        (ready.status == 200).then_some(())
    })
    .await;
    let other = Server::start(&app.database_url, &[]).await;
    let subscriber = Subscriber::subscribe(&app.alice).await;
    let crew = Crew::hire(&app, &[&app.url, &other.url]).await;
    let shift = crew.work(4, &mut chance);
    crew.acknowledged(40).await;
    app.server.process.kill().await.unwrap();
    lapse_leases(&app.database_url).await;
    // Requests to the dead node fail, and are sent to the other one.
    crew.acknowledged(40).await;
    shift.rest().await;

    let left = app.alice.at(&other.url);
    let workspace_id = left.workspace().await;
    let proposal = left
        .post(
            "/v1/proposals",
            json!({
                "workspace_id": workspace_id,
                "actions": [{"type": "note.create", "title": "Tea", "body": ""}],
                "rationale": "Nobody answers.",
                "expires_at": chrono::Utc::now() + Duration::from_secs(1),
            }),
        )
        .await
        .expect(201);
    let path = format!("/v1/proposals/{}", id(&proposal));
    eventually(async || {
        let proposal = left.get(&path).await.expect(200);
        (proposal["status"] == "expired").then_some(())
    })
    .await;
    crew.move_to(&[&other.url]);
    audit(&app, &other.url, &crew, &subscriber).await;
}

#[tokio::test]
async fn a_node_that_is_told_to_stop_finishes_what_is_under_way() {
    let app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let mut live = Live::open(&app.alice, "/v1/events?type=note.*").await;
    // Every append now waits for this transaction.
    let database = database(&app).await;
    database
        .batch_execute("begin; select from log.head for update")
        .await
        .unwrap();
    let alice = app.alice.clone();
    let under_way = tokio::spawn(async move { alice.note(workspace_id, "Tea", "Steep it.").await });
    eventually(async || {
        let waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let waiting = database.query(waiting, &[]).await.unwrap();
        (!waiting.is_empty()).then_some(())
    })
    .await;
    let address = app.url.strip_prefix("http://").unwrap().to_owned();
    app.server.tell_to_stop().await;
    eventually(async || TcpStream::connect(&address).await.err()).await;
    assert!(!under_way.is_finished());
    database.batch_execute("commit").await.unwrap();

    let note = under_way.await.unwrap();
    let OwnApp {
        app,
        server,
        database_url,
    } = app;
    assert_eq!(server.ended().await.code(), Some(0));
    // The stream ends properly, with or without a last event.
    if let Some(event) = live.next().await {
        assert_eq!(event["stream"], format!("note-{}", id(&note)));
        assert_eq!(live.next().await, None);
    }
    let next = Server::start(&database_url, &[]).await;
    let read = app.alice.at(&next.url);
    let read = read.get(&format!("/v1/notes/{}", id(&note))).await;
    assert_eq!(read.expect(200), note);
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_no_node_that_is_told_to_stop() {
    let app = OwnApp::start_with(&[("DAYBOOK_SHUTDOWN_TIMEOUT", "2")]).await;
    let workspace_id = app.alice.workspace().await;
    // More than the buffers between server and client hold.
    let body = Arc::new("tea ".repeat(250_000));
    for _ in 0..10 {
        app.alice.note(workspace_id, "Tea", &body).await;
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = app.url.strip_prefix("http://").unwrap();
    let mut stuck = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = format!(
        "GET /v1/events HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nAccept: text/event-stream\r\n\r\n",
        app.alice.key
    );
    stuck.write_all(request.as_bytes()).await.unwrap();
    let mut beginning = [0; 15];
    stuck.read_exact(&mut beginning).await.unwrap();
    assert_eq!(&beginning, b"HTTP/1.1 200 OK");

    app.server.tell_to_stop().await;
    assert_eq!(app.server.ended().await.code(), Some(0));
}
