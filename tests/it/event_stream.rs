//! The log as a stream: server-sent events and JSON lines.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::event::{history, text};
use crate::harness::{Client, OwnApp, PATIENCE, Server, TestApp, id};

/// A body that is read piece by piece.
struct Stream {
    response: Response,
    text: String,
}

/// A server-sent event.
#[derive(Debug, PartialEq)]
struct Frame {
    id: String,
    event: String,
    data: Value,
}

impl Stream {
    async fn open(client: &Client, path: &str, headers: &[(&str, &str)]) -> Self {
        let request = client.request(Method::GET, path);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self {
            response,
            text: String::new(),
        }
    }

    async fn live(client: &Client, query: &str, headers: &[(&str, &str)]) -> Self {
        let accept = [("accept", "text/event-stream")];
        let stream = Self::open(
            client,
            &format!("/v1/events?{query}"),
            &[&accept, headers].concat(),
        )
        .await;
        assert_eq!(
            stream.response.headers()["content-type"],
            "text/event-stream"
        );
        stream
    }

    async fn lines(client: &Client, query: &str) -> Self {
        let accept = [("accept", "application/x-ndjson")];
        let stream = Self::open(client, &format!("/v1/events?{query}"), &accept).await;
        assert_eq!(
            stream.response.headers()["content-type"],
            "application/x-ndjson"
        );
        stream
    }

    /// Returns the text before the next `end`; none: the stream has ended.
    async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some((piece, rest)) = self.text.split_once(end) {
                let piece = piece.to_owned();
                self.text = rest.to_owned();
                return Some(piece);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            match chunk.expect("something comes in time").unwrap() {
                Some(chunk) => self.text += std::str::from_utf8(&chunk).unwrap(),
                None => {
                    assert_eq!(self.text, "");
                    return None;
                }
            }
        }
    }

    /// Returns the next server-sent event, skipping heartbeats.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            let block = self.until("\n\n").await?;
            let field = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            if let Some(data) = field("data") {
                return Some(Frame {
                    id: field("id").unwrap().to_owned(),
                    event: field("event").unwrap().to_owned(),
                    data: serde_json::from_str(data).unwrap(),
                });
            }
        }
    }

    async fn frames(&mut self, count: usize) -> Vec<Value> {
        let mut events = vec![];
        for _ in 0..count {
            let frame = self.frame().await.unwrap();
            assert_eq!(
                (&frame.id, &frame.event),
                (
                    &frame.data["position"].to_string(),
                    &text(&frame.data["type"])
                )
            );
            events.push(frame.data);
        }
        events
    }

    async fn line(&mut self) -> Option<Value> {
        let line = self.until("\n").await?;
        Some(serde_json::from_str(&line).unwrap())
    }

    async fn rest(mut self) -> Vec<Value> {
        let mut lines = vec![];
        while let Some(line) = self.line().await {
            lines.push(line);
        }
        lines
    }
}

#[tokio::test]
async fn server_sent_events_catch_up_and_go_on_live() {
    let app = TestApp::start().await;
    history(&app).await;
    let past = app.alice.events("type=note.*").await;
    let mut live = Stream::live(&app.alice, "type=note.*", &[]).await;
    assert_eq!(live.frames(past.len()).await, past);
    let workspace_id = app.alice.workspace().await;
    for _ in 0..3 {
        app.alice.note(workspace_id, "New", "").await;
    }
    let mut all = past;
    all.extend(live.frames(3).await);
    assert_eq!(all, app.alice.events("type=note.*").await);

    let few = app.alice.events("type=note.*&after=0").await;
    let mut limited = Stream::live(&app.alice, "type=note.*&limit=2", &[]).await;
    assert_eq!(limited.frames(2).await, few[..2]);
    assert_eq!(limited.frame().await, None);
}

