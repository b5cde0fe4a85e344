//! Webhook endpoints: making and changing them, and what reaches them because of it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{TestApp, eventually, id, items};
use crate::receiver::{Arrived, Endpoint, Receiver};

fn event_ids<'a>(events: impl IntoIterator<Item = &'a Value>) -> BTreeSet<&'a str> {
    let ids = events.into_iter().map(|event| event["event_id"].as_str());
    ids.map(Option::unwrap).collect()
}

fn arrived_ids(arrived: &[Arrived]) -> BTreeSet<&str> {
    arrived.iter().map(Arrived::event_id).collect()
}

fn arrived_types(arrived: &[Arrived]) -> Vec<&str> {
    let mut types: Vec<&str> = arrived.iter().map(Arrived::event_type).collect();
    types.sort_unstable();
    types
}

#[tokio::test]
async fn an_endpoint_shows_its_secret_once_and_is_read_back_without_it() {
    let app = TestApp::start().await;
    let made = app
        .alice
        .post(
            "/v1/webhooks",
            json!({
                "url": "https://example.com/hook?a=b",
                "events": ["proposal.*", "note.created"],
                "description": "Chat",
                "headers": {"X-Team": "blue"},
                "rate_limit": 5,
            }),
        )
        .await;
    let position = made.position();
    let mut endpoint = made.expect(201);
    let secret = endpoint.as_object_mut().unwrap().remove("secret").unwrap();
    let key = STANDARD
        .decode(secret.as_str().unwrap().strip_prefix("whsec_").unwrap())
        .unwrap();
    assert!((24..=64).contains(&key.len()));
    assert_eq!(endpoint["events"], json!(["note.created", "proposal.*"]));
    assert_eq!(endpoint["headers"], json!({"X-Team": "blue"}));
    assert_eq!(
        (&endpoint["rate_limit"], &endpoint["status"]),
        (&json!(5), &json!("enabled"))
    );

    let path = format!("/v1/webhooks/{}", id(&endpoint));
    let read = app.alice.get_at(&path, position).await;
    assert_eq!(read.header("etag"), "\"1\"");
    assert_eq!(read.expect(200), endpoint);
    let list = items(app.alice.get("/v1/webhooks").await.expect(200));
    assert_eq!(list, [endpoint]);
    // Nor is it anywhere in the log.
    let log = json!(app.operator.events("").await).to_string();
    assert!(!log.contains(secret.as_str().unwrap()));
}

#[tokio::test]
async fn a_faulty_endpoint_is_refused_with_every_fault_named() {
    let app = TestApp::start().await;
    let answer = app
        .alice
        .post(
            "/v1/webhooks",
            json!({
                "url": "ftp://example.com",
                "events": ["Note.created"],
                "headers": {"Webhook-Id": "mine", "X-Line": "a\nb"},
                "rate_limit": 10_001,
            }),
        )
        .await;
    let problem = answer.expect_problem(400, "validation_failed");
    let errors = problem["errors"].as_array().unwrap().iter();
    let pointers: BTreeSet<&str> = errors
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    let expected = [
        "/url",
        "/events",
        "/headers/Webhook-Id",
        "/headers/X-Line",
        "/rate_limit",
    ];
    assert_eq!(pointers, BTreeSet::from(expected));
    for events in [json!([]), json!(["*.created"]), json!(["note created"])] {
        let body = json!({"url": "https://example.com", "events": events});
        let answer = app.alice.post("/v1/webhooks", body).await;
        answer.expect_problem(400, "validation_failed");
    }
}

#[tokio::test]
async fn endpoints_get_the_types_they_name_and_those_under_their_patterns() {
    let app = TestApp::start().await;
    let receivers = [
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    ];
    let [named, family, everything] = &receivers;
    Endpoint::create(&app.alice, &named.url, &["note.revised", "note.trashed"]).await;
    Endpoint::create(&app.alice, &family.url, &["workspace.*", "note.c*"]).await;
    let last = Endpoint::create(&app.alice, &everything.url, &["*"]).await;
    let born = app.alice.get(&last.path).await.expect(200)["created_position"].clone();

    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
    let path = format!("/v1/notes/{}", id(&note));
    app.alice
        .patch(&path, json!({"body": "Steep it long."}))
        .await
        .expect(200);
    app.alice
        .post_empty(&format!("{path}/trash"))
        .await
        .expect(200);
    let events = app.alice.events(&format!("after={born}")).await;
    app.settle().await;

    assert_eq!(
        arrived_types(&named.arrived()),
        ["note.revised", "note.trashed"]
    );
    let arrived = family.arrived();
    let expected = events.iter().filter(|event| {
        let name = event["type"].as_str().unwrap();
        name.starts_with("workspace.") || name == "note.created"
    });
    assert_eq!(arrived_ids(&arrived), event_ids(expected));
    assert_eq!(arrived_ids(&everything.arrived()), event_ids(&events));
}

