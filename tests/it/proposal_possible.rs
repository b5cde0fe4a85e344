//! Impossible changes can neither be proposed nor approved as an edit.

use serde_json::{Value, json};

use crate::cast::{Cast, approve, at};
use crate::harness::{Client, id, types};

async fn suggestion(cast: &Cast) -> Value {
    let body = json!({"workspace_id": cast.workspace_id, "title": "Water"});
    let suggested = cast.agent.post("/v1/tasks/suggestions", body).await;
    suggested.expect(201)
}

/// Returns the codes of the conflicts of each action.
async fn codes(cast: &Cast, by: &Client, actions: Value) -> Vec<(Value, Value)> {
    let answer = by.post("/v1/proposals", cast.draft(actions)).await;
    let problem = answer.expect_problem(422, "proposal_impossible");
    let conflicts = problem["conflicts"].as_array().unwrap();
    conflicts
        .iter()
        .map(|conflict| (conflict["action"].clone(), conflict["code"].clone()))
        .collect()
}

#[tokio::test]
async fn every_action_that_would_be_refused_is_named_and_nothing_is_recorded() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let task_id = id(&suggestion(&cast).await);
    let before = cast.app.position().await;
    let found = codes(
        &cast,
        &cast.agent,
        json!([
            {"type": "note.tag", "note_id": id(&note), "add": ["hot"]},
            {"type": "task.complete", "task_id": task_id},
            {"type": "task.move", "task_id": task_id, "after": task_id},
            {"type": "note.archive", "note_id": id(&note)},
            {"type": "note.tag", "note_id": id(&note), "add": ["cold"]},
            {"type": "task.delete", "task_id": task_id},
            {"type": "task.reopen", "task_id": task_id},
        ]),
    )
    .await;
    let expected = [
        (1, "task_not_accepted"),
        (2, "validation_failed"),
        (4, "note_not_active"),
        (6, "task_not_found"),
    ];
    assert_eq!(
        found,
        expected.map(|(action, code)| (json!(action), json!(code)))
    );
    assert_eq!(cast.app.position().await, before);
}

#[tokio::test]
async fn what_has_moved_on_is_still_proposed() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let path = format!("/v1/notes/{}", id(&note));
    let other = json!({"title": "Coffee"});
    cast.app.alice.patch(&path, other).await.expect(200);
    cast.retitle(&note, "Green tea").await;
}

#[tokio::test]
async fn an_edit_that_could_not_be_carried_out_is_refused_and_can_be_mended() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    let path = format!("{}/approve", at(&proposal));
    let task_id = id(&suggestion(&cast).await);
    let approval = json!({
        "actions_hash": proposal["actions_hash"],
        "edited_actions": [{"type": "task.complete", "task_id": task_id}],
    });
    let before = cast.app.alice.head().await;
    let refused = cast.editor.post(&path, approval).await;
    refused.expect_problem(422, "proposal_impossible");
    assert!(
        cast.app
            .alice
            .events(&format!("after={before}"))
            .await
            .is_empty()
    );
    approve(&cast.editor, &proposal).await.expect(200);
    let events = cast.app.alice.events(&format!("after={before}")).await;
    assert_eq!(types(&events)[..2], ["proposal.approved", "note.revised"]);
}
