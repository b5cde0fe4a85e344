//! Proposals that are rebased onto the current state.

use serde_json::{Value, json};

use crate::cast::{Cast, approve, at, recorded, reject, retitle};
use crate::harness::{Answer, Client, id, types};

async fn rebase(by: &Client, proposal: &Value, body: Value) -> Answer {
    by.post(&format!("{}/rebase", at(proposal)), body).await
}

impl Cast {
    async fn revise(&self, note: &Value, change: Value) -> Value {
        let path = format!("/v1/notes/{}", id(note));
        self.app.alice.patch(&path, change).await.expect(200)
    }
}

#[tokio::test]
async fn a_pending_one_is_carried_over_and_superseded_in_one_append() {
    let cast = Cast::assemble().await;
    let note = cast
        .app
        .alice
        .note(cast.workspace_id, "Tea", "a\nb\nc\n")
        .await;
    let actions = json!([
        {"type": "note.revise", "note_id": id(&note), "base_version": 1, "body": "a\nb\nC\n"},
        {"type": "note.create", "title": "Coffee", "body": ""},
    ]);
    let old = cast.propose(actions).await;
    cast.revise(&note, json!({"body": "A\nb\nc\n"})).await;
    let before = cast.app.alice.head().await;
    let new = rebase(&cast.agent, &old, json!({"rationale": "still precise"}))
        .await
        .expect(201);
    assert_eq!(
        new["actions"],
        json!([
            {"type": "note.revise", "note_id": id(&note), "base_version": 2, "body": "A\nb\nC\n"},
            {"type": "note.create", "title": "Coffee", "body": "", "tags": []},
        ])
    );
    for (field, value) in [
        ("status", json!("pending")),
        ("rationale", json!("still precise")),
        ("supersedes", json!(id(&old))),
        ("rebased_from", json!(id(&old))),
    ] {
        assert_eq!(new[field], value, "{field}");
    }
    let events = cast.app.alice.events(&format!("after={before}")).await;
    assert_eq!(
        types(&events),
        ["proposal.submitted", "proposal.superseded"]
    );
    assert_eq!(
        recorded(&cast.agent, &old).await["superseded_by"],
        json!(id(&new))
    );
    let applied = approve(&cast.editor, &new).await.expect(200);
    assert_eq!(
        applied["notes"][0].get("merged"),
        None,
        "it was written for what there is"
    );
    assert_eq!(cast.now(&note).await["body"], "A\nb\nC\n");
    rebase(&cast.agent, &old, json!({}))
        .await
        .expect_problem(409, "proposal_not_rebasable");
    rebase(&cast.agent, &new, json!({}))
        .await
        .expect_problem(409, "proposal_not_rebasable");
}

#[tokio::test]
async fn what_cannot_be_carried_over_is_refused_with_the_places_unless_it_is_resolved() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let old = cast.retitle(&note, "Green tea").await;
    cast.revise(&note, json!({"title": "Black tea"})).await;
    let failed = approve(&cast.editor, &old).await.expect(200);
    assert_eq!(failed["status"], "failed");

    let problem = rebase(&cast.agent, &old, json!({})).await;
    let problem = problem.expect_problem(409, "proposal_rebase_conflict");
    assert_eq!(problem["conflicts"], failed["conflicts"]);
    let hunk = &problem["conflicts"][0]["hunks"][0];
    assert_eq!(
        (
            &hunk["base"]["text"],
            &hunk["current"]["text"],
            &hunk["proposed"]["text"]
        ),
        (&json!("Tea"), &json!("Black tea"), &json!("Green tea"))
    );
    let now = cast.now(&note).await;
    let resolved = json!({"actions": [retitle(&now, "Black and green tea")]});
    let new = rebase(&cast.agent, &old, resolved).await.expect(201);
    assert_eq!(
        (&new["supersedes"], &new["rebased_from"]),
        (&Value::Null, &json!(id(&old)))
    );
    assert_eq!(recorded(&cast.agent, &old).await, failed);
    approve(&cast.editor, &new).await.expect(200);
    assert_eq!(cast.now(&note).await["title"], "Black and green tea");
}

#[tokio::test]
async fn only_its_proposer_rebases_it_and_only_while_that_may_come_of_it() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    let other = rebase(&cast.editor, &proposal, json!({})).await;
    other.expect_problem(403, "proposal_not_proposer");
    let stranger = cast.app.stranger().await;
    let stranger = rebase(&stranger, &proposal, json!({})).await;
    stranger.expect_problem(404, "proposal_not_found");
    let outsider = cast.app.actor("agent", &["*"]).await;
    let outsider = rebase(&outsider, &proposal, json!({})).await;
    outsider.expect_problem(404, "workspace_not_found");
    let bad = rebase(&cast.agent, &proposal, json!({"actions": []})).await;
    bad.expect_problem(400, "validation_failed");
    let path = format!("{}/rebase?dry_run=true", at(&proposal));
    let dry = cast.agent.post(&path, json!({})).await.expect(200);
    let planned = dry["events"].as_array().unwrap();
    assert_eq!(
        types(planned),
        ["proposal.submitted", "proposal.superseded"]
    );
    reject(&cast.editor, &proposal).await.expect(200);
    let late = rebase(&cast.agent, &proposal, json!({})).await;
    late.expect_problem(409, "proposal_not_rebasable");
}
