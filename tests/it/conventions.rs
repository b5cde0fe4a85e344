//! Conventions of all requests.

use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::{Either, join_all, select};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::harness::{
    Answer, Client, OwnApp, PATIENCE, Server, TestApp, id, items, pointers, types,
};
use crate::world::World;

/// Builds a request for a new note with an idempotency key.
fn write(client: &Client, key: &str, workspace_id: Uuid, title: &str) -> RequestBuilder {
    client
        .request(Method::POST, "/v1/notes")
        .header("Idempotency-Key", key)
        .json(&json!({"workspace_id": workspace_id, "title": title}))
}

fn at(note: &Value) -> String {
    format!("/v1/notes/{}", id(note))
}

#[tokio::test]
async fn a_command_repeated_under_its_key_is_done_once() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let first = app
        .alice
        .send(write(&app.alice, "k", workspace_id, "Tea"))
        .await;
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let position = first.position();
    let note = first.expect(201);
    let retitle = json!({"title": "Green tea"});
    app.alice.patch(&at(&note), retitle).await.expect(200);
    for key in ["k", "\"k\""] {
        let again = write(&app.alice, key, workspace_id, "Tea");
        let again = app.alice.send(again).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.header("etag"), "\"1\"");
        assert_eq!(again.position(), position);
        assert_eq!(again.expect(201), note);
    }
    assert_eq!(app.alice.ids("/v1/notes").await, [id(&note)]);
    let stored = app.alice.events("category=note").await;
    assert_eq!(stored[0]["metadata"]["command_key"], "k");
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_actor() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app
        .alice
        .send(write(&app.alice, "k", workspace_id, "Tea"))
        .await;
    let note = note.expect(201);
    let archive = format!("{}/archive", at(&note));
    for other in [
        write(&app.alice, "k", workspace_id, "Coffee"),
        app.alice
            .request(Method::POST, &archive)
            .header("Idempotency-Key", "k"),
    ] {
        let answer = app.alice.send(other).await;
        answer.expect_problem(422, "idempotency_key_reused");
    }
    let bob = app.actor("person", &["*"]).await;
    app.alice.admit(workspace_id, &bob, "editor").await;
    let bobs = bob.send(write(&bob, "k", workspace_id, "Tea")).await;
    assert_ne!(id(&bobs.expect(201)), id(&note));
    let product_id = app.operator.product("Elsewhere").await;
    let carol = app.operator.actor(product_id, "person", &["*"]).await;
    let elsewhere = carol.workspace().await;
    let carols = carol.send(write(&carol, "k", elsewhere, "Tea")).await;
    assert_ne!(id(&carols.expect(201)), id(&note));
    assert_eq!(app.alice.ids("/v1/notes").await.len(), 2);
}

#[tokio::test]
async fn a_refusal_does_not_use_up_the_key_and_an_answer_without_events_does() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "").await;
    let under_key = async |method: Method, path: &str| {
        let request = app.alice.request(method, path);
        app.alice.send(request.header("Idempotency-Key", "k")).await
    };
    let refused = under_key(Method::DELETE, &at(&note)).await;
    refused.expect_problem(422, "note_not_in_trash");
    let restore = format!("{}/restore", at(&note));
    let nothing_to_do = under_key(Method::POST, &restore).await;
    assert_eq!(nothing_to_do.expect(200), note);
    let trash = format!("{}/trash", at(&note));
    app.alice.post_empty(&trash).await.expect(200);
    let again = under_key(Method::POST, &restore).await;
    assert_eq!(again.expect(200), note, "the answer of the first time");
    let now = app.alice.get(&at(&note)).await.expect(200);
    assert_eq!(now["status"], "trashed", "and nothing is restored");
}

#[tokio::test]
async fn a_key_has_1_to_255_characters_and_both_or_no_quotes() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    for key in ["", "\"\"", "\"open", "é", &"x".repeat(256)] {
        let answer = write(&app.alice, key, workspace_id, "Tea");
        let answer = app.alice.send(answer).await;
        answer.expect_problem(400, "malformed_header");
    }
    let longest = write(&app.alice, &"x".repeat(255), workspace_id, "Tea");
    app.alice.send(longest).await.expect(201);
}

