//! Repeated commands: they are answered only to callers who still have permission, and without the secrets of the first response.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Client, TestApp, id, without_correlation};

async fn post(by: &Client, path: &str, body: &Value) -> Answer {
    let request = by
        .request(Method::POST, path)
        .header("Idempotency-Key", path);
    by.send(request.json(body)).await
}

/// Issues another key for the same person.
async fn second_key(of: &Client, scopes: &[&str]) -> Client {
    let actor = json!({"kind": "person", "id": of.actor_id});
    let body = json!({"name": "second", "actor": actor, "scopes": scopes});
    let key = of.post("/v1/api-keys", body).await.expect(201);
    of.holding(&key)
}

#[tokio::test]
async fn a_receipt_belongs_to_the_key_that_it_was_given_to() {
    let app = TestApp::start().await;
    let lesser = second_key(&app.alice, &["api_keys:write", "notes:read"]).await;
    let new = json!({"name": "all", "actor": {"kind": "service"}, "scopes": ["*"]});
    let issued = post(&app.alice, "/v1/api-keys", &new).await.expect(201);
    let stolen = post(&lesser, "/v1/api-keys", &new).await;
    stolen.expect_problem(403, "api_key_scope_not_held");
    let path = format!("/v1/api-keys/{}/rotate", id(&issued));
    post(&app.alice, &path, &json!({})).await.expect(200);
    let stolen = post(&lesser, &path, &json!({})).await;
    stolen.expect_problem(403, "api_key_scope_not_held");
    // A rotated key is the same credential.
    let me = app.alice.get("/v1/me").await.expect(200);
    let own = me["credential"]["id"].as_str().unwrap();
    let rotated = app
        .alice
        .post_empty(&format!("/v1/api-keys/{own}/rotate"))
        .await;
    let successor = Client::new(&app.alice.url, rotated.expect(200)["key"].as_str().unwrap());
    let again = post(&successor, "/v1/api-keys", &new).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(201)["id"], issued["id"]);
}

#[tokio::test]
async fn a_repetition_shows_no_secret_and_says_how_to_come_by_another() {
    let app = TestApp::start().await;
    let key = json!({"name": "k", "actor": {"kind": "service"}, "scopes": ["notes:read"]});
    let webhook = json!({"url": "https://example.com/hook", "events": ["note.*"]});
    let made = app.alice.post("/v1/webhooks", webhook.clone()).await;
    let rotate_secret = format!("/v1/webhooks/{}/rotate-secret", id(&made.expect(201)));
    let issued = app.alice.post("/v1/api-keys", key.clone()).await;
    let rotate = format!("/v1/api-keys/{}/rotate", id(&issued.expect(201)));
    let none = json!({});
    for (path, body, secret) in [
        ("/v1/api-keys", &key, "key"),
        (rotate.as_str(), &none, "key"),
        ("/v1/agents", &json!({"name": "Librarian"}), "key"),
        ("/v1/webhooks", &webhook, "secret"),
        (rotate_secret.as_str(), &none, "secret"),
        ("/v1/calendar-feeds", &json!({"name": "Phone"}), "path"),
    ] {
        let by = &app.alice;
        let first = post(by, path, body).await;
        assert!(first.status < 300, "{path}: {:#}", first.body);
        let mut first = first.body;
        let shown = first.as_object_mut().unwrap().remove(secret);
        let shown = shown.unwrap_or_else(|| panic!("{path} shows its {secret}"));
        assert_eq!(first.get("notice"), None, "{path}");
        let head = app.position().await;
        let again = post(by, path, body).await;
        assert_eq!(again.header("idempotency-replayed"), "true", "{path}");
        let mut again = again.body;
        assert!(
            !again.to_string().contains(shown.as_str().unwrap()),
            "{path}"
        );
        let notice = again.as_object_mut().unwrap().remove("notice");
        let notice = notice.unwrap_or_else(|| panic!("{path} says how to go on"));
        assert!(notice.as_str().unwrap().contains("first answer only"));
        assert_eq!(again, first, "{path}");
        assert_eq!(app.position().await, head, "{path}");
    }
}

