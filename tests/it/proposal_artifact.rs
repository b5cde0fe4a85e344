//! Proposals to change artifacts.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::cast::{Cast, approve, at, preview};
use crate::harness::{id, types};

fn attach(note: &Value, name: &str) -> Value {
    json!({"type": "artifact.attach", "note_id": id(note), "url": "https://tea.example/steep", "name": name, "media_type": "text/html"})
}

#[tokio::test]
async fn artifacts_are_attached_and_detached_with_the_rest_and_back() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let artifacts = format!("/v1/notes/{}/artifacts", id(&note));
    let old = json!({"url": "https://tea.example/old", "name": "old", "media_type": "text/html"});
    let old = cast.app.alice.post(&artifacts, old).await.expect(201);
    let proposal = cast
        .propose(json!([
            attach(&note, "steeping"),
            {"type": "artifact.detach", "artifact_id": id(&old)},
            {"type": "note.tag", "note_id": id(&note), "add": ["sources"]},
        ]))
        .await;
    let shown = preview(&cast.agent, &proposal).await;
    assert_eq!(
        shown["artifacts"],
        json!([
            {"artifact_id": null, "note_id": id(&note), "name": "steeping", "from_version": 0, "to_version": 1, "attached": true},
            {"artifact_id": id(&old), "note_id": id(&note), "name": "old", "from_version": 1, "to_version": 2, "attached": false},
        ])
    );
    let before = cast.app.alice.head().await;
    let applied = approve(&cast.editor, &proposal).await.expect(200);
    assert_eq!(applied["status"], "applied", "{applied:#}");
    assert_eq!(
        applied["artifacts"][1],
        json!({"artifact_id": id(&old), "version": 2, "base_version": 1})
    );
    let events = cast.app.alice.events(&format!("after={before}")).await;
    assert_eq!(
        types(&events)[..5],
        [
            "proposal.approved",
            "artifact.attached",
            "artifact.detached",
            "note.tagged",
            "proposal.applied"
        ]
    );
    let names = async || -> Vec<Value> {
        let attached = cast.app.alice.pages(&artifacts).await.concat();
        attached
            .iter()
            .map(|artifact| artifact["name"].clone())
            .collect()
    };
    assert_eq!(names().await, ["steeping"]);
    let revert = format!("{}/revert", at(&proposal));
    cast.editor.post_empty(&revert).await.expect(200);
    assert_eq!(names().await, ["old"]);
}

#[tokio::test]
async fn what_is_not_there_is_not_attached_and_what_was_changed_since_is_not_undone() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let unknown = json!([{"type": "artifact.detach", "artifact_id": Uuid::now_v7()}]);
    let answer = cast.agent.post("/v1/proposals", cast.draft(unknown)).await;
    answer.expect_problem(422, "proposal_artifact_unavailable");
    let elsewhere = cast.app.alice.workspace().await;
    let foreign = cast.app.alice.note(elsewhere, "Foreign", "").await;
    let answer = cast
        .agent
        .post("/v1/proposals", cast.draft(json!([attach(&foreign, "x")])))
        .await;
    answer.expect_problem(422, "proposal_note_unavailable");
    let both = json!([{"type": "artifact.attach", "note_id": id(&note)}]);
    let answer = cast.agent.post("/v1/proposals", cast.draft(both)).await;
    answer.expect_problem(400, "validation_failed");
    let file =
        json!([{"type": "artifact.attach", "note_id": id(&note), "file_id": Uuid::now_v7()}]);
    let refused = cast.agent.post("/v1/proposals", cast.draft(file)).await;
    let refused = refused.expect_problem(422, "proposal_impossible");
    assert_eq!(refused["conflicts"][0]["code"], "artifact_file_unavailable");

    let proposal = cast.propose(json!([attach(&note, "steeping")])).await;
    let applied = approve(&cast.editor, &proposal).await.expect(200);
    let path = format!(
        "/v1/artifacts/{}",
        applied["artifacts"][0]["artifact_id"].as_str().unwrap()
    );
    cast.app
        .alice
        .patch(&path, json!({"name": "brewing"}))
        .await
        .expect(200);
    let revert = format!("{}/revert", at(&proposal));
    let refused = cast.editor.post_empty(&revert).await;
    refused.expect_problem(422, "proposal_artifact_changed");
}
