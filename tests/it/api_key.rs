//! API keys.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{
    Answer, Client, OPERATOR, OwnApp, Server, TestApp, eventually, forged_key, id, pointers, types,
};

fn with_key(client: &Client, key: &Value) -> Client {
    Client::new(&client.url, key["key"].as_str().unwrap())
}

fn at(key: &Value) -> String {
    format!("/v1/api-keys/{}", id(key))
}

async fn issue(by: &Client, scopes: &[&str]) -> Value {
    let body = json!({"name": "scribe", "actor": {"kind": "agent"}, "scopes": scopes});
    by.post("/v1/api-keys", body).await.expect(201)
}

/// Requests a key for an actor that the caller names.
async fn ask_for(by: &Client, product_id: Uuid, kind: &str, actor_id: Uuid) -> Answer {
    let actor = json!({"kind": kind, "id": actor_id});
    let body =
        json!({"name": "k", "product_id": product_id, "actor": actor, "scopes": ["notes:read"]});
    by.post("/v1/api-keys", body).await
}

/// Returns the key as everybody but its maker sees it.
fn hidden(key: &Value) -> Value {
    let mut hidden = key.clone();
    hidden.as_object_mut().unwrap().remove("key");
    hidden
}

async fn rotate(by: &Client, key: &Value, overlap_seconds: i64) -> Value {
    let body = json!({"overlap_seconds": overlap_seconds});
    let answer = by.post(&format!("{}/rotate", at(key)), body).await;
    answer.expect(200)
}

/// Returns true if the server accepts a key.
async fn works(client: &Client) -> bool {
    let answer = client.get("/v1/notes").await;
    match answer.status {
        200 => true,
        401 => {
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            answer.expect_problem(401, "unauthorized");
            false
        }
        other => panic!("{other}: {:#}", answer.body),
    }
}

#[tokio::test]
async fn a_key_is_shown_when_it_is_issued_and_never_again() {
    let app = TestApp::start().await;
    let issued = issue(&app.alice, &["notes:read"]).await;
    let text = issued["key"].as_str().unwrap();
    assert_eq!(text.len(), "dbk_".len() + 64 + 8);
    assert!(text.starts_with("dbk_"));
    for (field, value) in [
        ("name", json!("scribe")),
        ("product_id", json!(app.product_id)),
        ("scopes", json!(["notes:read"])),
        ("status", json!("active")),
        ("version", json!(1)),
        ("created_by", json!(app.alice.actor_id)),
    ] {
        assert_eq!(issued[field], value, "{field}");
    }
    assert_eq!(issued["actor"]["kind"], "agent");
    assert!(works(&with_key(&app.alice, &issued)).await);

    let read = app.alice.get(&at(&issued)).await;
    assert_eq!(read.header("etag"), "\"1\"");
    assert_eq!(read.expect(200), hidden(&issued));
    let listed = app.alice.pages("/v1/api-keys?limit=1").await.concat();
    assert_eq!(listed.len(), 2, "this one and Alice's");
    assert_eq!(listed[0], hidden(&issued));
}

#[tokio::test]
async fn no_event_and_no_table_holds_a_key() {
    let app = OwnApp::start().await;
    let issued = issue(&app.alice, &["notes:read"]).await;
    let rotated = rotate(&app.alice, &issued, 60).await;
    let dry = app
        .alice
        .post(
            "/v1/api-keys?dry_run=true",
            json!({"name": "dry", "actor": {"kind": "agent"}, "scopes": ["notes:read"]}),
        )
        .await;
    assert!(!dry.expect(200).to_string().contains("dbk_"));
    let keys = [
        app.operator.key.as_str(),
        app.alice.key.as_str(),
        issued["key"].as_str().unwrap(),
        rotated["key"].as_str().unwrap(),
    ];
    let events = app.operator.events("").await;
    assert_eq!(
        types(&app.operator.events("category=api_key").await),
        [
            "api_key.issued",
            "api_key.issued",
            "api_key.issued",
            "api_key.rotated"
        ]
    );
    let sql = app.sql().await;
    let mut written = json!(events).to_string();
    for table in ["log.events", "log.receipts", "read.api_keys"] {
        let rows = sql
            .query(&format!("select row_to_json(t)::text from {table} t"), &[])
            .await
            .unwrap();
        assert!(!rows.is_empty(), "{table}");
        for row in rows {
            written.push_str(row.get(0));
        }
    }
    for key in keys {
        let secret = &key["dbk_".len().."dbk_".len() + 64];
        assert!(!written.contains(secret), "{written}");
    }
}

