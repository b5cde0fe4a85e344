//! Permissions to call operations, checked for every operation in the OpenAPI document.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, OPERATOR, OwnApp, forged_key, id, without_correlation};
use crate::world::{MARK, Operation, World};

#[tokio::test]
async fn without_a_key_that_works_nothing_can_be_called() {
    let world = World::start().await;
    let url = &world.app.url;
    let head = world.app.alice.head().await;
    for operation in world.document.guarded() {
        let path = operation.on_nothing();
        for key in ["", "dbk_garbage", &forged_key(), &world.app.alice.key[..70]] {
            let answer = world.call(&Client::new(url, key), &operation, &path).await;
            assert_eq!(answer.status, 401, "{}", operation.name());
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            answer.expect_problem(401, "unauthorized");
        }
    }
    assert_eq!(world.app.alice.head().await, head);
}

#[tokio::test]
async fn every_operation_needs_its_scope_and_no_other() {
    let world = World::start().await;
    let mut operations = world.document.guarded();
    operations.retain(|operation| !operation.takes_no_scope());
    let scopes: BTreeSet<&str> = operations.iter().map(Operation::scope).collect();
    let mut keys = BTreeMap::new();
    for operation in &operations {
        let scope = operation.scope();
        let verb = if operation.is_read() {
            ":read"
        } else {
            ":write"
        };
        assert!(scope.ends_with(verb), "{} needs {scope}", operation.name());

        let caller = world.caller(operation);
        // An event also requires the scopes of its resource.
        let own = [&[scope][..], operation.scopes_of_its_things()].concat();
        let pair = (own.clone(), &caller.key);
        if let Entry::Vacant(entry) = keys.entry(pair.clone()) {
            let others: Vec<&str> = scopes.iter().copied().filter(|s| *s != scope).collect();
            let lacking = another_key(&world, caller, &others).await;
            let fitting = another_key(&world, caller, &own).await;
            entry.insert((lacking, fitting));
        }
        let (lacking, fitting) = &keys[&pair];
        let path = world.path(operation).await;
        let answer = world.call(lacking, operation, &path).await;
        assert_eq!(
            answer.status,
            403,
            "{}: {:#}",
            operation.name(),
            answer.body
        );
        let problem = answer.expect_problem(403, "scope_missing");
        assert!(problem["detail"].as_str().unwrap().contains(scope));

        world.prepare(operation, &path).await;
        let answer = world.call(fitting, operation, &path).await;
        assert!(
            answer.status < 300,
            "{}: {:#}",
            operation.name(),
            answer.body
        );
    }
}

/// Issues another key for the same actor, with fewer scopes; for the operator, a key of another operator.
async fn another_key(world: &World, of: &Client, scopes: &[&str]) -> Client {
    let app = &world.app;
    let mut body = json!({"name": "key", "actor": {"kind": "person"}, "scopes": scopes});
    let mut issuer = of;
    if of.actor_id.is_nil() {
        body["product_id"] = json!(OPERATOR);
    } else if of.actor_id == world.agent.actor_id {
        // An agent cannot issue keys.
        issuer = &app.operator;
        body["product_id"] = json!(app.product_id);
        body["actor"] = json!({"kind": "agent", "id": of.actor_id});
    } else {
        body["actor"]["id"] = json!(of.actor_id);
    }
    let key = issuer.post("/v1/api-keys", body).await.expect(201);
    Client::new(&of.url, key["key"].as_str().unwrap())
}

/// Returns an actor with all scopes in another product.
async fn stranger(app: &OwnApp) -> Client {
    let product_id = app.operator.product("Elsewhere").await;
    app.operator.actor(product_id, "person", &["*"]).await
}

#[tokio::test]
async fn what_belongs_to_another_product_does_not_exist() {
    let world = World::start().await;
    let stranger = stranger(&world.app).await;
    let mut hidden = 0;
    for operation in world.document.guarded() {
        if !operation.has_path_parameters() {
            continue;
        }
        let path = world.path(&operation).await;
        world.prepare(&operation, &path).await;
        let theirs = world.call(&stranger, &operation, &path).await;
        let nothing = operation.on_nothing();
        let nothing = world.call(&stranger, &operation, &nothing).await;
        // The caller must not even be able to tell existing resources from missing ones.
        assert_eq!(
            (theirs.status, without_correlation(&theirs.body)),
            (nothing.status, without_correlation(&nothing.body)),
            "{}",
            operation.name()
        );
        if theirs.status == 403 {
            theirs.expect_problem(403, "operator_only");
            let own = world.call(&world.app.alice, &operation, &path).await;
            own.expect_problem(403, "operator_only");
        } else {
            assert_eq!(theirs.status, 404, "{}", operation.name());
            hidden += 1;
        }
    }
    assert!(hidden > 25, "{hidden}");
    assert_nothing_was_done_by(&world, &stranger).await;
}

