//! Uploads a file and attaches it to a note in one request.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Client, OwnApp, TestApp, id, types};

const BOUNDARY: &str = "a-boundary-that-no-file-has";

/// Builds a multipart form of fields (name, file name if it is a file, content); returns it with its content type.
pub fn form(fields: &[(&str, Option<&str>, &str)]) -> (String, String) {
    let mut form = String::new();
    for (name, file_name, content) in fields {
        let file = file_name.map_or_else(String::new, |file_name| {
            format!("; filename=\"{file_name}\"\r\nContent-Type: Text/Plain; charset=utf-8")
        });
        form += &format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"
        );
    }
    form += &format!("--{BOUNDARY}--\r\n");
    (format!("multipart/form-data; boundary={BOUNDARY}"), form)
}

/// A note of Alice's to attach files to.
struct Cast {
    app: TestApp,
    workspace_id: Uuid,
    note_id: Uuid,
}

impl Cast {
    async fn assemble() -> Self {
        Self::on(TestApp::start().await).await
    }

    async fn on(app: TestApp) -> Self {
        let workspace_id = app.alice.workspace().await;
        let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
        Self {
            workspace_id,
            note_id: id(&note),
            app,
        }
    }

    fn path(&self) -> String {
        format!("/v1/notes/{}/attachments", self.note_id)
    }

    async fn send(
        &self,
        by: &Client,
        key: Option<&str>,
        fields: &[(&str, Option<&str>, &str)],
    ) -> Answer {
        let (content_type, form) = form(fields);
        let request = by.request(Method::POST, &self.path());
        let request = request.header("Content-Type", content_type).body(form);
        let request = match key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        by.send(request).await
    }
}

const TEA: (&str, Option<&str>, &str) = ("file", Some("tea.txt"), "Steep it.");

#[tokio::test]
async fn a_form_uploads_a_file_and_attaches_it_in_one_append() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let before = alice.head().await;
    let name = ("name", None, "How to steep");
    let artifact = cast.send(alice, None, &[TEA, name]).await.expect(201);
    assert_eq!(artifact["name"], "How to steep");
    assert_eq!(artifact["media_type"], "text/plain");
    assert_eq!(artifact["size"], 9);
    assert_eq!(artifact["note_id"], json!(cast.note_id));
    let events = alice.events(&format!("after={before}")).await;
    let appended = types(&events);
    for wanted in [
        "file.requested",
        "file.stored",
        "artifact.attached",
        "file.referenced",
    ] {
        assert!(appended.contains(&wanted), "{appended:?} has no {wanted}");
    }
    let times: Vec<&Value> = events.iter().map(|event| &event["recorded_at"]).collect();
    assert!(
        times.windows(2).all(|pair| pair[0] == pair[1]),
        "one append"
    );

    let file = format!("/v1/files/{}", artifact["file_id"].as_str().unwrap());
    let stored = alice.get(&file).await.expect(200);
    assert_eq!(stored["name"], "tea.txt");
    assert_eq!(stored["workspace_id"], json!(cast.workspace_id));
    let address = alice.get(&format!("{file}/download")).await.expect(200);
    let address = address["url"].as_str().unwrap();
    let read = alice.send(alice.request(Method::GET, address)).await;
    assert_eq!(read.expect(200), "Steep it.");
}

#[tokio::test]
async fn a_repeated_form_attaches_nothing_again() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let first = cast.send(alice, Some("tea"), &[TEA]).await.expect(201);
    let again = cast.send(alice, Some("tea"), &[TEA]).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(201), first);
    let other = ("file", Some("tea.txt"), "Drink it.");
    let other = cast.send(alice, Some("tea"), &[other]).await;
    other.expect_problem(422, "idempotency_key_reused");
    let usage = alice.get("/v1/files/usage").await.expect(200);
    assert_eq!(usage["used_files"], 1, "{usage:#}");
}

#[tokio::test]
async fn a_form_that_is_not_as_described_is_refused_by_field() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    for (fields, pointer) in [
        (&[("name", None, "no file")][..], "/file"),
        (&[TEA, TEA], "/file"),
        (&[TEA, ("color", None, "green")], "/color"),
    ] {
        let problem = cast.send(alice, None, fields).await;
        let problem = problem.expect_problem(400, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem:#}");
    }
    let json = alice.post(&cast.path(), json!({"file": "tea"})).await;
    json.expect_problem(415, "not_a_form");
    let usage = alice.get("/v1/files/usage").await.expect(200);
    assert_eq!(usage["used_files"], 0, "{usage:#}");
}

#[tokio::test]
async fn who_may_not_write_uploads_nothing() {
    let cast = Cast::assemble().await;
    let viewer = cast.app.actor("person", &["*"]).await;
    cast.app
        .alice
        .admit(cast.workspace_id, &viewer, "viewer")
        .await;
    let refused = cast.send(&viewer, None, &[TEA]).await;
    refused.expect_problem(403, "workspace_role_insufficient");
    let reader = cast.app.actor("person", &["artifacts:read"]).await;
    let refused = cast.send(&reader, None, &[TEA]).await;
    refused.expect_problem(403, "scope_missing");
    let stranger = cast.app.stranger().await;
    assert_eq!(cast.send(&stranger, None, &[TEA]).await.status, 404);
}

#[tokio::test]
async fn a_file_larger_than_its_container_takes_is_refused() {
    let app = OwnApp::start_with(&[("DAYBOOK_FILES_MAX_SIZES", "attachments=8")]).await;
    let cast = Cast::on(app.clone()).await;
    let refused = cast.send(&cast.app.alice, None, &[TEA]).await;
    refused.expect_problem(413, "file_too_large");
}