#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let app = TestApp::start().await;
    let held = ["api_keys:write", "api_keys:read", "notes:read"];
    let clerk = app.actor("service", &held).await;
    let ask = async |by: &Client, scopes: Value| {
        let body = json!({"name": "k", "actor": {"kind": "agent"}, "scopes": scopes});
        by.post("/v1/api-keys", body).await
    };
    ask(&clerk, json!(["notes:read", "api_keys:read"]))
        .await
        .expect(201);
    for beyond in [json!(["*"]), json!(["notes:read", "notes:write"])] {
        let answer = ask(&clerk, beyond).await;
        answer.expect_problem(403, "api_key_scope_not_held");
    }
    // Rotating a key hands it to the caller.
    let stronger = issue(&app.alice, &["*"]).await;
    let answer = clerk.post_empty(&format!("{}/rotate", at(&stronger))).await;
    answer.expect_problem(403, "api_key_scope_not_held");
    assert!(works(&with_key(&app.alice, &stronger)).await);
    // A key with fewer scopes cannot revoke one with more.
    let answer = clerk.delete(&at(&stronger)).await;
    answer.expect_problem(403, "api_key_scope_not_held");
    assert!(works(&with_key(&app.alice, &stronger)).await);
    for (scopes, pointer) in [
        (json!([]), "/scopes"),
        (json!(["notes:fly"]), "/scopes"),
        (json!(["nothing:read"]), "/scopes"),
    ] {
        let problem = ask(&app.alice, scopes).await;
        let problem = problem.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&problem), [pointer]);
    }
    let body = json!({"name": "", "actor": {"kind": "ghost"}, "scopes": ["*"]});
    let problem = app.alice.post("/v1/api-keys", body).await;
    problem.expect_problem(400, "validation_failed");
}

#[tokio::test]
async fn a_key_for_a_known_actor_speaks_as_that_actor() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let body = json!({"name": "phone", "actor": {"kind": "person", "id": app.alice.actor_id}, "scopes": ["*"]});
    let second = app.alice.post("/v1/api-keys", body).await.expect(201);
    assert_eq!(second["actor"]["id"], json!(app.alice.actor_id));
    let phone = with_key(&app.alice, &second);
    assert_eq!(
        phone.note(workspace_id, "Tea", "").await["created_by"],
        json!(app.alice.actor_id)
    );
}

#[tokio::test]
async fn nobody_but_the_operator_issues_a_key_for_somebody_else() {
    let app = TestApp::start().await;
    let clerk = app
        .actor(
            "service",
            &["api_keys:write", "api_keys:read", "notes:read"],
        )
        .await;
    let stranger = app.stranger().await;
    let head = app.position().await;
    for (kind, actor_id) in [
        ("person", app.alice.actor_id),
        ("agent", app.alice.actor_id),
        ("person", stranger.actor_id),
        ("agent", Uuid::now_v7()),
        // Themselves, but as an approver of the agent's proposals.
        ("person", clerk.actor_id),
    ] {
        let answer = ask_for(&clerk, app.product_id, kind, actor_id).await;
        answer.expect_problem(403, "api_key_actor_not_yours");
    }
    assert_eq!(app.position().await, head);
    let own = ask_for(&clerk, app.product_id, "service", clerk.actor_id).await;
    assert_eq!(own.expect(201)["actor"]["id"], json!(clerk.actor_id));
    let new = issue(&clerk, &["notes:read"]).await;
    assert_ne!(new["actor"]["id"], json!(clerk.actor_id));
    let other = ask_for(&app.operator, app.product_id, "service", clerk.actor_id).await;
    assert_eq!(other.expect(201)["actor"]["id"], json!(clerk.actor_id));
}

#[tokio::test]
async fn an_actor_is_of_one_kind_and_one_product_for_good() {
    let app = TestApp::start().await;
    let other_id = app.operator.product("Other").await;
    let imported = Uuid::now_v7();
    for actor_id in [app.alice.actor_id, imported] {
        let ask = async |product_id, kind| ask_for(&app.operator, product_id, kind, actor_id).await;
        ask(app.product_id, "person").await.expect(201);
        let answer = ask(app.product_id, "agent").await;
        answer.expect_problem(422, "actor_kind_mismatch");
        for kind in ["person", "agent"] {
            let answer = ask(other_id, kind).await;
            answer.expect_problem(422, "actor_elsewhere");
        }
        let stream = format!("stream=actor-{actor_id}");
        let stream = app.operator.events(&stream).await;
        assert_eq!(types(&stream), ["actor.registered"]);
        assert_eq!(stream[0]["data"]["kind"], "person");
        assert_eq!(stream[0]["product_id"], json!(app.product_id));
    }
}

