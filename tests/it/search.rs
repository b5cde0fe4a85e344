//! What is found, in which order, and by whom.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, TestApp, id, items};

/// What somebody finds, once everything written before can be found.
async fn search(by: &Client, query: &str) -> Value {
    let head = by.head().await;
    by.get_at(&format!("/v1/search?{query}"), head)
        .await
        .expect(200)
}

/// The titles of what somebody finds.
async fn titles(by: &Client, query: &str) -> Vec<String> {
    let found = items(search(by, query).await);
    let titles = found
        .iter()
        .map(|hit| hit["title"].as_str().unwrap().to_owned());
    titles.collect()
}

async fn note(by: &Client, workspace_id: Uuid, title: &str, body: &str) -> Value {
    by.note(workspace_id, title, body).await
}

#[tokio::test]
async fn what_is_called_so_comes_before_what_only_says_so() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let tea = note(alice, workspace_id, "Tea", "").await;
    note(alice, workspace_id, "Green tea", "Leaves.").await;
    let water = note(
        alice,
        workspace_id,
        "Water",
        &"Boil it for tea, or for more tea. ".repeat(20),
    )
    .await;
    note(alice, workspace_id, "Stone", "").await;
    assert_eq!(titles(alice, "q=tea").await, ["Tea", "Green tea", "Water"]);
    let found = search(alice, "q=tea").await;
    assert_eq!(found["next_cursor"], Value::Null);
    assert_eq!(found["facets"]["total"], json!(3));
    assert_eq!(found["items"][0]["id"], json!(id(&tea)));
    let last = &found["items"][2];
    assert_eq!(last["id"], json!(id(&water)));
    assert_eq!(
        last["snippet"][0],
        json!({"text": "Boil it for ", "matched": false})
    );
    assert_eq!(last["snippet"][1], json!({"text": "tea", "matched": true}));
}
