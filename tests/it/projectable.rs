//! Values that a client may send but no read model can store: they are refused with their location.

use reqwest::Method;
use serde_json::json;

use crate::harness::{OwnApp, TestApp, id, pointers};
use crate::mcp_wire;
use crate::world::Document;

#[tokio::test]
async fn numbers_and_times_that_the_database_cannot_keep_are_refused() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let note = alice.note(workspace_id, "Tea", "").await;
    let artifacts = format!("/v1/notes/{}/artifacts", id(&note));
    let artifact = |size: u64| json!({"url": "https://example.com/a", "name": "a", "media_type": "text/plain", "size": size});
    for size in [u64::MAX, 1 << 63] {
        let refused = alice.post(&artifacts, artifact(size)).await;
        let refused = refused.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&refused), ["/size"]);
    }
    let largest = alice
        .post(&artifacts, artifact(i64::MAX.unsigned_abs()))
        .await;
    let largest = format!("/v1/artifacts/{}", id(&largest.expect(201)));
    alice.get(&largest).await.expect(200);
    for size in [u64::MAX, i64::MAX.unsigned_abs()] {
        let file = json!({"container": "attachments", "name": "a", "media_type": "text/plain", "size": size});
        let refused = alice.post("/v1/files", file).await;
        let refused = refused.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&refused), ["/size"]);
    }

    let agent = app.actor("agent", &["*"]).await;
    alice.admit(workspace_id, &agent, "agent").await;
    let soon = (chrono::Utc::now() + chrono::TimeDelta::days(2)).format("%Y-%m-%d");
    for expires_at in [format!("{soon}T12:00:60Z"), format!("{soon}T23:59:60.5Z")] {
        let proposal = json!({
            "workspace_id": workspace_id,
            "rationale": "r",
            "expires_at": expires_at,
            "actions": [{"type": "note.create", "title": "Water", "body": ""}],
        });
        let refused = agent.post("/v1/proposals", proposal).await;
        let refused = refused.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&refused), ["/expires_at"], "{expires_at}");
    }
    for time in [
        "2030-01-31T12:00:60Z",
        "%2B20000-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
    ] {
        for list in ["/v1/events?since=", "/v1/search?until="] {
            let refused = alice.get(&format!("{list}{time}")).await;
            refused.expect_problem(400, "malformed_query");
        }
    }
    alice
        .get(&format!("/v1/notes/{}", id(&note)))
        .await
        .expect(200);
}

#[tokio::test]
async fn null_characters_are_refused_in_every_parameter_and_message() {
    let app = TestApp::start().await;
    let document = Document::of(&app.alice).await;
    let mut tried = 0;
    for operation in document.guarded() {
        for parameter in operation.query_parameters() {
            let path = format!("{}?{parameter}=a%00b", operation.on_nothing());
            let request = app.alice.request(operation.method.clone(), &path);
            let answer = app.alice.send(request.json(&json!({}))).await;
            assert_eq!(
                answer.status, 400,
                "{} {path}: {}",
                operation.method, answer.body
            );
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");

    let call = |name: &str, run_id: &str| {
        json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": name, "arguments": {}, "_meta": {"daybook/run_id": run_id}},
        })
    };
    for message in [
        call("a\0b", "run"),
        call("read_note", "a\0b"),
        call("read_note", "\0"),
    ] {
        let answer = app
            .alice
            .send(mcp_wire::post(&app.alice).json(&message))
            .await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(
            answer.body["error"]["message"]
                .as_str()
                .unwrap()
                .contains("U+0000")
        );
    }
    mcp_wire::call(&app.alice, "read_notes", json!({})).await;
    let calls = app.alice.get("/v1/tool-calls").await.expect(200);
    assert_eq!(calls["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_line_that_people_decide_by_is_one_line_that_can_be_seen() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    for c in [
        "\n", "\r", "\t", "\u{7}", "\u{85}", "\u{2028}", "\u{202e}", "\u{200b}",
    ] {
        let text = format!("a{c}b");
        let note = |title: &str, tag: &str| json!({"workspace_id": workspace_id, "title": title, "body": "", "tags": [tag]});
        for (path, body, pointer) in [
            ("/v1/notes", note(&text, "a"), "/title"),
            ("/v1/notes", note("a", &text), "/tags"),
            (
                "/v1/tasks",
                json!({"workspace_id": workspace_id, "title": text}),
                "/title",
            ),
            (
                "/v1/tasks",
                json!({"workspace_id": workspace_id, "title": "a", "labels": [text]}),
                "/labels",
            ),
            ("/v1/workspaces", json!({"name": text}), "/name"),
            ("/v1/calendar-feeds", json!({"name": text}), "/name"),
            (
                "/v1/files",
                json!({"container": "attachments", "name": text, "media_type": "text/plain", "size": 1}),
                "/name",
            ),
        ] {
            let refused = alice.post(path, body).await;
            let refused = refused.expect_problem(400, "validation_failed");
            assert_eq!(pointers(&refused), [pointer], "{path} {text:?}");
        }
    }
    let emoji = "👩\u{200d}💻 می\u{200c}خواهم";
    alice.note(workspace_id, emoji, "").await;
}

#[tokio::test]
async fn a_preview_shows_what_cannot_be_seen() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let agent = app.actor("agent", &["*"]).await;
    alice.admit(workspace_id, &agent, "agent").await;
    let body = "Milk.\rEggs.\u{202e}\nBread.";
    let proposal = json!({
        "workspace_id": workspace_id,
        "rationale": "r",
        "actions": [{"type": "note.create", "title": "Shopping", "body": body}],
    });
    let proposal = agent.post("/v1/proposals", proposal).await.expect(201);
    let path = format!("/v1/proposals/{}", id(&proposal));
    let shown = alice.get(&path).await.expect(200);
    let diff = shown["preview"]["notes"][0]["diff"].as_str().unwrap();
    let lines: Vec<&str> = diff.lines().collect();
    assert!(lines.contains(&r"+Milk.\rEggs.\u{202e}"), "{diff}");
    assert!(lines.contains(&"+Bread."), "{diff}");
}

#[tokio::test]
async fn redriving_an_unknown_job_fails() {
    let app = OwnApp::start().await;
    let unknown = uuid::Uuid::now_v7().to_string();
    let done = crate::harness::command(&app.database_url, &[])
        .args(["jobs", "redrive", &unknown])
        .output()
        .await
        .unwrap();
    assert!(!done.status.success());
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("there is no dead letter"), "{said}");
    let path = format!("/v1/jobs/{unknown}/redrive");
    let request = app.operator.request(Method::POST, &path).json(&json!({}));
    app.operator
        .send(request)
        .await
        .expect_problem(404, "not_found");
}