#[tokio::test]
async fn of_many_who_say_at_once_who_an_actor_is_one_is_right() {
    let app = TestApp::start().await;
    let other_id = app.operator.product("Other").await;
    for _round in 0..10 {
        let actor_id = Uuid::now_v7();
        let ask = |product_id, kind| ask_for(&app.operator, product_id, kind, actor_id);
        let answers = tokio::join!(
            ask(app.product_id, "person"),
            ask(app.product_id, "agent"),
            ask(other_id, "person"),
            ask(other_id, "service"),
        );
        let (issued, refused): (Vec<Answer>, Vec<Answer>) = Vec::from(<[Answer; 4]>::from(answers))
            .into_iter()
            .partition(|answer| answer.status == 201);
        assert_eq!(issued.len(), 1);
        for answer in refused {
            let code = answer.body["code"].as_str().unwrap().to_owned();
            assert!(["actor_kind_mismatch", "actor_elsewhere"].contains(&&*code));
            answer.expect_problem(422, &code);
        }
        let stream = format!("stream=actor-{actor_id}");
        let stream = app.operator.events(&stream).await;
        assert_eq!(types(&stream), ["actor.registered"]);
        assert_eq!(stream[0]["data"]["kind"], issued[0].body["actor"]["kind"]);
        assert_eq!(stream[0]["product_id"], issued[0].body["product_id"]);
    }
}

#[tokio::test]
async fn whoever_has_a_key_can_give_it_back() {
    let app = TestApp::start().await;
    let laptop = app.actor("person", &["*"]).await;
    let body = json!({"name": "panic button", "scopes": ["api_keys:write"],
        "actor": {"kind": "person", "id": laptop.actor_id}});
    let button = laptop.post("/v1/api-keys", body).await.expect(201);
    let button = with_key(&app.alice, &button);
    let keys = laptop.pages("/v1/api-keys").await.concat();
    let lost = keys
        .iter()
        .find(|key| key["actor"]["id"] == json!(laptop.actor_id) && key["scopes"] == json!(["*"]));
    let lost = lost.unwrap();
    // The caller may revoke the stronger key, but not get its successor.
    let answer = button.post_empty(&format!("{}/rotate", at(lost))).await;
    answer.expect_problem(403, "api_key_scope_not_held");
    button.delete(&at(lost)).await.expect(200);
    assert!(!works(&laptop).await);
}

#[tokio::test]
async fn the_operator_says_for_which_product_a_key_is() {
    let app = OwnApp::start().await;
    let body = json!({"name": "k", "actor": {"kind": "person"}, "scopes": ["*"]});
    let head = app.operator.head().await;
    let problem = app.operator.post("/v1/api-keys", body.clone()).await;
    let problem = problem.expect_problem(400, "validation_failed");
    assert_eq!(pointers(&problem), ["/product_id"]);
    assert_eq!(app.operator.head().await, head);
    let mut own = body;
    own["product_id"] = json!(OPERATOR);
    let own = app.operator.post("/v1/api-keys", own).await.expect(201);
    assert_eq!(own["product_id"], json!(OPERATOR));
    let deputy = with_key(&app.operator, &own);
    let made = deputy.product("Made by the deputy").await;
    assert_eq!(app.operator.ids("/v1/products").await[0], made);
}

#[tokio::test]
async fn keys_stay_within_their_product() {
    let app = TestApp::start().await;
    let other_id = app.operator.product("Other").await;
    let bob = app.operator.actor(other_id, "person", &["*"]).await;
    let own = issue(&app.alice, &["notes:read"]).await;
    for product_id in [app.product_id, Uuid::now_v7()] {
        let body = json!({"name": "spy", "product_id": product_id, "actor": {"kind": "agent"}, "scopes": ["*"]});
        let answer = bob.post("/v1/api-keys", body).await;
        answer.expect_problem(404, "not_found");
    }
    bob.get(&at(&own)).await.expect_problem(404, "not_found");
    let rotate = bob.post_empty(&format!("{}/rotate", at(&own))).await;
    rotate.expect_problem(404, "api_key_not_found");
    bob.delete(&at(&own))
        .await
        .expect_problem(404, "api_key_not_found");
    assert_eq!(bob.ids("/v1/api-keys").await.len(), 1, "only their own");
    assert!(works(&with_key(&app.alice, &own)).await);

    let named =
        json!({"name": "k", "product_id": other_id, "actor": {"kind": "agent"}, "scopes": ["*"]});
    let own_product = bob.post("/v1/api-keys", named).await.expect(201);
    assert_eq!(own_product["product_id"], json!(other_id));
    let nowhere = json!({"name": "k", "product_id": Uuid::now_v7(), "actor": {"kind": "agent"}, "scopes": ["*"]});
    let nowhere = app.operator.post("/v1/api-keys", nowhere).await;
    nowhere.expect_problem(404, "product_not_found");
}

