//! The log over HTTP and on the command line: pages, streams, filters, causes.

use std::collections::BTreeSet;
use std::process::Stdio;

use chrono::{SecondsFormat, TimeDelta};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use uuid::Uuid;

use crate::harness::{Client, PATIENCE, TestApp, command, eventually, id, items, time};
use crate::receiver::{Endpoint, Receiver};

/// A body that arrives piece by piece.
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

    /// What comes before the next `end`; none: the stream has ended.
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

    /// The next server-sent event; heartbeats are passed over.
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

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Some history: two writers, several streams, one request with a correlation id of its own.
async fn history(app: &TestApp) -> (Client, Uuid) {
    let workspace_id = app.alice.workspace().await;
    let bob = app.actor("person", &["*"]).await;
    app.alice.admit(workspace_id, &bob, "editor").await;
    let correlation_id = Uuid::now_v7();
    for (writer, title) in [(&app.alice, "Tea"), (&bob, "Coffee"), (&app.alice, "Water")] {
        let note = writer.note(workspace_id, title, "").await;
        let revise = writer.request(Method::PATCH, &format!("/v1/notes/{}", id(&note)));
        let revise = revise.header("Daybook-Correlation-Id", correlation_id.to_string());
        writer
            .send(revise.json(&json!({"body": title})))
            .await
            .expect(200);
    }
    (bob, correlation_id)
}

/// A query for values that may need escaping.
fn query(pairs: &[(&str, String)]) -> String {
    let mut url = reqwest::Url::parse("http://host").unwrap();
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_walk_along_the_cursor_sees_each_event_once() {
    let app = TestApp::start().await;
    history(&app).await;
    let all = app.operator.events("").await;
    let positions: Vec<i64> = all
        .iter()
        .map(|event| event["position"].as_i64().unwrap())
        .collect();
    let head = i64::try_from(all.len()).unwrap();
    assert_eq!(positions, (1..=head).collect::<Vec<_>>());

    let expected = app.alice.events("type=note.*").await;
    assert_eq!(expected.len(), 6);
    for limit in [1, 4, 6, 7] {
        let mut walked = vec![];
        let mut after = json!(0);
        while !after.is_null() {
            let path = format!("/v1/events?type=note.*&limit={limit}&after={after}");
            let mut page = app.alice.get(&path).await.expect(200);
            after = page["next_cursor"].take();
            let found = items(page);
            assert!(found.len() <= limit);
            walked.extend(found);
        }
        assert_eq!(walked, expected, "{limit} on a page");
    }
}

#[tokio::test]
async fn every_filter_alone_and_combined_finds_what_it_says() {
    let app = TestApp::start().await;
    let (bob, correlation_id) = history(&app).await;
    history(&app).await;
    let all = app.alice.events("").await;
    let note = all
        .iter()
        .find(|event| event["type"] == "note.revised")
        .unwrap();
    let note = text(&note["stream"]);
    let (since, until) = (
        time(&all[4]["recorded_at"]),
        time(&all[all.len() - 3]["recorded_at"]),
    );
    let after = all[2]["position"].as_i64().unwrap();
    let bob = bob.actor_id;
    let exact = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);

    type Keeps<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let filters: Vec<(&str, String, Keeps)> = vec![
        (
            "after",
            after.to_string(),
            Box::new(|event| event["position"].as_i64().unwrap() > after),
        ),
        (
            "product",
            app.product_id.to_string(),
            Box::new(|event| event["product_id"] == json!(app.product_id)),
        ),
        (
            "category",
            "note".into(),
            Box::new(|event| text(&event["stream"]).starts_with("note-")),
        ),
        (
            "stream",
            note.clone(),
            Box::new(|event| event["stream"] == json!(note)),
        ),
        (
            "type",
            "note.revised, workspace.*".into(),
            Box::new(|event| {
                event["type"] == "note.revised" || text(&event["type"]).starts_with("workspace.")
            }),
        ),
        (
            "actor",
            bob.to_string(),
            Box::new(|event| event["metadata"]["actor"]["id"] == json!(bob)),
        ),
        (
            "correlation_id",
            correlation_id.to_string(),
            Box::new(|event| event["metadata"]["correlation_id"] == json!(correlation_id)),
        ),
        (
            "since",
            exact(since),
            Box::new(|event| time(&event["recorded_at"]) >= since),
        ),
        (
            "until",
            exact(until),
            Box::new(|event| time(&event["recorded_at"]) < until),
        ),
    ];
    let mut found = BTreeSet::new();
    for chosen in 0..1_u32 << filters.len() {
        let chosen: Vec<_> = filters
            .iter()
            .enumerate()
            .filter(|(n, _)| chosen & 1 << n != 0)
            .map(|(_, f)| f)
            .collect();
        let pairs: Vec<_> = chosen
            .iter()
            .map(|(name, value, _)| (*name, value.clone()))
            .collect();
        let mut expected = all.clone();
        expected.retain(|event| chosen.iter().all(|(_, _, keeps)| keeps(event)));
        let query = query(&pairs);
        let answer = app
            .alice
            .send(
                app.alice
                    .request(Method::GET, &format!("/v1/events?{query}")),
            )
            .await;
        assert_eq!(items(answer.expect(200)), expected, "{query}");
        found.insert(expected.len());
    }
    // All of it, none of it, and much in between.
    assert!(
        found.len() > 5 && found.contains(&1) && found.contains(&all.len()),
        "{found:?}"
    );
}