#[tokio::test]
async fn a_changed_endpoint_gets_what_it_asks_for_now_where_it_is_now() {
    let app = TestApp::start().await;
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    let endpoint = Endpoint::create(&app.alice, &old.url, &["note.created"]).await;
    let workspace_id = app.alice.workspace().await;
    app.alice.note(workspace_id, "Tea", "").await;
    old.wait_for(1).await;

    let changes = json!({"url": new.url, "events": ["note.trashed"], "headers": {"X-New": "yes"}, "rate_limit": 100});
    let changed = app
        .alice
        .patch(&endpoint.path, changes.clone())
        .await
        .expect(200);
    assert_eq!(
        (&changed["version"], &changed.get("secret")),
        (&json!(2), &None)
    );
    assert_eq!(app.alice.get(&endpoint.path).await.expect(200), changed);
    let same = app.alice.patch(&endpoint.path, changes).await.expect(200);
    assert_eq!(same["version"], 2);
    let lifted = app
        .alice
        .patch(&endpoint.path, json!({"rate_limit": 0}))
        .await
        .expect(200);
    assert_eq!(
        (&lifted["rate_limit"], &lifted["url"]),
        (&Value::Null, &json!(new.url))
    );
    let stale = app.alice.request(Method::PATCH, &endpoint.path);
    let stale = stale
        .header("If-Match", "\"1\"")
        .json(&json!({"description": "Late"}));
    app.alice
        .send(stale)
        .await
        .expect_problem(412, "version_mismatch");
    let faulty = app
        .alice
        .patch(&endpoint.path, json!({"events": ["?"]}))
        .await;
    faulty.expect_problem(400, "validation_failed");

    let note = app.alice.note(workspace_id, "Coffee", "").await;
    app.alice
        .post_empty(&format!("/v1/notes/{}/trash", id(&note)))
        .await
        .expect(200);
    app.settle().await;
    let arrived = new.arrived();
    assert_eq!(arrived_types(&arrived), ["note.trashed"]);
    assert_eq!(arrived[0].header("x-new"), "yes");
    assert!(arrived[0].verifies_with(&endpoint.secret));
    assert_eq!(arrived_types(&old.arrived()), ["note.created"]);
}

#[tokio::test]
async fn a_deleted_endpoint_gets_nothing_more_not_even_what_was_to_be_retried() {
    let app = TestApp::start_with(&[("DAYBOOK_WEBHOOKS_SCHEDULE", "1h")]).await;
    let receiver = Receiver::start().await;
    receiver.reply([(500, vec![], String::new())]);
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["note.*"]).await;
    let workspace_id = app.alice.workspace().await;
    app.alice.note(workspace_id, "Tea", "").await;
    endpoint.delivery(&app.alice, "retrying").await;

    app.alice.delete(&endpoint.path).await.expect(204);
    app.alice
        .get(&endpoint.path)
        .await
        .expect_problem(404, "not_found");
    app.alice
        .delete(&endpoint.path)
        .await
        .expect_problem(404, "webhook_not_found");
    assert!(items(app.alice.get("/v1/webhooks").await.expect(200)).is_empty());
    app.alice.note(workspace_id, "Coffee", "").await;
    app.bring_forward().await;
    app.settle().await;
    assert_eq!(receiver.arrived().len(), 1);
    let work = app.operator.get("/v1/due-work").await.expect(200);
    assert!(items(work).is_empty());
}

#[tokio::test]
async fn its_own_headers_are_sent_along() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let headers = json!({"Authorization": "Bearer ab c", "X-Team": "blue"});
    let body = json!({"url": receiver.url, "events": ["workspace.created"], "headers": headers});
    Endpoint::create_with(&app.alice, body).await;
    app.alice.workspace().await;
    let arrived = &receiver.wait_for(1).await[0];
    assert_eq!(arrived.header("authorization"), "Bearer ab c");
    assert_eq!(arrived.header("x-team"), "blue");
    assert_eq!(arrived.header("content-type"), "application/json");
}

