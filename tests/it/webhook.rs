//! Webhook endpoints: creating and changing them, and the effects on deliveries.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{OwnApp, TestApp, id, items};
use crate::receiver::{
    Endpoint, MUCH_LATER, Receiver, arrived_ids, arrived_types, event_ids, status,
};

#[tokio::test]
async fn an_endpoint_shows_its_secret_once_and_is_read_back_without_it() {
    let app = OwnApp::start().await;
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
    assert_eq!(endpoint["headers"], json!(["X-Team"]));
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
    // The log does not contain it either.
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
    let body = json!({"url": "https://me:pw@example.com", "events": ["*"]});
    let answer = app.alice.post("/v1/webhooks", body).await;
    answer.expect_problem(400, "validation_failed");
    for events in [
        json!([]),
        json!(["*.created"]),
        json!(["note created"]),
        json!(["webhook.delivery_attempted"]),
    ] {
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
    app.settle().await;
    let mut events = app.alice.events(&format!("after={born}")).await;
    events.retain(|event| event["type"] != "webhook.delivery_attempted");

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
    let mut changed = app
        .alice
        .patch(&endpoint.path, changes.clone())
        .await
        .expect(200);
    // The other receiver gets a new secret.
    assert_eq!(changed["version"], 3);
    let fields = changed.as_object_mut().unwrap();
    let secret = fields.remove("secret").unwrap();
    let notice = fields.remove("notice").unwrap();
    assert!(
        notice.as_str().unwrap().contains("another origin"),
        "{notice}"
    );
    assert_eq!(app.alice.get(&endpoint.path).await.expect(200), changed);
    let same = app.alice.patch(&endpoint.path, changes).await.expect(200);
    assert_eq!((&same["version"], same.get("secret")), (&json!(3), None));
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
    assert!(arrived[0].verifies_with(secret.as_str().unwrap()));
    assert!(!arrived[0].verifies_with(&endpoint.secret));
    assert_eq!(arrived_types(&old.arrived()), ["note.created"]);
}

#[tokio::test]
async fn an_endpoint_that_is_sent_elsewhere_takes_neither_its_headers_nor_its_secret_along() {
    let app = TestApp::start().await;
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    let body = json!({"url": old.url, "events": ["workspace.created"], "headers": {"Authorization": "Bearer tea"}});
    let endpoint = Endpoint::create_with(&app.alice, body).await;
    let update = async |url: &str, key: &str| {
        let request = app.alice.request(Method::PATCH, &endpoint.path);
        let request = request.header("Idempotency-Key", key);
        let answer = app.alice.send(request.json(&json!({"url": url}))).await;
        answer.expect(200)
    };
    // Another path on the same origin counts as the same receiver.
    let path = update(&format!("{}/other", old.url), "path").await;
    assert_eq!(path["headers"], json!(["Authorization"]));
    assert_eq!((path.get("secret"), path.get("notice")), (None, None));

    let moved = update(&new.url, "origin").await;
    assert_eq!(moved["headers"], json!([]));
    let secret = moved["secret"].as_str().unwrap();
    assert_ne!(secret, endpoint.secret);
    let again = update(&new.url, "origin").await;
    assert_eq!(again.get("secret"), None, "shown once");
    assert!(
        again["notice"].as_str().unwrap().contains("rotate"),
        "{again:#}"
    );
    app.alice.workspace().await;
    let arrived = new.wait_for(1).await;
    assert!(arrived[0].headers.get("authorization").is_none());
    assert!(arrived[0].verifies_with(secret));
    assert!(!arrived[0].verifies_with(&endpoint.secret));
}

#[tokio::test]
async fn a_deleted_endpoint_gets_nothing_more_not_even_what_was_to_be_retried() {
    let app = OwnApp::start_with(&[MUCH_LATER]).await;
    let receiver = Receiver::start().await;
    receiver.reply([status(500)]);
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
    let work = items(app.operator.get("/v1/jobs").await.expect(200));
    assert!(work.iter().all(|item| item["kind"] == "file.sweep"));
}

#[tokio::test]
async fn its_own_headers_are_sent_along() {
    let app = OwnApp::start().await;
    let receiver = Receiver::start().await;
    let headers = json!({"Authorization": "Bearer ab c", "X-Team": "blue"});
    let body = json!({"url": receiver.url, "events": ["workspace.created"], "headers": headers});
    let endpoint = Endpoint::create_with(&app.alice, body).await;
    app.alice.workspace().await;
    let arrived = &receiver.wait_for(1).await[0];
    assert_eq!(arrived.header("authorization"), "Bearer ab c");
    // The values are never shown again: neither with the endpoint nor in the log.
    let shown = app.alice.get(&endpoint.path).await.expect(200);
    assert_eq!(shown["headers"], json!(["Authorization", "X-Team"]));
    let log = format!("{:?}", app.operator.events("").await);
    assert!(!log.contains("Bearer ab c"));
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