#[tokio::test]
async fn the_operator_manages_the_keys_of_every_product() {
    let app = OwnApp::start().await;
    let key = issue(&app.alice, &["notes:read"]).await;
    assert_eq!(app.operator.ids("/v1/api-keys").await.len(), 3);
    app.operator.get(&at(&key)).await.expect(200);
    let rotated = rotate(&app.operator, &key, 0).await;
    assert_eq!(rotated["product_id"], json!(app.product_id));
    assert!(!works(&with_key(&app.alice, &key)).await);
    assert!(works(&with_key(&app.alice, &rotated)).await);
    let revoked = app.operator.delete(&at(&key)).await.expect(200);
    assert_eq!(revoked["status"], "revoked");
    assert!(!works(&with_key(&app.alice, &rotated)).await);
}

#[tokio::test]
async fn a_rotated_key_works_beside_its_successor_until_the_overlap_ends() {
    let app = TestApp::start().await;
    let first = issue(&app.alice, &["notes:read"]).await;
    let second = rotate(&app.alice, &first, 3600).await;
    assert_ne!(first["key"], second["key"]);
    assert_eq!(
        (&second["id"], &second["version"]),
        (&first["id"], &json!(2))
    );
    for key in [&first, &second] {
        assert!(works(&with_key(&app.alice, key)).await);
    }
    let read = app.alice.get(&at(&first)).await;
    assert_eq!(read.expect(200), hidden(&second));
    let third = rotate(&app.alice, &second, 0).await;
    for (key, lives) in [(&first, false), (&second, false), (&third, true)] {
        assert_eq!(works(&with_key(&app.alice, key)).await, lives);
    }
    // The default overlap is a day.
    let fourth = app
        .alice
        .post_empty(&format!("{}/rotate", at(&first)))
        .await;
    let fourth = fourth.expect(200);
    for key in [&third, &fourth] {
        assert!(works(&with_key(&app.alice, key)).await);
    }
    for overlap in [-1, 2_592_001] {
        let body = json!({"overlap_seconds": overlap});
        let problem = app
            .alice
            .post(&format!("{}/rotate", at(&first)), body)
            .await;
        let problem = problem.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&problem), ["/overlap_seconds"]);
    }
}

#[tokio::test]
async fn an_overlap_ends_by_itself() {
    let app = TestApp::start().await;
    let first = issue(&app.alice, &["notes:read"]).await;
    let second = rotate(&app.alice, &first, 1).await;
    let old = with_key(&app.alice, &first);
    eventually(async || (!works(&old).await).then_some(())).await;
    assert!(works(&with_key(&app.alice, &second)).await);
}

#[tokio::test]
async fn a_revoked_key_stops_at_once_and_on_every_server() {
    let app = OwnApp::start().await;
    let second = Server::start(&app.database_url, &[]).await;
    let key = issue(&app.alice, &["notes:read"]).await;
    let here = with_key(&app.alice, &key);
    let there = here.at(&second.url);
    assert!(works(&here).await && works(&there).await);
    let revoked = app.alice.delete(&at(&key)).await.expect(200);
    assert_eq!(
        (&revoked["status"], &revoked["version"]),
        (&json!("revoked"), &json!(2))
    );
    assert!(revoked.get("key").is_none());
    let answer = here
        .send(here.request(reqwest::Method::GET, "/v1/notes"))
        .await;
    answer.expect_problem(401, "unauthorized");
    eventually(async || (!works(&there).await).then_some(())).await;

    assert_eq!(app.alice.get(&at(&key)).await.expect(200), revoked);
    let again = app.alice.delete(&at(&key)).await;
    assert_eq!(again.expect(200), revoked, "once is enough");
    let rotate = app.alice.post_empty(&format!("{}/rotate", at(&key))).await;
    rotate.expect_problem(422, "api_key_revoked");
}

#[tokio::test]
async fn what_is_no_key_is_not_let_in() {
    let app = TestApp::start().await;
    let mistyped = format!("{}0", &app.alice.key[..app.alice.key.len() - 1]);
    let mistyped = if mistyped == app.alice.key {
        mistyped.replace("dbk_", "dbk-")
    } else {
        mistyped
    };
    for key in [
        "",
        "dbk_",
        "é",
        &mistyped,
        &forged_key(),
        &"x".repeat(5_000),
    ] {
        let request = Client::new(&app.alice.url, "")
            .request(reqwest::Method::GET, "/v1/notes")
            .header("Authorization", format!("Bearer {key}").as_bytes());
        app.alice
            .send(request)
            .await
            .expect_problem(401, "unauthorized");
    }
    for scheme in [format!("Basic {}", app.alice.key), app.alice.key.clone()] {
        let request = Client::new(&app.alice.url, "")
            .request(reqwest::Method::GET, "/v1/notes")
            .header("Authorization", scheme);
        app.alice
            .send(request)
            .await
            .expect_problem(401, "unauthorized");
    }
    let lower = Client::new(&app.alice.url, "")
        .request(reqwest::Method::GET, "/v1/notes")
        .header("Authorization", format!("bearer {}", app.alice.key));
    app.alice.send(lower).await.expect(200);
}