#[tokio::test]
async fn a_broken_connection_goes_on_after_the_last_event_it_brought() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let alice = app.alice.clone();
    let writer = tokio::spawn(async move {
        for n in 0..60 {
            alice.note(workspace_id, &format!("Note {n}"), "").await;
        }
    });
    let mut seen: Vec<Value> = vec![];
    while seen.len() < 60 {
        let last = seen
            .last()
            .map_or("0".to_owned(), |event| event["position"].to_string());
        // The header takes precedence over the parameter: a browser repeats the original URL.
        let mut live = Stream::live(
            &app.alice,
            "type=note.created&after=0",
            &[("last-event-id", &last)],
        )
        .await;
        seen.extend(live.frames(7.min(60 - seen.len())).await);
    }
    writer.await.unwrap();
    assert_eq!(seen, app.alice.events("type=note.created").await);
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_lives() {
    let app = TestApp::start().await;
    let mut live = Stream::live(&app.alice, "type=note.purged", &[]).await;
    assert_eq!(live.until("\n\n").await.as_deref(), Some(":"));
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let app = OwnApp::start().await;
    let mut live = Stream::live(&app.alice, "type=note.purged", &[]).await;
    let following = Stream::lines(&app.alice, "type=note.purged").await;
    app.server.tell_to_stop().await;
    assert_eq!(live.frame().await, None);
    assert!(following.rest().await.is_empty());
    assert!(app.server.ended().await.success());
}

/// Creates a key that reads the log; returns it with its path.
async fn reader(app: &TestApp) -> (Client, String) {
    let scopes = ["events:read", "products:read", "notes:read"];
    let reader = app.actor("service", &scopes).await;
    let keys = app.alice.pages("/v1/api-keys?limit=1").await;
    let path = format!("/v1/api-keys/{}", id(&keys[0][0]));
    (reader, path)
}

#[tokio::test]
async fn streams_end_when_their_key_is_revoked_on_whichever_server() {
    let app = OwnApp::start().await;
    let second = Server::start(&app.database_url, &[]).await;
    let (reader, path) = reader(&app).await;
    let mut streams = vec![];
    for reader in [reader.clone(), reader.at(&second.url)] {
        let mut live = Stream::live(&reader, "type=product.*", &[]).await;
        let mut following = Stream::lines(&reader, "type=product.*&follow=true").await;
        let first = live.frames(1).await.remove(0);
        assert_eq!(following.line().await, Some(first));
        streams.push((live, following));
    }
    let mut others = Stream::live(&app.alice, "type=note.*", &[]).await;
    app.alice.delete(&path).await.expect(200);
    for (mut live, following) in streams {
        assert_eq!(live.frame().await, None);
        assert!(following.rest().await.is_empty());
    }
    let workspace_id = app.alice.workspace().await;
    app.alice.note(workspace_id, "Tea", "").await;
    assert_eq!(others.frames(1).await[0]["type"], "note.created");
}

#[tokio::test]
async fn a_stream_of_a_rotated_key_ends_with_the_overlap_and_its_successor_reads_on() {
    let app = TestApp::start().await;
    let (old, path) = reader(&app).await;
    let rotate = async |overlap_seconds: u32| {
        let body = json!({"overlap_seconds": overlap_seconds});
        let rotated = app.operator.post(&format!("{path}/rotate"), body).await;
        Client::new(&old.url, &text(&rotated.expect(200)["key"]))
    };
    let workspace_id = app.alice.workspace().await;
    app.alice.admit(workspace_id, &old, "viewer").await;
    let mut first = Stream::live(&old, "type=note.*", &[]).await;
    let second = rotate(3600).await;
    let mut second = Stream::live(&second, "type=note.*", &[]).await;
    app.alice.note(workspace_id, "During", "").await;
    assert_eq!(first.frames(1).await, second.frames(1).await);

    let third = rotate(1).await;
    let mut third = Stream::live(&third, "type=note.*", &[]).await;
    assert_eq!(first.frame().await, None);
    assert_eq!(second.frame().await, None);
    app.alice.note(workspace_id, "After", "").await;
    assert_eq!(third.frames(2).await[1]["data"]["title"], "After");
}

#[tokio::test]
async fn lines_follow_the_log_or_end_with_it() {
    let app = TestApp::start().await;
    history(&app).await;
    let past = app.alice.events("").await;
    assert_eq!(
        Stream::lines(&app.alice, "follow=false").await.rest().await,
        past
    );
    assert_eq!(
        Stream::lines(&app.alice, "limit=3").await.rest().await,
        past[..3]
    );
    let after = past[past.len() - 2]["position"].as_i64().unwrap();
    let mut following = Stream::lines(&app.alice, &format!("after={after}")).await;
    assert_eq!(following.line().await.as_ref(), past.last());
    app.alice.workspace().await;
    let next = following.line().await.unwrap();
    assert_eq!(next, app.alice.events("").await[past.len()]);
}