#[tokio::test]
async fn a_removed_member_is_answered_as_a_stranger_whatever_they_repeat() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let bob = app.actor("person", &["*"]).await;
    app.alice.admit(workspace_id, &bob, "editor").await;
    let stranger = app.actor("person", &["*"]).await;
    let note = app
        .alice
        .note(workspace_id, "Tea", "The secret is out.")
        .await;
    let gone = app.alice.note(workspace_id, "Gone", "").await;
    let (path, gone) = (
        format!("/v1/notes/{}", id(&note)),
        format!("/v1/notes/{}", id(&gone)),
    );
    bob.post_empty(&format!("{gone}/trash")).await.expect(200);
    let new = json!({"workspace_id": workspace_id, "title": "Mine", "body": ""});
    let revision = json!({"title": "Green tea"});
    let commands = [
        (Method::POST, "/v1/notes", &new),
        (Method::PATCH, path.as_str(), &revision),
        // Nothing of this note remains visible.
        (Method::DELETE, gone.as_str(), &json!({})),
    ];
    for (round, (method, path, body)) in commands.iter().enumerate() {
        let send = async |by: &Client| {
            let request = by
                .request(method.clone(), path)
                .header("Idempotency-Key", format!("k{round}"));
            by.send(request.json(body)).await
        };
        let first = send(&bob).await;
        assert!(first.status < 300, "{path}: {:#}", first.body);
        let again = send(&bob).await;
        assert_eq!(again.header("idempotency-replayed"), "true", "{path}");
        assert_eq!((again.status, &again.body), (first.status, &first.body));

        let member = format!("/v1/workspaces/{workspace_id}/members/{}", bob.actor_id);
        app.alice.delete(&member).await.expect(200);
        let head = app.position().await;
        let removed = send(&bob).await;
        let theirs = send(&stranger).await;
        assert_eq!(removed.status, 404, "{path}: {:#}", removed.body);
        assert_eq!(removed.status, theirs.status);
        assert_eq!(
            without_correlation(&removed.body),
            without_correlation(&theirs.body)
        );
        assert_eq!(app.position().await, head);
        // A repetition requires the permission of the command.
        app.alice.admit(workspace_id, &bob, "viewer").await;
        let viewers = send(&bob).await;
        assert!([403, 404].contains(&viewers.status), "{:#}", viewers.body);
        app.alice.admit(workspace_id, &bob, "editor").await;
        let back = send(&bob).await;
        assert_eq!((back.status, &back.body), (first.status, &first.body));
    }
}

#[tokio::test]
async fn what_the_first_time_made_impossible_is_still_answered() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let webhook = json!({"url": "https://example.com/hook", "events": ["note.*"]});
    let webhook = app.alice.post("/v1/webhooks", webhook).await.expect(201);
    let webhook = format!("/v1/webhooks/{}", id(&webhook));
    let archive = format!("/v1/workspaces/{workspace_id}/archive");
    let none = json!({});
    for (method, path) in [(Method::DELETE, &webhook), (Method::POST, &archive)] {
        let send = async || {
            let request = app.alice.request(method.clone(), path);
            let request = request.header("Idempotency-Key", path);
            app.alice.send(request.json(&none)).await
        };
        let first = send().await;
        assert!(first.status < 300, "{path}: {:#}", first.body);
        let again = send().await;
        assert_eq!(again.header("idempotency-replayed"), "true", "{path}");
        assert_eq!((again.status, again.body), (first.status, first.body));
    }
    let nothing = format!("/v1/webhooks/{}", Uuid::now_v7());
    let never = app.alice.delete(&nothing).await;
    never.expect_problem(404, "webhook_not_found");
}