#[tokio::test]
async fn while_a_command_runs_another_under_its_key_is_told_to_wait() {
    let app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let colleague = app.actor("person", &["*"]).await;
    app.alice.admit(workspace_id, &colleague, "editor").await;
    let mut sql = app.sql().await;
    let hold = sql.transaction().await.unwrap();
    hold.execute("select * from log.head for update", &[])
        .await
        .unwrap();
    let ask = || Box::pin(app.alice.send(write(&app.alice, "k", workspace_id, "Tea")));
    // The first request waits for the log, so that the other is answered first.
    let (Either::Left((answer, other)) | Either::Right((answer, other))) =
        select(ask(), ask()).await;
    assert_eq!(answer.header("retry-after"), "1");
    answer.expect_problem(409, "idempotency_key_in_progress");
    hold.rollback().await.unwrap();
    let note = other.await.expect(201);
    assert_eq!(ask().await.expect(201), note);
    assert_eq!(app.alice.ids("/v1/notes").await, [id(&note)]);
}

#[tokio::test]
async fn two_servers_do_a_command_under_one_key_once() {
    let app = OwnApp::start().await;
    let second = Server::start(&app.database_url, &[]).await;
    let there = app.alice.at(&second.url);
    let workspace_id = app.alice.workspace().await;
    let mut last = 0;
    for round in 0..20 {
        let key = format!("round {round}");
        let (left, right) = tokio::join!(
            app.alice.send(write(&app.alice, &key, workspace_id, "Tea")),
            there.send(write(&there, &key, workspace_id, "Tea")),
        );
        let replayed = [&left, &right].map(|a| a.headers.contains_key("idempotency-replayed"));
        assert!(replayed[0] != replayed[1], "{replayed:?}");
        last = left.position();
        assert_eq!(left.expect(201), right.expect(201));
    }
    let notes = app.alice.get_at("/v1/notes", last).await.expect(200);
    assert_eq!(notes["items"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn a_command_whose_answer_was_cut_off_is_not_done_again() {
    let app = OwnApp::start().await;
    let hasty = Server::start(&app.database_url, &[("DAYBOOK_REQUEST_TIMEOUT", "1")]).await;
    let workspace_id = app.alice.workspace().await;
    let colleague = app.actor("person", &["*"]).await;
    app.alice.admit(workspace_id, &colleague, "editor").await;
    let mut sql = app.sql().await;
    let hold = sql.transaction().await.unwrap();
    hold.execute("select * from log.head for update", &[])
        .await
        .unwrap();
    let alice = app.alice.at(&hasty.url);
    let cut_off = alice.send(write(&alice, "k", workspace_id, "Tea")).await;
    let correlation_id = cut_off.header("daybook-correlation-id").to_owned();
    let problem = cut_off.expect_problem(503, "timed_out");
    assert_eq!(problem["correlation_id"], correlation_id);
    hold.rollback().await.unwrap();
    let note = app
        .alice
        .send(write(&app.alice, "k", workspace_id, "Tea"))
        .await;
    let note = note.expect(201);
    assert_eq!(app.alice.ids("/v1/notes").await, [id(&note)]);
}

#[tokio::test]
async fn if_match_guards_a_version() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "0", "").await;
    let retitle = async |tag: &str, title: &str| {
        let request = app
            .alice
            .request(Method::PATCH, &at(&note))
            .header("If-Match", tag)
            .json(&json!({"title": title}));
        app.alice.send(request).await
    };
    for (version, tag) in (2..).zip(["\"1\"", "\"1\", W/\"2\"", "3", "*"]) {
        let answer = retitle(tag, &version.to_string()).await;
        assert_eq!(answer.header("etag"), format!("\"{version}\""));
        assert_eq!(answer.expect(200)["version"], version);
    }
    for stale in ["\"1\", \"3\"", "\"4\"", "\"6\"", "\"0\"", "\"-1\""] {
        let answer = retitle(stale, "x").await;
        answer.expect_problem(412, "version_mismatch");
    }
    for malformed in ["", "\"\"", "\"abc\"", "5 5", "\"5\", x"] {
        let answer = retitle(malformed, "x").await;
        answer.expect_problem(400, "malformed_header");
    }
    let dry = app
        .alice
        .request(Method::POST, &format!("{}/trash?dry_run=true", at(&note)))
        .header("If-Match", "\"1\"");
    app.alice
        .send(dry)
        .await
        .expect_problem(412, "version_mismatch");
    let new = write(&app.alice, "k", workspace_id, "New").header("If-Match", "\"1\"");
    app.alice
        .send(new)
        .await
        .expect_problem(412, "version_mismatch");
    let now = app.alice.get(&at(&note)).await.expect(200);
    assert_eq!((&now["title"], &now["version"]), (&json!("5"), &json!(5)));
}

#[tokio::test]
async fn of_many_who_change_the_same_version_one_does_and_without_one_all_do() {
    let app = OwnApp::start().await;
    let second = Server::start(&app.database_url, &[]).await;
    let nodes = [app.alice.clone(), app.alice.at(&second.url)];
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "", "").await;
    let retitle = async |round: usize, tag: Option<&str>| {
        let node = &nodes[round % 2];
        let mut request = node
            .request(Method::PATCH, &at(&note))
            .json(&json!({"title": round.to_string()}));
        if let Some(tag) = tag {
            request = request.header("If-Match", tag);
        }
        node.send(request).await
    };
    let answers = join_all((0..12).map(|round| retitle(round, Some("\"1\"")))).await;
    let (done, refused): (Vec<Answer>, Vec<Answer>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(done.len(), 1);
    for answer in refused {
        answer.expect_problem(412, "version_mismatch");
    }
    let answers = join_all((12..24).map(|round| retitle(round, None))).await;
    let mut versions: Vec<i64> = answers
        .into_iter()
        .map(|answer| answer.expect(200)["version"].as_i64().unwrap())
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, Vec::from_iter(3..=14));
}