#[tokio::test]
async fn a_stream_shows_the_product_of_its_reader_and_to_the_operator_the_one_they_name() {
    let app = OwnApp::start().await;
    let stranger = app.stranger().await;
    let theirs = stranger
        .note(stranger.workspace().await, "Theirs", "")
        .await;
    history(&app).await;
    let ours = app.alice.events("").await;
    assert_eq!(
        Stream::lines(&app.alice, "follow=false").await.rest().await,
        ours
    );
    let named = format!("product={}&follow=false", app.product_id);
    assert_eq!(
        Stream::lines(&app.operator, &named).await.rest().await,
        ours
    );
    let all = app.operator.events("").await;
    assert_eq!(
        Stream::lines(&app.operator, "follow=false")
            .await
            .rest()
            .await,
        all
    );
    for query in [
        format!("follow=false&stream=note-{}", id(&theirs)),
        format!("follow=false&actor={}", stranger.actor_id),
    ] {
        let found = Stream::lines(&app.alice, &query).await.rest().await;
        assert_eq!(found, Vec::<Value>::new(), "{query}");
        let found = Stream::lines(&stranger, &query).await.rest().await;
        assert_eq!(found, stranger.events(&query).await);
    }

    let mut live = Stream::live(&app.alice, "type=note.trashed,note.created", &[]).await;
    let trash = format!("/v1/notes/{}/trash", id(&theirs));
    stranger.post_empty(&trash).await.expect(200);
    app.alice
        .note(app.alice.workspace().await, "Ours", "")
        .await;
    let expected = app.alice.events("type=note.trashed,note.created").await;
    assert_eq!(live.frames(expected.len()).await, expected);
}

#[tokio::test]
async fn a_stream_follows_the_memberships_of_its_reader() {
    let app = OwnApp::start().await;
    let second = Server::start(&app.database_url, &[]).await;
    let workspace_id = app.alice.workspace().await;
    let bob = app.actor("person", &["*"]).await;
    let own = bob.workspace().await;
    app.alice.note(workspace_id, "Before", "").await;
    let mut streams = vec![];
    for reader in [bob.clone(), bob.at(&second.url)] {
        let live = Stream::live(&reader, "type=note.*", &[]).await;
        let following = Stream::lines(&reader, "type=note.*").await;
        streams.push((live, following));
    }
    let marker = async |title: &str| bob.note(own, title, "").await;
    marker("first").await;
    app.alice.admit(workspace_id, &bob, "viewer").await;
    app.alice.note(workspace_id, "Shared", "").await;
    // A stream checks the reader's permissions when it reaches an event.
    for (live, following) in &mut streams {
        for title in ["first", "Shared"] {
            assert_eq!(live.frames(1).await[0]["data"]["title"], title);
            assert_eq!(following.line().await.unwrap()["data"]["title"], title);
        }
    }
    let member = format!("/v1/workspaces/{workspace_id}/members/{}", bob.actor_id);
    app.alice.delete(&member).await.expect(200);
    app.alice.note(workspace_id, "After", "").await;
    marker("last").await;
    for (live, following) in &mut streams {
        assert_eq!(live.frames(1).await[0]["data"]["title"], "last");
        assert_eq!(following.line().await.unwrap()["data"]["title"], "last");
    }
    // A removed member no longer sees the earlier events either.
    let titles = bob.events("type=note.created").await;
    let titles: Vec<String> = titles.iter().map(|e| text(&e["data"]["title"])).collect();
    assert_eq!(titles, ["first", "last"]);
}

#[tokio::test]
async fn nobody_follows_from_beyond_the_end_of_the_log() {
    let app = TestApp::start().await;
    let head = app.alice.head().await;
    let ahead = head + 1_000_000;
    for accept in [
        "application/json",
        "text/event-stream",
        "application/x-ndjson",
    ] {
        let asked = app
            .alice
            .request(Method::GET, &format!("/v1/events?after={ahead}"));
        let answer = app.alice.send(asked.header("accept", accept)).await;
        let problem = answer.expect_problem(400, "position_ahead");
        assert!(text(&problem["detail"]).contains("after: the log ends at position"));
    }
    let asked = app.alice.request(Method::GET, "/v1/events");
    let asked = asked.header("accept", "text/event-stream");
    let asked = asked.header("Last-Event-ID", ahead.to_string());
    let problem = app
        .alice
        .send(asked)
        .await
        .expect_problem(400, "position_ahead");
    assert!(text(&problem["detail"]).contains("Last-Event-ID"));
    let at_the_end = format!("/v1/events?after={}", app.alice.head().await);
    app.alice.get(&at_the_end).await.expect(200);
}