#[tokio::test]
async fn no_read_tells_another_product_anything() {
    let world = World::start().await;
    let stranger = stranger(&world.app).await;
    let secrets = [
        MARK.to_owned(),
        world.app.product_id.to_string(),
        world.app.alice.actor_id.to_string(),
        world.agent.actor_id.to_string(),
    ];
    let filters = [
        ("product", world.app.product_id.to_string()),
        ("actor", world.app.alice.actor_id.to_string()),
        ("correlation_id", correlation_id(&world).await),
        ("stream", format!("product-{}", world.app.product_id)),
    ];
    for operation in world.document.guarded() {
        if !operation.is_read() {
            continue;
        }
        let path = world.path(&operation).await;
        let known = operation.query_parameters();
        let end = if known.contains("follow") {
            "?follow=false"
        } else {
            "?"
        };
        let mut paths = vec![format!("{path}{end}")];
        for (name, value) in filters.iter().filter(|(name, _)| known.contains(name)) {
            paths.push(format!("{path}{end}&{name}={value}"));
        }
        let head = world.app.alice.head().await;
        for path in paths {
            for accept in ["application/json", "application/x-ndjson"] {
                let request = stranger
                    .request(Method::GET, &path)
                    .header("Accept", accept)
                    .header("Daybook-Min-Position", head);
                assert_tells_none_of(&secrets, &stranger.send(request).await, &path);
            }
        }
    }
    // The stream ends after as many events as their own product has.
    let own = stranger.events("").await.len();
    let live = stranger
        .request(Method::GET, &format!("/v1/events?limit={own}"))
        .header("Accept", "text/event-stream");
    let live = stranger.send(live).await;
    assert_tells_none_of(&secrets, &live, "the live stream");
    assert_eq!(live.body.as_str().unwrap().matches("data:").count(), own);
    assert_nothing_was_done_by(&world, &stranger).await;
}

#[track_caller]
fn assert_tells_none_of(secrets: &[String], answer: &Answer, path: &str) {
    let told = format!("{:?} {}", answer.headers, answer.body);
    for secret in secrets {
        assert!(!told.contains(secret), "{path} tells {told}");
    }
}

#[tokio::test]
async fn a_body_cannot_reach_into_another_product() {
    let world = World::start().await;
    let stranger = stranger(&world.app).await;
    for operation in world.document.guarded() {
        if operation.has_path_parameters() {
            continue;
        }
        let Some(body) = world.body(&operation) else {
            continue;
        };
        let answer = world.call(&stranger, &operation, &operation.path).await;
        if body.to_string().contains("_id\"") {
            assert_eq!(answer.status, 404, "{}", operation.name());
        } else if answer.status == 403 {
            answer.expect_problem(403, "operator_only");
        } else {
            let made = answer.expect(201);
            assert_ne!(made["product_id"], json!(world.app.product_id));
            let path = format!("{}/{}", operation.path, id(&made));
            let found = world.app.alice.get(&path).await;
            found.expect_problem(404, "not_found");
        }
    }
    assert_nothing_was_done_by(&world, &stranger).await;
}

#[tokio::test]
async fn a_cause_or_correlation_named_by_a_stranger_joins_nothing_together() {
    let world = World::start().await;
    let stranger = stranger(&world.app).await;
    let theirs = world.app.alice.events("category=note").await.remove(0);
    let request = stranger
        .request(Method::POST, "/v1/workspaces")
        .header(
            "Daybook-Correlation-Id",
            theirs["metadata"]["correlation_id"].as_str().unwrap(),
        )
        .json(&json!({"name": "bait"}));
    let bound = request.try_clone().unwrap();
    let bound = bound.header("Daybook-Causation-Id", theirs["event_id"].as_str().unwrap());
    stranger
        .send(bound)
        .await
        .expect_problem(422, "cause_not_found");
    stranger.send(request).await.expect(201);
    let bait = stranger.events("category=workspace").await.remove(0);
    let tree = async |by: &Client, event: &Value| {
        let path = format!(
            "/v1/events/{}/causation",
            event["event_id"].as_str().unwrap()
        );
        by.get(&path).await.expect(200)
    };
    let seen = tree(&stranger, &bait).await;
    assert_eq!(
        (&seen["causes"], &seen["effects"]),
        (&json!([]), &json!([]))
    );
    let seen = tree(&world.app.alice, &theirs).await;
    assert!(!seen.to_string().contains("bait"));
}

async fn correlation_id(world: &World) -> String {
    let event = world.app.alice.events("category=note").await.remove(0);
    event["metadata"]["correlation_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn assert_nothing_was_done_by(world: &World, stranger: &Client) {
    let query = format!(
        "product={}&actor={}",
        world.app.product_id, stranger.actor_id
    );
    assert_eq!(world.app.operator.events(&query).await, Vec::<Value>::new());
}