#[tokio::test]
async fn a_dry_run_shows_what_the_command_would_append() {
    let app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "").await;
    let change = json!({"title": "Green tea", "tags": ["drink"]});
    let ask = async |query: &str| {
        let request = app
            .alice
            .request(Method::PATCH, &format!("{}{query}", at(&note)))
            .header("Idempotency-Key", "k")
            .json(&change);
        app.alice.send(request).await
    };
    let head = app.alice.head().await;
    for query in ["?dry_run=true", "?dry_run"] {
        let preview = ask(query).await;
        assert_eq!(preview.position(), head);
        let planned = preview.expect(200)["events"].clone();
        let stream = format!("note-{}", id(&note));
        assert_eq!(
            planned,
            json!([
                {"stream": stream, "version": 2, "type": "note.revised", "data": {"title": "Green tea"}},
                {"stream": stream, "version": 3, "type": "note.tagged", "data": {"added": ["drink"], "removed": []}},
            ])
        );
    }
    assert_eq!(app.alice.get(&at(&note)).await.expect(200), note);
    assert_eq!(app.alice.head().await, head);
    let archive = format!("{}/restore?dry_run=true", at(&note));
    let nothing = app.alice.post_empty(&archive).await.expect(200);
    assert_eq!(nothing, json!({"dry_run": true, "events": []}));
    let refused = app
        .alice
        .delete(&format!("{}?dry_run=true", at(&note)))
        .await;
    refused.expect_problem(422, "note_not_in_trash");
    ask("?dry_run=maybe")
        .await
        .expect_problem(400, "malformed_query");
    // The dry run has not used up the key.
    assert_eq!(
        ask("?dry_run=false").await.expect(200)["title"],
        "Green tea"
    );
}

#[tokio::test]
async fn every_event_tells_what_it_belongs_to_and_who_asked_for_it() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let cause = app.alice.events("category=workspace").await.remove(0);
    let cause = cause["event_id"].as_str().unwrap();
    let me = app.alice.get("/v1/me").await.expect(200);
    for header in ["Daybook-Correlation-Id", "X-Correlation-Id"] {
        let correlation_id = Uuid::now_v7().to_string();
        let request = write(&app.alice, header, workspace_id, "Tea")
            .header(header, &correlation_id)
            .header("Daybook-Causation-Id", cause)
            .header("traceparent", TRACE);
        let answer = app.alice.send(request).await;
        assert_eq!(answer.header("daybook-correlation-id"), correlation_id);
        let note = answer.expect(201);
        let events = app
            .alice
            .events(&format!("correlation_id={correlation_id}"))
            .await;
        assert_eq!(types(&events), ["note.created"]);
        assert_eq!(events[0]["stream"], format!("note-{}", id(&note)));
        assert_eq!(
            events[0]["metadata"],
            json!({
                "actor": {"kind": "person", "id": app.alice.actor_id},
                "credential": me["credential"]["id"],
                "command": "note.create",
                "command_key": header,
                "correlation_id": correlation_id,
                "causation_id": cause,
                "traceparent": TRACE,
            })
        );
    }
    let tree = app
        .alice
        .get(&format!("/v1/events/{cause}/causation"))
        .await;
    assert_eq!(tree.expect(200)["event"]["event_id"], cause);

    // Foreign correlation headers that are not valid are ignored; an invalid causation id is refused.
    let request = write(&app.alice, "odd", workspace_id, "Tea")
        .header("X-Correlation-Id", "req-123")
        .header("traceparent", "00-nonsense");
    let answer = app.alice.send(request).await;
    let made_up: Uuid = answer.header("daybook-correlation-id").parse().unwrap();
    answer.expect(201);
    let event = app
        .alice
        .events(&format!("correlation_id={made_up}"))
        .await
        .remove(0);
    assert!(event["metadata"].get("traceparent").is_none());
    assert!(event["metadata"].get("causation_id").is_none());
    for header in ["Daybook-Correlation-Id", "Daybook-Causation-Id"] {
        for malformed in ["you", ""] {
            let request = write(&app.alice, "bad", workspace_id, "Tea").header(header, malformed);
            let answer = app.alice.send(request).await;
            assert!(!answer.header("daybook-correlation-id").is_empty());
            let problem = answer.expect_problem(400, "malformed_header");
            assert!(problem["detail"].as_str().unwrap().starts_with(header));
        }
    }
    let nothing = Uuid::now_v7().to_string();
    let request =
        write(&app.alice, "bad", workspace_id, "Tea").header("Daybook-Causation-Id", nothing);
    app.alice
        .send(request)
        .await
        .expect_problem(422, "cause_not_found");
}

