//! An endpoint receives the events that its owner may see at delivery, as long as the key that it belongs to works.

use domain::MAX_PATTERNS;
use serde_json::{Value, json};

use crate::event::text;
use crate::harness::{Client, OwnApp, TestApp, eventually, id};
use crate::receiver::{Endpoint, MUCH_LATER, Receiver, arrived_types, status};

/// Issues another key for an actor of the product; returns its path and a client with it.
async fn key_of(app: &TestApp, actor: &Client) -> (String, Client) {
    let body = json!({"name": "hooks", "product_id": app.product_id, "scopes": ["*"],
        "actor": {"kind": "person", "id": actor.actor_id}});
    let key = app.operator.post("/v1/api-keys", body).await.expect(201);
    let client = app.operator.holding(&key);
    (format!("/v1/api-keys/{}", id(&key)), client)
}

/// Returns the titles of the notes that have arrived.
fn titles(receiver: &Receiver) -> Vec<String> {
    let arrived = receiver.arrived();
    let titles = arrived.iter().map(|one| &one.body["data"]["data"]["title"]);
    titles
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn an_endpoint_gets_what_its_owner_may_see_at_the_time() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let bob = app.actor("person", &["*"]).await;
    let workspace_id = app.alice.workspace().await;
    let own = bob.workspace().await;
    let endpoint = Endpoint::create(&bob, &receiver.url, &["note.created"]).await;
    let replay = format!("{}/replay", endpoint.path);
    let replay = async || {
        bob.post(&replay, json!({"from_position": 0}))
            .await
            .expect(202);
        app.settle().await;
    };

    app.alice.note(workspace_id, "Secret", "").await;
    bob.note(own, "Own", "").await;
    replay().await;
    assert_eq!(titles(&receiver), ["Own", "Own"]);

    app.alice.admit(workspace_id, &bob, "viewer").await;
    app.alice.note(workspace_id, "Shared", "").await;
    app.settle().await;
    assert_eq!(titles(&receiver)[2..], ["Shared"]);
    replay().await;
    let mut seen = titles(&receiver)[3..].to_vec();
    seen.sort();
    assert_eq!(seen, ["Own", "Secret", "Shared"]);

    let member = format!("/v1/workspaces/{workspace_id}/members/{}", bob.actor_id);
    app.alice.delete(&member).await.expect(200);
    app.alice.note(workspace_id, "After", "").await;
    replay().await;
    assert_eq!(titles(&receiver)[6..], ["Own"]);
    // Earlier deliveries are not sent again either.
    let deliveries = endpoint.deliveries(&bob).await;
    for delivery in &deliveries {
        let path = format!("/v1/deliveries/{}/resend", id(delivery));
        bob.post_empty(&path).await.expect(202);
    }
    app.settle().await;
    let again = titles(&receiver)[7..].to_vec();
    assert_eq!(again, ["Own"; 4]);
}

#[tokio::test]
async fn a_retry_asks_again_what_its_owner_may_see() {
    let app = TestApp::start_with(&[MUCH_LATER]).await;
    let receiver = Receiver::start().await;
    receiver.reply([status(500)]);
    let bob = app.actor("person", &["*"]).await;
    let workspace_id = app.alice.workspace().await;
    app.alice.admit(workspace_id, &bob, "viewer").await;
    let endpoint = Endpoint::create(&bob, &receiver.url, &["note.created"]).await;
    app.alice.note(workspace_id, "Shared", "").await;
    endpoint.delivery(&bob, "retrying").await;
    let member = format!("/v1/workspaces/{workspace_id}/members/{}", bob.actor_id);
    app.alice.delete(&member).await.expect(200);
    app.bring_forward().await;
    app.settle().await;
    assert_eq!(receiver.arrived().len(), 1);
}

#[tokio::test]
async fn an_endpoint_gets_nothing_for_which_its_key_lacks_the_scope() {
    let app = TestApp::start().await;
    let (narrow, auditing) = (Receiver::start().await, Receiver::start().await);
    let hooks = app.actor("person", &["webhooks:write", "tasks:read"]).await;
    let auditor = app.actor("person", &["webhooks:write", "audit:read"]).await;
    let workspace_id = app.alice.workspace().await;
    app.alice.admit(workspace_id, &hooks, "viewer").await;
    let patterns = ["note.created", "task.created"];
    let narrowed = Endpoint::create(&hooks, &narrow.url, &patterns).await;
    Endpoint::create(&auditor, &auditing.url, &patterns).await;
    app.alice.note(workspace_id, "Tea", "- [ ] buy some").await;
    app.settle().await;
    assert_eq!(arrived_types(&narrow.arrived()), ["task.created"]);
    assert_eq!(arrived_types(&auditing.arrived()).len(), 2);

    // An example is sent anyway, because it reveals nothing.
    let example = json!({"event_type": "note.created"});
    let path = format!("{}/send-example", narrowed.path);
    hooks.post(&path, example).await.expect(202);
    let arrived = narrow.wait_for(2).await;
    let example = &arrived[1].body["data"];
    assert_eq!(arrived[1].event_type(), "note.created");
    let told = example.to_string();
    assert!(!told.contains(&hooks.actor_id.to_string()), "{told}");
    assert!(!told.contains(&workspace_id.to_string()), "{told}");
}

