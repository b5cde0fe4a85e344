//! Requests for webhook endpoints: examples, replays, resends, disabling and enabling.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{OwnApp, TestApp, eventually, id, items};
use crate::receiver::{
    Endpoint, MUCH_LATER, Receiver, arrived_ids, arrived_types, event_ids, status,
};

#[tokio::test]
async fn an_example_goes_to_the_one_endpoint_that_asks_for_it() {
    let app = TestApp::start().await;
    let (asking, other) = (Receiver::start().await, Receiver::start().await);
    let endpoint = Endpoint::create(&app.alice, &asking.url, &["proposal.approved"]).await;
    Endpoint::create(&app.alice, &other.url, &["*"]).await;
    let path = format!("{}/send-example", endpoint.path);
    app.alice
        .post(&path, json!({"event_type": "note.created"}))
        .await
        .expect(202);
    app.alice.post_empty(&path).await.expect(202);
    app.alice
        .post(&path, json!({"event_type": "note.craeted"}))
        .await
        .expect_problem(400, "validation_failed");
    app.settle().await;
    let arrived = asking.arrived();
    assert_eq!(
        arrived_types(&arrived),
        ["note.created", "proposal.approved"]
    );
    for example in &arrived {
        assert!(example.verifies_with(&endpoint.secret));
        assert_eq!(example.body["data"]["example"], true);
        let sample = format!("schema/events/{}.v1.json", example.event_type());
        let sample: Value = serde_json::from_slice(&std::fs::read(sample).unwrap()).unwrap();
        assert_eq!(example.body["data"]["data"], sample);
    }
    assert!(!arrived_types(&other.arrived()).contains(&"note.created"));

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
    let app = OwnApp::start().await;
    let stranger = app.stranger().await;
    stranger
        .note(stranger.workspace().await, "Theirs", "")
        .await;
    let workspace_id = app.alice.workspace().await;
    // More than one page of the replay.
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
    let app = OwnApp::start_with(&[MUCH_LATER]).await;
    let receiver = Receiver::start().await;
    receiver.reply([status(500)]);
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
    let dead_letter = items(
        app.operator
            .get("/v1/jobs?dead_letter=true")
            .await
            .expect(200),
    );
    assert_eq!(dead_letter[0]["last_error"], "the endpoint is disabled");
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

    // Events in between are replayed from the position at which the endpoint was disabled.
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
        eventually(async || (arrived_ids(&receiver.arrived()).len() == round * 5).then_some(()))
            .await;
    }
    let written = app.alice.events("type=note.created").await;
    assert_eq!(arrived_ids(&receiver.arrived()), event_ids(&written));
}

#[tokio::test]
async fn a_delivery_that_has_ended_is_sent_again_on_request() {
    let app = TestApp::start_with(&[MUCH_LATER]).await;
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    let delivery = endpoint.delivery(&app.alice, "succeeded").await;
    let path = format!("/v1/deliveries/{}", id(&delivery));
    assert_eq!(app.alice.get(&path).await.expect(200), delivery);

    receiver.reply([status(500)]);
    let answer = app.alice.post_empty(&format!("{path}/resend")).await;
    assert!((200..300).contains(&answer.status), "{:#}", answer.body);
    let arrived = receiver.wait_for(2).await;
    assert_eq!(
        arrived[0].header("webhook-id"),
        arrived[1].header("webhook-id")
    );
    assert!(arrived[1].verifies_with(&endpoint.secret));
    let again = eventually(async || {
        let delivery = app.alice.get(&path).await.expect(200);
        (delivery["attempts"] == 2).then_some(delivery)
    })
    .await;
    assert_eq!(again["last_status"], 500);

    app.alice
        .post_empty(&format!("{}/disable", endpoint.path))
        .await
        .expect(200);
    let succeeded = endpoint.deliveries(&app.alice).await;
    let resend = format!("/v1/deliveries/{}/resend", id(&succeeded[0]));
    app.alice
        .post_empty(&resend)
        .await
        .expect_problem(422, "webhook_disabled");

    let unknown = format!("/v1/deliveries/{}/resend", Uuid::now_v7());
    app.alice
        .post_empty(&unknown)
        .await
        .expect_problem(404, "webhook_delivery_not_found");
}

#[tokio::test]
async fn a_delivery_whose_retry_waits_is_sent_at_once_and_not_twice() {
    let app = TestApp::start_with(&[MUCH_LATER]).await;
    let receiver = Receiver::start().await;
    receiver.reply([status(500)]);
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    let delivery = endpoint.delivery(&app.alice, "retrying").await;
    let resend = format!("/v1/deliveries/{}/resend", id(&delivery));
    app.alice.post_empty(&resend).await.expect(202);
    let delivered = endpoint.delivery(&app.alice, "succeeded").await;
    assert_eq!(
        (&delivered["id"], &delivered["attempts"]),
        (&delivery["id"], &json!(2))
    );
    // This was the waiting retry.
    app.bring_forward().await;
    app.settle().await;
    assert_eq!(receiver.arrived().len(), 2);
}