#[tokio::test]
async fn both_secrets_sign_while_a_rotation_overlaps_and_only_the_new_one_after_it() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    let rotate = async |body: Value| {
        let answer = app
            .alice
            .post(&format!("{}/rotate-secret", endpoint.path), body)
            .await;
        answer.expect(200)["secret"].as_str().unwrap().to_owned()
    };
    let first = &endpoint.secret;

    let second = rotate(json!({})).await;
    assert_ne!(*first, second);
    app.alice.workspace().await;
    let arrived = &receiver.wait_for(1).await[0];
    assert_eq!(arrived.header("webhook-signature").split(' ').count(), 2);
    assert!(arrived.verifies_with(first) && arrived.verifies_with(&second));

    let third = rotate(json!({"overlap_seconds": 0})).await;
    app.alice.workspace().await;
    let arrived = &receiver.wait_for(2).await[1];
    assert_eq!(arrived.header("webhook-signature").split(' ').count(), 1);
    assert!(arrived.verifies_with(&third));
    assert!(!arrived.verifies_with(first) && !arrived.verifies_with(&second));

    let endless = json!({"overlap_seconds": 2_592_001});
    let answer = app
        .alice
        .post(&format!("{}/rotate-secret", endpoint.path), endless)
        .await;
    answer.expect_problem(400, "validation_failed");
    let read = app.alice.get(&endpoint.path).await.expect(200);
    assert_eq!(
        (&read["generation"], &read.get("secret")),
        (&json!(2), &None)
    );
}

#[tokio::test]
async fn an_example_goes_to_the_one_endpoint_that_asks_for_it() {
    let app = TestApp::start().await;
    let (asking, other) = (Receiver::start().await, Receiver::start().await);
    let endpoint = Endpoint::create(&app.alice, &asking.url, &["proposal.approved"]).await;
    Endpoint::create(&app.alice, &other.url, &["*"]).await;
    let path = format!("{}/send-example", endpoint.path);
    app.alice
        .post(&path, json!({"event_type": "proposal.approved"}))
        .await
        .expect(202);
    app.alice.post_empty(&path).await.expect(202);
    app.settle().await;
    let arrived = asking.arrived();
    assert_eq!(
        arrived_types(&arrived),
        ["example.sent", "proposal.approved"]
    );
    for example in &arrived {
        assert!(example.verifies_with(&endpoint.secret));
        assert_eq!(example.body["data"]["example"], true);
    }
    assert!(!arrived_types(&other.arrived()).contains(&"example.sent"));

    app.alice
        .post_empty(&format!("{}/disable", endpoint.path))
        .await
        .expect(200);
    app.alice
        .post_empty(&path)
        .await
        .expect_problem(422, "webhook_disabled");
}

#[tokio::test]
async fn a_replay_delivers_all_history_of_its_product_under_its_patterns_and_no_other() {
    let app = TestApp::start().await;
    let stranger = app.stranger().await;
    stranger
        .note(stranger.workspace().await, "Theirs", "")
        .await;
    let workspace_id = app.alice.workspace().await;
    // More than a page of the replay.
    let notes = (0..1_100).map(|n| (workspace_id, format!("Note {n}")));
    for some in notes.collect::<Vec<_>>().chunks(100) {
        join_all(
            some.iter()
                .map(|(workspace_id, title)| app.alice.note(*workspace_id, title, "")),
        )
        .await;
    }
    let history = app
        .alice
        .get("/v1/events?limit=1000&type=note.*")
        .await
        .expect(200);
    let middle = items(history.clone())[999]["position"].as_i64().unwrap();
    let mut expected = items(history);
    expected.extend(
        app.alice
            .events(&format!("type=note.*&after={middle}"))
            .await,
    );
    assert_eq!(expected.len(), 1_100);

    let receiver = Receiver::start().await;
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["note.*"]).await;
    let replay = format!("{}/replay", endpoint.path);
    app.alice
        .post(&replay, json!({"from_position": 0}))
        .await
        .expect(202);
    app.settle().await;
    let arrived = receiver.arrived();
    assert_eq!(arrived.len(), 1_100);
    assert_eq!(arrived_ids(&arrived), event_ids(&expected));

    app.alice
        .post(&replay, json!({"from_position": middle}))
        .await
        .expect(202);
    app.settle().await;
    let again = &receiver.arrived()[1_100..];
    assert_eq!(again.len(), 100);
    assert_eq!(arrived_ids(again), event_ids(&expected[1_000..]));
    // The same event is the same message, however often it is sent.
    let ids: BTreeSet<&str> = arrived.iter().map(|one| one.header("webhook-id")).collect();
    assert!(
        again
            .iter()
            .all(|one| ids.contains(one.header("webhook-id")))
    );

    let answer = app.alice.post(&replay, json!({"from_position": -1})).await;
    answer.expect_problem(400, "validation_failed");
}

