//! Notes.

use serde_json::json;

use crate::harness::{TestApp, id};

#[tokio::test]
async fn a_note_is_written_and_read_back_as_it_was_answered() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let written = app
        .alice
        .post("/v1/notes", json!({"workspace_id": workspace_id, "title": "Tea", "body": "Steep it.", "tags": ["Drink"]}))
        .await;
    assert_eq!(written.header("etag"), "\"1\"");
    let position = written.position();
    let note = written.expect(201);
    assert_eq!(note["tags"], json!(["drink"]));
    assert_eq!(note["position"], position);
    let read = app
        .alice
        .get_at(&format!("/v1/notes/{}", id(&note)), position)
        .await;
    assert_eq!(read.expect(200), note);
}