#[tokio::test]
async fn deliveries_stop_when_the_key_of_an_endpoint_is_revoked() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let (key, alices) = key_of(&app, &app.alice).await;
    let workspace_id = app.alice.workspace().await;
    let endpoint = Endpoint::create(&alices, &receiver.url, &["note.created"]).await;
    let made = app.alice.get(&endpoint.path).await.expect(200);
    assert_eq!(made["owner"]["actor_id"], json!(app.alice.actor_id));
    assert!(key.ends_with(&text(&made["owner"]["api_key_id"])));

    app.alice.delete(&key).await.expect(200);
    let state = |webhook: &Value| (text(&webhook["status"]), webhook["disabled_reason"].clone());
    let revoked = eventually(async || {
        let webhook = app.alice.get(&endpoint.path).await.expect(200);
        (webhook["status"] == "disabled").then_some(webhook)
    })
    .await;
    assert_eq!(state(&revoked), ("disabled".into(), json!("key_revoked")));
    app.alice.note(workspace_id, "Missed", "").await;
    app.settle().await;
    assert_eq!(receiver.arrived().len(), 0);

    // An actor takes over another's endpoint only by setting its address.
    let carol = app.actor("person", &["*"]).await;
    let enable = format!("{}/enable", endpoint.path);
    let refused = carol.post_empty(&enable).await;
    refused.expect_problem(422, "webhook_owner_gone");
    let described = carol
        .patch(&endpoint.path, json!({"description": "ours"}))
        .await;
    let described = described.expect(200);
    assert_eq!(described["owner"], made["owner"]);
    carol
        .post_empty(&enable)
        .await
        .expect_problem(422, "webhook_owner_gone");
    let rotate = format!("{}/rotate-secret", endpoint.path);
    let refused = carol.post_empty(&rotate).await;
    refused.expect_problem(422, "webhook_not_owner");
    let url = json!({"url": receiver.url});
    let taken = carol.patch(&endpoint.path, url.clone()).await.expect(200);
    assert_eq!(taken["owner"]["actor_id"], json!(carol.actor_id));
    assert_ne!(text(&taken["secret"]), endpoint.secret);
    carol.post_empty(&rotate).await.expect(200);
    carol.post_empty(&enable).await.expect(200);
    app.alice.note(workspace_id, "Not carol's", "").await;
    app.settle().await;
    assert_eq!(receiver.arrived().len(), 0);

    app.alice.patch(&endpoint.path, url).await.expect(200);
    app.alice.note(workspace_id, "Alice's again", "").await;
    receiver.wait_for(1).await;
    assert_eq!(titles(&receiver), ["Alice's again"]);
}

#[tokio::test]
async fn an_endpoint_has_one_replay_at_a_time_and_queues_it_bit_by_bit() {
    const HISTORY: &str = "
        with head as (update log.head set position = position + 3000, recorded_at = now() returning position - 3000 as base)
        insert into log.events
        select base + n, $1, 'actor', gen_random_uuid(), 1, gen_random_uuid(), 'actor.registered', 1, data, metadata,
            gen_random_uuid(), null, now()
        from head, generate_series(1, 3000) n,
            (select data, metadata from log.events where type = 'actor.registered' and product_id = $1 limit 1) e";
    let app = OwnApp::start_with(&[MUCH_LATER]).await;
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["actor.registered"]).await;
    let sql = app.sql().await;
    receiver.refuse("actor.registered");
    app.alice
        .post_empty(&format!("{}/disable", endpoint.path))
        .await
        .expect(200);
    sql.execute(HISTORY, &[&app.product_id]).await.unwrap();
    app.alice.workspace().await;
    app.settle().await;
    app.alice
        .post_empty(&format!("{}/enable", endpoint.path))
        .await
        .expect(200);
    let replay = format!("{}/replay", endpoint.path);
    let body = json!({"from_position": 0});
    let asked = app.alice.post(&replay, body.clone()).await.expect(202);
    assert_eq!(asked["replay"]["from_position"], 0);
    for _ in 0..8 {
        let again = app.alice.post(&replay, body.clone()).await;
        again.expect_problem(409, "webhook_replay_under_way");
    }
    // Every delivery fails and waits for its retry: the queue stays bounded.
    let most = eventually(async || {
        let count = "select count(*) from log.jobs where kind = 'webhook.deliver'";
        let queued: i64 = sql.query_one(count, &[]).await.unwrap().get(0);
        (queued >= 500).then_some(queued)
    })
    .await;
    assert!(most <= 1_100, "{most}");
    let webhook = app.alice.get(&endpoint.path).await.expect(200);
    assert!(!webhook["replay"].is_null());
}

#[tokio::test]
async fn a_subscription_names_a_bounded_number_of_types_that_there_are() {
    let app = TestApp::start().await;
    let create = async |events: Vec<String>| {
        let body = json!({"url": "https://example.com/hook", "events": events});
        app.alice.post("/v1/webhooks", body).await
    };
    let many = (0..=MAX_PATTERNS)
        .map(|n| format!("note.{}*", "c".repeat(n)))
        .collect();
    create(many).await.expect_problem(400, "validation_failed");
    let problem = create(vec!["note.craeted".into()]).await;
    let problem = problem.expect_problem(400, "validation_failed");
    let detail = text(&problem["errors"][0]["detail"]);
    assert!(detail.contains("did you mean note.created"), "{detail}");
}
