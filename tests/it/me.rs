//! The caller's own identity, and the list of actors.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, TestApp, id};

#[tokio::test]
async fn every_key_is_told_who_holds_it_what_it_may_do_and_where() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let other = app.alice.workspace().await;
    app.alice.workspace().await;
    let body = json!({"name": "laptop", "product_id": app.product_id,
        "actor": {"kind": "person", "name": "Bob"}, "scopes": ["tasks:read"]});
    let key = app.operator.post("/v1/api-keys", body).await.expect(201);
    let bob = app.alice.holding(&key);
    app.alice.admit(workspace_id, &bob, "editor").await;
    app.alice.admit(other, &bob, "viewer").await;
    let archive = format!("/v1/workspaces/{other}/archive");
    app.alice.post_empty(&archive).await.expect(200);
    assert_eq!(
        bob.get("/v1/me").await.expect(200),
        json!({
            "actor": {"kind": "person", "id": bob.actor_id},
            "name": "Bob",
            "product_id": app.product_id,
            "credential": {
                "id": key["id"], "name": "laptop", "scopes": ["tasks:read"], "controller": Uuid::nil(), "enrolled": false,
            },
            "workspaces": [
                {"id": other, "name": "Research", "status": "archived", "role": "viewer"},
                {"id": workspace_id, "name": "Research", "status": "active", "role": "editor"},
            ],
        })
    );
    let operator = app.operator.get("/v1/me").await.expect(200);
    assert_eq!(operator["workspaces"], json!([]));
}

#[tokio::test]
async fn actors_are_seen_by_those_who_work_with_them_and_by_those_who_look_after_keys() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let colleague = app.actor("person", &["actors:read"]).await;
    let outsider = app.actor("service", &["actors:read"]).await;
    let agent = app
        .alice
        .post("/v1/agents", json!({"name": "Scribe"}))
        .await;
    let agent = agent.expect(201);
    app.alice.admit(workspace_id, &colleague, "viewer").await;
    let member = format!("/v1/workspaces/{workspace_id}/members/{}", id(&agent));
    app.alice
        .put(&member, json!({"role": "agent"}))
        .await
        .expect(200);
    let seen = async |by: &Client, path: &str| -> BTreeSet<Uuid> {
        by.ids(path).await.into_iter().collect()
    };
    let team = BTreeSet::from([app.alice.actor_id, colleague.actor_id, id(&agent)]);
    assert_eq!(seen(&colleague, "/v1/actors").await, team);
    assert_eq!(seen(&app.alice, "/v1/actors").await, team);
    assert_eq!(
        seen(&outsider, "/v1/actors").await,
        [outsider.actor_id].into()
    );
    let all = "/v1/actors?all=true";
    outsider.get(all).await.expect_problem(403, "scope_missing");
    let everybody = seen(&app.alice, all).await;
    assert_eq!(
        everybody.difference(&team).collect::<Vec<_>>(),
        [&outsider.actor_id]
    );
    let stranger = app.stranger().await;
    assert_eq!(seen(&stranger, all).await, [stranger.actor_id].into());

    let path = format!("/v1/actors/{}", id(&agent));
    let told = colleague.get(&path).await.expect(200);
    assert_eq!(
        (&told["kind"], &told["name"]),
        (&json!("agent"), &json!("Scribe"))
    );
    outsider.get(&path).await.expect_problem(404, "not_found");
    stranger.get(&path).await.expect_problem(404, "not_found");
    let path = format!("/v1/agents/{}", id(&agent));
    let rename = json!({"name": "Librarian"});
    app.alice.patch(&path, rename).await.expect(200);
    let path = format!("/v1/actors/{}", id(&agent));
    assert_eq!(colleague.get(&path).await.expect(200)["name"], "Librarian");
    let path = format!("/v1/actors/{}", outsider.actor_id);
    assert_eq!(app.alice.get(&path).await.expect(200)["kind"], "service");
}

#[tokio::test]
async fn an_actor_has_a_name_of_some_length() {
    let app = TestApp::start().await;
    for name in [String::new(), "x".repeat(201)] {
        let body = json!({"name": "k", "actor": {"kind": "person", "name": name}, "scopes": ["notes:read"]});
        let problem = app.alice.post("/v1/api-keys", body).await;
        let problem = problem.expect_problem(400, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], "/actor/name");
    }
    let body = json!({"name": "phone", "actor": {"kind": "person"}, "scopes": ["notes:read"]});
    let key = app.alice.post("/v1/api-keys", body).await.expect(201);
    let path = format!("/v1/actors/{}", key["actor"]["id"].as_str().unwrap());
    let named: Value = app.alice.get(&path).await.expect(200);
    assert_eq!(named["name"], "phone");
}