#[tokio::test]
async fn type_patterns_mean_what_they_say_to_the_letter() {
    let app = TestApp::start().await;
    history(&app).await;
    let count = async |pattern: &str| {
        let pairs = [("type", pattern.to_owned())];
        app.alice.events(&query(&pairs)).await.len()
    };
    assert_eq!(count("note.*").await, 6);
    assert_eq!(count("note.c*").await, 3);
    assert_eq!(count("note.created").await, 3);
    assert_eq!(count("note.created,note.revised").await, 6);
    assert_eq!(count("workspace.member_set").await, 1);
    assert!(count("*").await > 6);
    for nothing in [
        "note",
        "note.%",
        "note._reated",
        "note.create_",
        "workspace.member%set",
        "note.\\*",
        "\\",
        "%",
        "_*",
        "*.created",
        "NOTE.*",
        "note.created'",
        "note.created*x",
        "'; drop table log.events; --",
    ] {
        assert_eq!(count(nothing).await, 0, "{nothing}");
    }
}

#[tokio::test]
async fn malformed_questions_are_refused_with_the_parameter_at_fault() {
    let app = TestApp::start().await;
    for (query, pointer) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("stream=note", "stream"),
    ] {
        let answer = app.alice.get(&format!("/v1/events?{query}")).await;
        let problem = answer.expect_problem(400, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
    for query in [
        "since=yesterday",
        "until=1",
        "actor=bob",
        "correlation_id=1",
        "after=first",
        "product=x",
    ] {
        let answer = app.alice.get(&format!("/v1/events?{query}")).await;
        answer.expect_problem(400, "malformed_query");
    }
    let request = app
        .alice
        .request(Method::GET, "/v1/events")
        .header("accept", "text/event-stream");
    let answer = app.alice.send(request.header("Last-Event-ID", "abc")).await;
    answer.expect_problem(400, "malformed_header");
    let reader = app.actor("service", &["notes:read"]).await;
    reader
        .get("/v1/events")
        .await
        .expect_problem(403, "scope_missing");
    let unknown = format!("/v1/events/{}/causation", Uuid::now_v7());
    app.alice
        .get(&unknown)
        .await
        .expect_problem(404, "not_found");
    reader
        .get(&unknown)
        .await
        .expect_problem(403, "scope_missing");
}

#[tokio::test]
async fn nobody_sees_another_products_events_however_they_ask() {
    let app = TestApp::start().await;
    let stranger = app.stranger().await;
    history(&app).await;
    let theirs = stranger
        .note(stranger.workspace().await, "Theirs", "")
        .await;
    let event = &stranger.events("type=note.created").await[0];
    let (product, stream) = (text(&event["product_id"]), text(&event["stream"]));
    let correlation_id = text(&event["metadata"]["correlation_id"]);

    let own = json!(app.product_id);
    let is_own = |event: &Value| event["product_id"] == own;
    assert!(app.alice.events("").await.iter().all(is_own));
    assert!(
        Stream::lines(&app.alice, "")
            .await
            .rest()
            .await
            .iter()
            .all(is_own)
    );
    for query in [
        format!("stream={stream}"),
        format!("actor={}", stranger.actor_id),
        format!("correlation_id={correlation_id}"),
    ] {
        assert_eq!(
            app.alice.events(&query).await,
            Vec::<Value>::new(),
            "{query}"
        );
        assert!(
            Stream::lines(&app.alice, &query)
                .await
                .rest()
                .await
                .is_empty(),
            "{query}"
        );
        assert!(!stranger.events(&query).await.is_empty(), "{query}");
    }
    let mut live = Stream::live(&app.alice, "type=note.created,note.trashed", &[]).await;
    stranger
        .post_empty(&format!("/v1/notes/{}/trash", id(&theirs)))
        .await
        .expect(200);
    app.alice
        .note(app.alice.workspace().await, "Ours", "")
        .await;
    assert!(live.frames(4).await.iter().all(is_own));

    app.alice
        .get(&format!("/v1/events?product={product}"))
        .await
        .expect_problem(404, "not_found");
    let causation = format!("/v1/events/{}/causation", text(&event["event_id"]));
    app.alice
        .get(&causation)
        .await
        .expect_problem(404, "not_found");
    stranger.get(&causation).await.expect(200);
}

#[tokio::test]
async fn the_operator_sees_every_product_or_the_one_they_name() {
    let app = TestApp::start().await;
    let stranger = app.stranger().await;
    history(&app).await;
    stranger.workspace().await;
    let (ours, theirs) = (app.alice.events("").await, stranger.events("").await);
    let all = app.operator.events("").await;
    assert!(ours.iter().chain(&theirs).all(|event| all.contains(event)));
    let product = format!("product={}", app.product_id);
    assert_eq!(app.operator.events(&product).await, ours);
    assert_eq!(
        Stream::lines(&app.operator, &product).await.rest().await,
        ours
    );
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
        // The header goes before the parameter: a browser repeats the URL it was given.
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
    let mut app = TestApp::start().await;
    let mut live = Stream::live(&app.alice, "after=1000000", &[]).await;
    let following = Stream::lines(&app.alice, "type=note.purged&follow=true").await;
    let process = app.server.process.id().unwrap().to_string();
    let told = tokio::process::Command::new("kill")
        .args(["-TERM", &process])
        .status()
        .await
        .unwrap();
    assert!(told.success());
    assert_eq!(live.frame().await, None);
    assert!(following.rest().await.is_empty());
    let ended = tokio::time::timeout(PATIENCE, app.server.process.wait()).await;
    assert!(ended.expect("the server ends in time").unwrap().success());
}

#[tokio::test]
async fn lines_end_with_the_log_or_follow_it() {
    let app = TestApp::start().await;
    history(&app).await;
    let past = app.alice.events("").await;
    assert_eq!(Stream::lines(&app.alice, "").await.rest().await, past);
    assert_eq!(
        Stream::lines(&app.alice, "limit=3").await.rest().await,
        past[..3]
    );
    assert_eq!(
        Stream::lines(&app.alice, "limit=3&follow=true&after=1")
            .await
            .rest()
            .await
            .len(),
        3
    );
    let after = past[past.len() - 2]["position"].as_i64().unwrap();
    let mut following = Stream::lines(&app.alice, &format!("follow=true&after={after}")).await;
    assert_eq!(following.line().await.as_ref(), past.last());
    app.alice.workspace().await;
    let next = following.line().await.unwrap();
    assert_eq!(next, app.alice.events("").await[past.len()]);
}

#[tokio::test]
async fn the_tree_of_causes_leads_from_an_approval_over_the_notes_to_the_deliveries() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    Endpoint::create(&app.alice, &receiver.url, &["proposal.approved", "note.*"]).await;
    let workspace_id = app.alice.workspace().await;
    let agent = app.actor("agent", &["*"]).await;
    app.alice.admit(workspace_id, &agent, "agent").await;
    let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
    let actions = json!([
        {"type": "note.revise", "note_id": id(&note), "base_version": 1, "body": "Steep it long."},
        {"type": "note.create", "title": "Milk", "body": "", "tags": []},
    ]);
    let proposal =
        json!({"workspace_id": workspace_id, "actions": actions, "rationale": "Better."});
    let proposal = agent.post("/v1/proposals", proposal).await.expect(201);
    let submitted = &app.alice.events("type=proposal.submitted").await[0];
    // The approver's client says what it is about.
    let approve = app.alice.request(
        Method::POST,
        &format!("/v1/proposals/{}/approve", id(&proposal)),
    );
    let approve = approve
        .header("Daybook-Causation-Id", text(&submitted["event_id"]))
        .header(
            "Daybook-Correlation-Id",
            text(&submitted["metadata"]["correlation_id"]),
        );
    let approve = approve.json(&json!({"actions_hash": proposal["actions_hash"]}));
    app.alice.send(approve).await.expect(200);
    app.settle().await;

    let causation = async |event: &Value| {
        let path = format!("/v1/events/{}/causation", text(&event["event_id"]));
        app.alice.get(&path).await.expect(200)
    };
    let of = |events: &Value, name: &str| {
        let events = events.as_array().unwrap();
        events
            .iter()
            .find(|effect| effect["event"]["type"] == name)
            .cloned()
            .unwrap_or_else(|| panic!("{name} in {events:#?}"))
    };
    let tree = causation(submitted).await;
    assert_eq!((&tree["event"], &tree["causes"]), (submitted, &json!([])));
    let approved = of(&tree["effects"], "proposal.approved");
    let delivered = of(&approved["effects"], "webhook.delivery_attempted");
    assert_eq!(
        delivered["event"]["data"]["event_type"],
        "proposal.approved"
    );
    of(&approved["effects"], "proposal.applied");
    let revised = of(&approved["effects"], "note.revised");
    assert_eq!(revised["event"]["stream"], format!("note-{}", id(&note)));
    assert_eq!(
        revised["event"]["metadata"]["on_behalf_of"]["id"],
        json!(agent.actor_id)
    );
    for name in ["note.revised", "note.created"] {
        let changed = of(&approved["effects"], name);
        let delivered = of(&changed["effects"], "webhook.delivery_attempted");
        assert_eq!(
            delivered["event"]["data"]["event_id"],
            changed["event"]["event_id"]
        );
        assert_eq!(delivered["effects"], json!([]));
        // And back.
        let back = causation(&delivered["event"]).await;
        assert_eq!(
            back["causes"],
            json!([changed["event"], approved["event"], submitted])
        );
    }
    assert_eq!(
        causation(&approved["event"]).await["effects"],
        approved["effects"]
    );
}