#[tokio::test]
async fn no_operation_takes_a_parameter_that_it_does_not_know() {
    let world = World::start().await;
    for operation in world.document.guarded() {
        let path = world.path(&operation).await;
        let caller = world.caller(&operation);
        let known = operation.query_parameters();
        let query = "dryrun=true&colour=green";
        let answer = world
            .call(caller, &operation, &format!("{path}?{query}"))
            .await;
        let correlation_id = answer.header("daybook-correlation-id").to_owned();
        assert_eq!(answer.status, 400, "{}", operation.name());
        let problem = answer.expect_problem(400, "malformed_query");
        assert_eq!(pointers(&problem), ["dryrun", "colour"]);
        let detail = problem["detail"].as_str().unwrap();
        assert!(known.iter().all(|name| detail.contains(name)), "{detail}");
        let query = format!("correlation_id={correlation_id}");
        let done = world.app.operator.events(&query).await;
        assert_eq!(done, Vec::<Value>::new(), "{}", operation.name());
    }
}

#[tokio::test]
async fn a_parameter_that_is_no_text_is_refused() {
    let app = TestApp::start().await;
    for (query, name) in [
        ("q=%ef", "q"),
        ("kind=note&q=te%bf*", "q"),
        ("q=tea&%ef=x", "\u{fffd}"),
    ] {
        let answer = app.alice.get(&format!("/v1/search?{query}")).await;
        let problem = answer.expect_problem(400, "malformed_query");
        assert_eq!(pointers(&problem)[0], name, "{query}");
    }
    let text = app.alice.get("/v1/search?q=%e8%8c%b6").await;
    text.expect(200);
}

#[tokio::test]
async fn every_parameter_at_fault_is_named_at_once_with_what_it_must_be() {
    let app = TestApp::start().await;
    let long = "x".repeat(5_000);
    let query =
        format!("limit=many&since=now&actor=bob&after=-1&follow=perhaps&types=a&limit=2&{long}=1");
    let answer = app.alice.get(&format!("/v1/events?{query}")).await;
    let problem = answer.expect_problem(400, "malformed_query");
    let mut told: Vec<String> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            format!(
                "{}: {}",
                error["pointer"].as_str().unwrap(),
                error["detail"].as_str().unwrap()
            )
        })
        .collect();
    let names = "there are actor, after, category, correlation_id, follow, limit, product, since, stream, type, until, workspace_id";
    let mut expected = vec![
        "actor: must be a UUID".to_owned(),
        "after: it is less than the minimum of 0".to_owned(),
        "follow: must be true or false".to_owned(),
        "limit: is given more than once".to_owned(),
        "limit: must be a whole number".to_owned(),
        "since: must be a time as in RFC 3339, such as 2030-01-31T12:00:00Z, without a leap second"
            .to_owned(),
        format!("types: is not a parameter: {names}"),
        format!("{}…: is not a parameter: {names}", &long[..60]),
    ];
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn every_read_says_its_position_and_waits_for_the_one_it_is_asked_for() {
    let world = World::start().await;
    let mut ahead = vec![];
    for operation in world.document.guarded() {
        if !operation.is_read() {
            continue;
        }
        let path = world.path(&operation).await;
        let caller = world.caller(&operation);
        let head = caller.head().await;
        let answer = caller.get_at(&path, head).await;
        assert!(answer.position() >= head, "{}", operation.name());
        answer.expect(200);
        for malformed in ["", "-1", "soon", "1.0", "9223372036854775808"] {
            let request = caller
                .request(Method::GET, &path)
                .header("Daybook-Min-Position", malformed);
            let answer = caller.send(request).await;
            assert_eq!(answer.status, 400, "{} {malformed}", operation.name());
            answer.expect_problem(400, "malformed_header");
        }
        ahead.push((caller.clone(), path));
    }
    // Sent concurrently, because each waits a few seconds for its position.
    let answers = ahead
        .iter()
        .map(|(caller, path)| caller.get_at(path, 1_000_000_000));
    for (answer, (_, path)) in join_all(answers).await.into_iter().zip(&ahead) {
        assert_eq!(answer.status, 503, "{path}");
        assert_eq!(answer.header("retry-after"), "1");
        answer.expect_problem(503, "read_model_behind");
    }
}