#[tokio::test]
async fn what_waited_while_an_endpoint_was_disabled_arrives_once_it_is_enabled() {
    let app = TestApp::start_with(&[("DAYBOOK_WEBHOOKS_SCHEDULE", "1h")]).await;
    let receiver = Receiver::start().await;
    receiver.reply([(500, vec![], String::new())]);
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["note.created"]).await;
    let workspace_id = app.alice.workspace().await;
    let tried = app.alice.note(workspace_id, "Tried", "").await;
    endpoint.delivery(&app.alice, "retrying").await;

    let disabled = app
        .alice
        .post_empty(&format!("{}/disable", endpoint.path))
        .await
        .expect(200);
    assert_eq!(
        (&disabled["status"], &disabled["disabled_reason"]),
        (&json!("disabled"), &json!("requested"))
    );
    app.bring_forward().await;
    app.settle().await;
    let parked = items(
        app.operator
            .get("/v1/due-work?parked=true")
            .await
            .expect(200),
    );
    assert_eq!(parked[0]["last_error"], "the endpoint is disabled");
    assert_eq!(receiver.arrived().len(), 1);

    let missed = app.alice.note(workspace_id, "Missed", "").await;
    app.settle().await;
    let enabled = app
        .alice
        .post_empty(&format!("{}/enable", endpoint.path))
        .await
        .expect(200);
    assert_eq!(
        (&enabled["status"], &enabled["disabled_reason"]),
        (&json!("enabled"), &Value::Null)
    );
    app.settle().await;
    let streams: Vec<Value> = receiver
        .arrived()
        .iter()
        .map(|one| one.body["data"]["stream"].clone())
        .collect();
    let stream = |note: &Value| json!(format!("note-{}", id(note)));
    assert_eq!(streams, [stream(&tried), stream(&tried)]);

    // What happened meanwhile is history, to be replayed from where the endpoint was disabled.
    let from = json!({"from_position": disabled["disabled_position"]});
    app.alice
        .post(&format!("{}/replay", endpoint.path), from)
        .await
        .expect(202);
    let arrived = receiver.wait_for(3).await;
    assert_eq!(arrived[2].body["data"]["stream"], stream(&missed));
}

#[tokio::test]
async fn whatever_happened_before_an_endpoint_was_disabled_arrives_after_it_is_enabled() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["note.created"]).await;
    let workspace_id = app.alice.workspace().await;
    for round in 1..=10 {
        join_all((0..5).map(|_| app.alice.note(workspace_id, "Tea", ""))).await;
        app.alice
            .post_empty(&format!("{}/disable", endpoint.path))
            .await
            .expect(200);
        app.alice
            .post_empty(&format!("{}/enable", endpoint.path))
            .await
            .expect(200);
        eventually(async || (receiver.arrived().len() >= round * 5).then_some(())).await;
    }
    let written = app.alice.events("type=note.created").await;
    assert_eq!(arrived_ids(&receiver.arrived()), event_ids(&written));
}

#[tokio::test]
async fn an_endpoint_is_nobodys_but_its_products() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["note.created"]).await;
    app.alice.note(app.alice.workspace().await, "Tea", "").await;
    let delivery = endpoint.delivery(&app.alice, "succeeded").await;
    let everything = Receiver::start().await;
    let stranger = app.stranger().await;
    Endpoint::create(&stranger, &everything.url, &["*"]).await;
    app.alice.workspace().await;

    let head = app.alice.head().await;
    let path = &endpoint.path;
    let delivery = format!("/v1/deliveries/{}", id(&delivery));
    for path in [path, &format!("{path}/deliveries"), &delivery] {
        stranger
            .get_at(path, head)
            .await
            .expect_problem(404, "not_found");
        app.operator.get_at(path, head).await.expect(200);
    }
    let commands = [
        (Method::PATCH, path.clone(), json!({"description": "Mine"})),
        (Method::DELETE, path.clone(), json!({})),
        (Method::POST, format!("{path}/rotate-secret"), json!({})),
        (Method::POST, format!("{path}/enable"), json!({})),
        (Method::POST, format!("{path}/disable"), json!({})),
        (Method::POST, format!("{path}/send-example"), json!({})),
        (
            Method::POST,
            format!("{path}/replay"),
            json!({"from_position": 0}),
        ),
        (Method::POST, format!("{delivery}/resend"), json!({})),
    ];
    for (method, path, body) in commands {
        let request = stranger.request(method, &path).json(&body);
        let answer = stranger.send(request).await;
        assert_eq!(answer.status, 404, "{path}: {:#}", answer.body);
    }
    assert_eq!(
        items(stranger.get("/v1/webhooks").await.expect(200)).len(),
        1
    );
    app.settle().await;
    assert_eq!(app.alice.get(path).await.expect(200)["version"], 1);
    let products: BTreeSet<String> = everything
        .arrived()
        .iter()
        .map(|one| one.body["data"]["product_id"].to_string())
        .collect();
    assert!(!products.contains(&json!(app.product_id).to_string()));
}