#[tokio::test]
async fn a_long_circle_of_causes_is_answered_level_by_level() {
    const CHAIN: &str = "
        with head as (update log.head set position = position + 9999 returning position - 9999 as base)
        insert into log.events
        select base + n, $1, 'chain', $2, n, lpad(to_hex(n), 32, '0')::uuid, 'chain.grown', 1, '{}', metadata, $2,
            lpad(to_hex((n + 9997) % 9999 + 1), 32, '0')::uuid, now()
        from head, generate_series(1, 9999) n, (select metadata from log.events limit 1) e";
    let app = TestApp::start().await;
    let database = app.superuser().await;
    let stream = Uuid::now_v7();
    database
        .execute(CHAIN, &[&app.product_id, &stream])
        .await
        .unwrap();
    let link = |n: u128| Uuid::from_u128(n);
    let causation = async |n: u128| {
        let path = format!("/v1/events/{}/causation", link(n));
        app.alice.get(&path).await
    };
    eventually(async || {
        let events = app.alice.events(&format!("stream=chain-{stream}")).await;
        (events.len() == 1_000).then_some(())
    })
    .await;

    let first = causation(1).await.expect(200);
    let mut effects = &first["effects"];
    let mut depth = 1;
    while let Some(effect) = effects.get(0) {
        depth += 1;
        assert_eq!(effect["event"]["event_id"], json!(link(depth)));
        effects = &effect["effects"];
    }
    assert_eq!(depth, 51);
    let last = causation(9999).await.expect(200);
    assert_eq!(last["causes"].as_array().unwrap().len(), 9998);
    assert_eq!(last["causes"][9997]["event_id"], json!(link(1)));
}