#[tokio::test]
async fn a_read_is_stale_and_says_so_or_waits() {
    let app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let colleague = app.actor("person", &["*"]).await;
    app.alice.admit(workspace_id, &colleague, "editor").await;
    let mut sql = app.sql().await;
    let hold = sql.transaction().await.unwrap();
    hold.batch_execute("lock table read.notes in exclusive mode")
        .await
        .unwrap();
    let written = app
        .alice
        .send(write(&app.alice, "k", workspace_id, "Tea"))
        .await;
    let position = written.position();
    let note = written.expect(201);
    let stale = colleague.request(Method::GET, "/v1/notes");
    let stale = colleague.send(stale).await;
    assert!(stale.position() < position);
    assert_eq!(stale.expect(200)["items"], json!([]));
    // Who has written it waits without asking.
    let path = at(&note);
    let patient = colleague.get_at(&path, position);
    let own = app.alice.request(Method::GET, &path);
    let (patient, own, released) = tokio::join!(patient, app.alice.send(own), hold.rollback());
    released.unwrap();
    for read in [patient, own] {
        assert!(read.position() >= position);
        assert_eq!(read.expect(200), note);
    }
}

#[tokio::test]
async fn what_was_written_at_one_server_is_read_at_another() {
    let app = OwnApp::start().await;
    let second = Server::start(&app.database_url, &[]).await;
    let there = app.alice.at(&second.url);
    let workspace_id = app.alice.workspace().await;
    for round in 0..10 {
        let (writer, reader) = match round % 2 {
            0 => (&app.alice, &there),
            _ => (&there, &app.alice),
        };
        let key = format!("round {round}");
        let written = writer.send(write(writer, &key, workspace_id, &key)).await;
        let position = written.position();
        let note = written.expect(201);
        let read = reader.get_at(&at(&note), position).await;
        assert_eq!(read.expect(200), note);
        let event = format!("/v1/events?after={}&category=note", position - 1);
        let event = reader.get_at(&event, position).await.expect(200);
        assert_eq!(event["items"][0]["position"], position);
    }
}

#[tokio::test]
async fn every_list_keeps_to_its_bounds() {
    let world = World::start().await;
    world.dead_job().await;
    let (mut lists, mut full) = (0, 0);
    for operation in world.document.guarded() {
        if !operation.query_parameters().contains("limit") {
            continue;
        }
        lists += 1;
        let path = world.path(&operation).await;
        world.prepare(&operation, &path).await;
        let caller = world.caller(&operation);
        let page = caller.get(&format!("{path}?limit=1")).await.expect(200);
        let items = page["items"].as_array().unwrap().len();
        assert!(items <= 1, "{}", operation.name());
        full += items;
        for limit in ["0", "1001", "-1", "many", "", "1&limit=1"] {
            let answer = caller.get(&format!("{path}?limit={limit}")).await;
            assert_eq!(answer.status, 400, "{} {limit}", operation.name());
            let problem = answer.expect_problem(400, "malformed_query");
            assert_eq!(pointers(&problem), ["limit"]);
        }
        for cursor in ["cursor", "after"] {
            if operation.query_parameters().contains(cursor) {
                for malformed in ["here", "-1", ""] {
                    let answer = caller.get(&format!("{path}?{cursor}={malformed}")).await;
                    let problem = answer.expect_problem(400, "malformed_query");
                    assert_eq!(pointers(&problem), [cursor]);
                }
            }
        }
    }
    // A new endpoint has no deliveries yet.
    assert!(lists >= 9 && full == lists - 1, "{full} of {lists}");
}

