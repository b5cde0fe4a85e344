//! Products.

use serde_json::json;
use uuid::Uuid;

use crate::harness::{OwnApp, TestApp, id, pointers, types};

#[tokio::test]
async fn the_operator_makes_a_product_and_reads_it_back() {
    let app = OwnApp::start().await;
    let made = app
        .operator
        .post("/v1/products", json!({"name": "Notes"}))
        .await;
    assert_eq!(made.header("etag"), "\"1\"");
    let product = made.expect(201);
    assert_eq!(product["name"], "Notes");
    assert_eq!(product["version"], 1);
    let path = format!("/v1/products/{}", id(&product));
    assert_eq!(app.operator.get(&path).await.expect(200), product);
    assert_eq!(
        app.operator.ids("/v1/products").await,
        [id(&product), app.product_id]
    );
    let pages = app.operator.pages("/v1/products?limit=1").await;
    assert_eq!(pages.len(), 2);
    let events = app
        .operator
        .events(&format!("product={}", id(&product)))
        .await;
    assert_eq!(types(&events), ["product.created"]);
    assert_eq!(events[0]["position"], product["position"]);
}

#[tokio::test]
async fn everybody_else_sees_their_own_product_and_makes_none() {
    let app = TestApp::start().await;
    let other = app.operator.product("Other").await;
    assert_eq!(app.alice.ids("/v1/products").await, [app.product_id]);
    let own = format!("/v1/products/{}", app.product_id);
    assert_eq!(app.alice.get(&own).await.expect(200)["name"], "Test");
    for hidden in [other, Uuid::now_v7()] {
        let answer = app.alice.get(&format!("/v1/products/{hidden}")).await;
        answer.expect_problem(404, "not_found");
    }
    let made = app
        .alice
        .post("/v1/products", json!({"name": "Mine"}))
        .await;
    app.appended_nothing(&made).await;
    made.expect_problem(403, "operator_only");
}

#[tokio::test]
async fn a_product_needs_a_name() {
    let app = TestApp::start().await;
    for name in [String::new(), "x".repeat(201)] {
        let made = app
            .operator
            .post("/v1/products", json!({"name": name}))
            .await;
        let problem = made.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&problem), ["/name"]);
    }
}

#[tokio::test]
async fn a_product_asked_for_twice_under_one_key_is_made_once() {
    let app = OwnApp::start().await;
    let ask = async || {
        let request = app
            .operator
            .request(reqwest::Method::POST, "/v1/products")
            .header("Idempotency-Key", "once")
            .json(&json!({"name": "Notes"}));
        app.operator.send(request).await.expect(201)
    };
    let first = ask().await;
    assert_eq!(ask().await, first);
    assert_eq!(app.operator.ids("/v1/products").await.len(), 2);
}