#[tokio::test]
async fn replay_prints_the_log_beside_the_running_server() {
    let app = TestApp::start().await;
    history(&app).await;
    let replay = async |arguments: &[&str]| {
        let output = command(&app.database_url, &[])
            .arg("replay")
            .args(arguments)
            .output()
            .await
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let lines = String::from_utf8(output.stdout).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<Value>>()
    };
    let all = app.operator.events("").await;
    assert_eq!(replay(&[]).await, all);
    let after = all[4]["position"].to_string();
    assert_eq!(replay(&["--after", &after]).await, all[5..]);
    let stream = text(&all.last().unwrap()["stream"]);
    assert_eq!(
        replay(&["--stream", &stream]).await,
        app.operator.events(&format!("stream={stream}")).await
    );
    assert_eq!(
        replay(&["--type", "note.created", "--type", "workspace.*"]).await,
        app.operator.events("type=note.created,workspace.*").await
    );
    let product = app.product_id.to_string();
    assert_eq!(
        replay(&["--product", &product, "--type", "note.*", "--after", &after]).await,
        app.alice
            .events(&format!("type=note.*&after={after}"))
            .await
    );
    let refused = command(&app.database_url, &[])
        .args(["replay", "--stream", "note"])
        .output()
        .await
        .unwrap();
    assert!(!refused.status.success());
}

#[tokio::test]
async fn replay_follows_the_log_as_another_process_writes_it() {
    let app = TestApp::start().await;
    let mut following = command(&app.database_url, &[])
        .args(["replay", "--follow", "--type", "note.*"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let workspace_id = app.alice.workspace().await;
    for _ in 0..3 {
        let note = app.alice.note(workspace_id, "Tea", "").await;
        let line = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["stream"], format!("note-{}", id(&note)));
    }
    let interrupted = following.id().unwrap().to_string();
    tokio::process::Command::new("kill")
        .args(["-INT", &interrupted])
        .status()
        .await
        .unwrap();
    assert!(
        tokio::time::timeout(PATIENCE, following.wait())
            .await
            .unwrap()
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn what_an_event_says_of_time_is_when_it_was_recorded() {
    let app = TestApp::start().await;
    let before = chrono::Utc::now() - TimeDelta::seconds(1);
    app.alice.workspace().await;
    let events = app.alice.events("").await;
    let times: Vec<_> = events
        .iter()
        .map(|event| time(&event["recorded_at"]))
        .collect();
    assert!(times.is_sorted());
    assert!(*times.last().unwrap() > before);
}