#[tokio::test]
async fn every_error_is_a_problem_with_a_stable_code() {
    let app = TestApp::start().await;
    let stop_here = "/v1/notes/00000000-0000-7000-8000-000000000000";
    for (method, path, status, code, title) in [
        (Method::GET, "/v1", 404, "no_such_path", "Not Found"),
        (Method::GET, "/v1/nothing", 404, "no_such_path", "Not Found"),
        (Method::POST, "/v2/notes", 404, "no_such_path", "Not Found"),
        (
            Method::GET,
            "/v1/../etc/passwd",
            404,
            "no_such_path",
            "Not Found",
        ),
        (
            Method::GET,
            "/docs/..%2f..%2fetc%2fpasswd",
            404,
            "no_such_path",
            "Not Found",
        ),
        (
            Method::PUT,
            "/v1/notes",
            405,
            "method_not_allowed",
            "Method Not Allowed",
        ),
        (
            Method::OPTIONS,
            "/v1/notes",
            405,
            "method_not_allowed",
            "Method Not Allowed",
        ),
        (
            Method::POST,
            stop_here,
            405,
            "method_not_allowed",
            "Method Not Allowed",
        ),
        (
            Method::GET,
            "/v1/notes/7",
            400,
            "malformed_path",
            "Bad Request",
        ),
        (
            Method::GET,
            "/v1/notes/%ff",
            400,
            "malformed_path",
            "Bad Request",
        ),
        (
            Method::GET,
            "/v1/notes/%00",
            400,
            "malformed_path",
            "Bad Request",
        ),
        (
            Method::DELETE,
            "/v1/notes/7",
            400,
            "malformed_path",
            "Bad Request",
        ),
        (
            Method::GET,
            "/v1/notes?workspace_id=7",
            400,
            "malformed_query",
            "Bad Request",
        ),
        (
            Method::GET,
            "/v1/events?since=now",
            400,
            "malformed_query",
            "Bad Request",
        ),
        (
            Method::GET,
            "/v1/events?stream=note",
            400,
            "malformed_query",
            "Bad Request",
        ),
        (Method::GET, stop_here, 404, "not_found", "Not Found"),
    ] {
        let answer = app
            .alice
            .send(app.alice.request(method.clone(), path))
            .await;
        let correlation_id = answer.header("daybook-correlation-id").to_owned();
        assert!(correlation_id.parse::<Uuid>().is_ok());
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(answer.position() > 0);
        if status == 405 {
            assert!(answer.header("allow").contains("GET"), "{path}");
        }
        assert_eq!(answer.status, status, "{method} {path}");
        let problem = answer.expect_problem(status, code);
        assert_eq!(problem["type"], format!("urn:daybook:problem:{code}"));
        assert_eq!(problem["title"], title);
        assert_eq!(problem["correlation_id"], correlation_id);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_it_must_be_is_refused_with_a_reason() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let head = app.position().await;
    let post = async |content_type: &str, body: Vec<u8>| {
        let request = app
            .alice
            .request(Method::POST, "/v1/notes")
            .header("Content-Type", content_type)
            .body(body);
        app.alice.send(request).await
    };
    let json = "application/json";
    let valid = format!(r#"{{"workspace_id":"{workspace_id}","title":"Tea"}}"#);
    let with = |field: &str| valid.replace('}', &format!(",{field}}}")).into_bytes();
    for (body, code) in [
        (b"".to_vec(), "validation_failed"),
        (b"{}".to_vec(), "validation_failed"),
        (b"null".to_vec(), "validation_failed"),
        (b"[]".to_vec(), "validation_failed"),
        (b"\"text\"".to_vec(), "validation_failed"),
        (with(r#""body":7"#), "validation_failed"),
        (with(r#""body":null"#), "validation_failed"),
        (with(r#""tags":"drink""#), "validation_failed"),
        (with(r#""tags":[{}]"#), "validation_failed"),
        (with(r#""colour":"green""#), "validation_failed"),
        (with(r#""title":"twice""#), "validation_failed"),
        (b" ".to_vec(), "malformed_json"),
        (b"{".to_vec(), "malformed_json"),
        (b"{'title':1}".to_vec(), "malformed_json"),
        (format!("{valid} {valid}").into_bytes(), "malformed_json"),
        (format!("\u{feff}{valid}").into_bytes(), "malformed_json"),
        (with(r#""body":"\ud800""#), "malformed_json"),
        (with("\"body\":\"\n\""), "malformed_json"),
        (with(r#""body":1e999"#), "malformed_json"),
        (with(r#""body":NaN"#), "malformed_json"),
        (b"{\"title\":\"\xff\"}".to_vec(), "malformed_json"),
        (b"\x1f\x8b\x08\x00".to_vec(), "malformed_json"),
        ([b'['; 100_000].to_vec(), "malformed_json"),
        (with(r#""body":"\u0000""#), "nul_character"),
        (with(r#""\u0000":"""#), "nul_character"),
    ] {
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        let answer = post(json, body).await;
        assert_eq!(answer.body["code"], code, "{shown}: {:#}", answer.body);
        let problem = answer.expect_problem(400, code);
        let named = problem.get("errors").is_some();
        assert_eq!(named, code == "validation_failed", "{shown}: {problem:#}");
    }
    for other in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "json",
        "",
    ] {
        let answer = post(other, valid.clone().into_bytes()).await;
        answer.expect_problem(415, "not_json");
    }
    assert_eq!(app.position().await, head);
    for fine in [
        json,
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/merge-patch+json",
    ] {
        post(fine, valid.clone().into_bytes()).await.expect(201);
    }
    let note = app.alice.note(workspace_id, "Tea", "").await;
    let archive = format!("{}/archive", at(&note));
    let more = app.alice.post(&archive, json!({"why": "it is old"})).await;
    let problem = more.expect_problem(400, "validation_failed");
    assert_eq!(pointers(&problem), ["/why"]);
    app.alice.post(&archive, json!({})).await.expect(200);
}

#[tokio::test]
async fn a_refusal_names_the_fields_at_fault_and_repeats_no_long_value() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let told = async |path: &str, body: Value| {
        let answer = match path.contains("/members/") {
            true => app.alice.put(path, body).await,
            false => app.alice.post(path, body).await,
        };
        let problem = answer.expect_problem(400, "validation_failed");
        assert!(problem.to_string().len() < 2_000, "{problem:.2000}");
        problem["detail"].as_str().unwrap().to_owned()
    };
    let detail = told("/v1/notes", json!([])).await;
    assert_eq!(detail, "the body: must be an object");
    let detail = told(
        "/v1/notes",
        json!({"title": 7, "tags": ["a", 1], "colour": "green"}),
    )
    .await;
    let mut parts: Vec<&str> = detail.split("; ").collect();
    parts.sort_unstable();
    assert_eq!(
        parts,
        [
            "/colour: is not a field that there is",
            "/tags/1: must be a string",
            "/title: must be a string",
            "/workspace_id: is required"
        ]
    );
    let member = format!(
        "/v1/workspaces/{workspace_id}/members/{}",
        app.alice.actor_id
    );
    let detail = told(&member, json!({"role": "god"})).await;
    assert_eq!(detail, "/role: must be one of owner, editor, viewer, agent");
    let long = "x".repeat(100_000);
    for (path, body) in [
        ("/v1/notes", json!({"workspace_id": long, "title": ""})),
        (
            "/v1/notes",
            json!({"workspace_id": workspace_id, "title": long}),
        ),
        (
            "/v1/notes",
            json!({"workspace_id": workspace_id, "title": {"text": long}}),
        ),
        (
            "/v1/notes",
            json!({"workspace_id": workspace_id, "title": "", "tags": [long]}),
        ),
        (
            "/v1/notes",
            json!({"workspace_id": workspace_id, "title": "", &long: ""}),
        ),
        ("/v1/webhooks", json!({"url": long, "events": ["*"]})),
        (
            "/v1/webhooks",
            json!({"url": "http://host", "events": [long]}),
        ),
        (
            "/v1/webhooks",
            json!({"url": "http://host", "events": ["*"], "headers": {&long: ""}}),
        ),
        (
            "/v1/proposals",
            json!({"workspace_id": workspace_id, "rationale": "", "actions": [{"type": long}]}),
        ),
        (&member, json!({"role": long})),
    ] {
        told(path, body).await;
    }
    let crowd = json!({"workspace_id": workspace_id, "title": "", "tags": vec![7; 100_000]});
    let problem = app.alice.post("/v1/notes", crowd).await;
    assert_eq!(
        pointers(&problem.expect_problem(400, "validation_failed")).len(),
        100
    );
}

#[tokio::test]
async fn a_body_is_as_large_as_the_limit_and_no_larger() {
    let app = OwnApp::start_with(&[("DAYBOOK_BODY_LIMIT", "1000")]).await;
    let workspace_id = app.alice.workspace().await;
    let post = async |length: usize| {
        let mut body = format!(r#"{{"workspace_id":"{workspace_id}","title":"Tea","body":""#);
        body.push_str(&"x".repeat(length - body.len() - 2));
        body.push_str("\"}");
        assert_eq!(body.len(), length);
        let request = app
            .alice
            .request(Method::POST, "/v1/notes")
            .header("Content-Type", "application/json")
            .body(body);
        app.alice.send(request).await
    };
    post(1000).await.expect(201);
    for length in [1001, 100_000] {
        post(length).await.expect_problem(413, "body_unreadable");
    }
    assert_eq!(app.alice.ids("/v1/notes").await.len(), 1);
}

#[tokio::test]
async fn a_gigabyte_is_cut_off_early() {
    const GIGABYTE: u64 = 1 << 30;
    // A generous bound for data in socket buffers: the limit itself is two mebibytes.
    const ENOUGH: u64 = 64 << 20;
    let app = TestApp::start().await;
    let address = app.url.strip_prefix("http://").unwrap();
    let key = format!("Authorization: Bearer {}\r\n", app.alice.key);
    let block = vec![b' '; 1 << 16];
    let chunk = [format!("{:x}\r\n", block.len()).as_bytes(), &block, b"\r\n"].concat();
    let length = format!("Content-Length: {GIGABYTE}\r\n");
    for (key, framing, block, expected) in [
        (&*key, &*length, &block, "413"),
        (&*key, "Transfer-Encoding: chunked\r\n", &chunk, "413"),
        ("", &*length, &block, "401"),
        ("", "Transfer-Encoding: chunked\r\n", &chunk, "401"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /v1/notes HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n{key}{framing}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let sent = AtomicU64::new(0);
        let send = async {
            while sent.load(Ordering::Relaxed) < GIGABYTE && writer.write_all(block).await.is_ok() {
                sent.fetch_add(block.len() as u64, Ordering::Relaxed);
            }
            // The connection has broken, or the server took a gigabyte; the answer is read in either case.
            std::future::pending::<()>().await;
        };
        let mut answer = Vec::new();
        let read = async {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer).await {
                answer.extend_from_slice(&buffer[..read]);
            }
        };
        tokio::time::timeout(PATIENCE, async {
            tokio::select! { () = send => {}, () = read => {} }
        })
        .await
        .expect("the server ends the connection");
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{answer}"
        );
        let sent = sent.into_inner();
        assert!(sent < ENOUGH, "{sent} bytes were taken");
    }
    let workspace_id = app.alice.workspace().await;
    app.alice.note(workspace_id, "still here", "").await;
}

#[tokio::test]
async fn a_head_request_is_answered_as_a_get_without_its_body() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "").await;
    let request = app
        .alice
        .request(Method::HEAD, &at(&note))
        .header("Daybook-Min-Position", note["position"].to_string());
    let answer = app.alice.send(request).await;
    assert_eq!((answer.status, answer.header("etag")), (200, "\"1\""));
    assert_eq!(answer.body, "");
}

#[tokio::test]
async fn a_cursor_is_good_for_the_list_that_gave_it_out_and_for_no_other() {
    let world = World::start().await;
    let alice = &world.app.alice;
    for _ in 0..2 {
        alice.workspace().await;
    }
    let page = alice.get("/v1/workspaces?limit=1").await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = format!("/v1/workspaces?limit=2&cursor={cursor}");
    let next = items(alice.get(&next).await.expect(200));
    assert_eq!(
        next,
        items(alice.get("/v1/workspaces").await.expect(200))[1..3]
    );
    let mut refused = 0;
    for operation in world.document.guarded() {
        if !operation.is_read()
            || !operation.query_parameters().contains("cursor")
            || operation.path == "/v1/workspaces"
        {
            continue;
        }
        let path = world.path(&operation).await;
        let caller = world.caller(&operation);
        let answer = caller.get(&format!("{path}?cursor={cursor}")).await;
        let problem = answer.expect_problem(400, "malformed_query");
        assert_eq!(pointers(&problem), ["cursor"], "{}", operation.name());
        refused += 1;
    }
    assert!(refused > 8, "{refused}");
    // A cursor is invalid for the same list with other filters.
    let tasks = alice.get("/v1/tasks?limit=1").await.expect(200);
    let cursor = tasks["next_cursor"].as_str().unwrap();
    alice
        .get(&format!("/v1/tasks?limit=1&cursor={cursor}"))
        .await
        .expect(200);
    for other in ["order=rank", "status=open"] {
        let answer = alice
            .get(&format!("/v1/tasks?{other}&cursor={cursor}"))
            .await;
        answer.expect_problem(400, "malformed_query");
    }
}
