//! Other ends of proposals: superseded, expired, reverted.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cast::{Cast, approve, at, recorded, retitle};
use crate::harness::{Answer, Client, OwnApp, eventually, id, pointers, types};

#[tokio::test]
async fn a_newer_proposal_takes_the_place_of_an_earlier_one_in_the_same_append() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let earlier = cast.retitle(&note, "Green tea").await;
    let mut draft = cast.draft(json!([retitle(&note, "Sencha")]));
    draft["supersedes"] = earlier["id"].clone();
    let newer = cast.agent.post("/v1/proposals", draft.clone()).await;
    let newer = newer.expect(201);
    assert_eq!(newer["supersedes"], earlier["id"]);

    let superseded = recorded(&cast.agent, &earlier).await;
    assert_eq!(superseded["status"], "superseded");
    assert_eq!(superseded["superseded_by"], newer["id"]);
    let late = approve(&cast.editor, &earlier).await;
    late.expect_problem(409, "proposal_not_pending");
    let found = "/v1/proposals?status=superseded";
    assert_eq!(cast.editor.ids(found).await, [id(&earlier)]);

    // A proposal is superseded only once, and a refusal has no effect.
    let again = cast.agent.post("/v1/proposals", draft).await;
    again.expect_problem(409, "proposal_not_pending");
    assert_eq!(
        cast.agent.ids("/v1/proposals?status=pending").await,
        [id(&newer)]
    );
    let applied = approve(&cast.editor, &newer).await.expect(200);
    assert_eq!(applied["status"], "applied");
    assert_eq!(cast.now(&note).await["title"], "Sencha");
}

#[tokio::test]
async fn nobody_supersedes_what_another_has_proposed_or_what_is_elsewhere() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let actions = json!([retitle(&note, "Green tea")]);
    let theirs = cast.propose_as(&cast.app.alice, actions.clone()).await;
    let elsewhere = cast.app.alice.workspace().await;
    cast.app.alice.admit(elsewhere, &cast.agent, "agent").await;
    let create = json!([{"type": "note.create", "title": "Coffee", "body": "", "tags": []}]);
    let mut draft = cast.draft(create);
    draft["workspace_id"] = json!(elsewhere);
    let own = cast.agent.post("/v1/proposals", draft).await.expect(201);
    let supersede = async |earlier: Value| {
        let mut draft = cast.draft(actions.clone());
        draft["supersedes"] = earlier;
        cast.agent.post("/v1/proposals", draft).await
    };
    let refused = supersede(theirs["id"].clone()).await;
    refused.expect_problem(403, "proposal_not_proposer");
    for nothing in [own["id"].clone(), json!(Uuid::now_v7())] {
        let refused = supersede(nothing).await;
        refused.expect_problem(404, "proposal_not_found");
    }
    let pending = cast.app.alice.ids("/v1/proposals?status=pending").await;
    assert_eq!(pending, [id(&own), id(&theirs)]);
}

async fn revert(by: &Client, proposal: &Value) -> Answer {
    let path = format!("{}/revert", at(proposal));
    by.post(&path, json!({"reason": "it was right before"}))
        .await
}

#[tokio::test]
async fn an_applied_proposal_is_undone_note_by_note_in_one_append() {
    let cast = Cast::assemble().await;
    let (note, other) = (cast.note("Tea").await, cast.note("Old").await);
    let proposal = cast
        .propose(json!([
            retitle(&note, "Green tea"),
            {"type": "note.tag", "note_id": id(&note), "add": ["green"], "remove": []},
            {"type": "note.link", "note_id": id(&note), "target_id": id(&other), "relation": "replaces"},
            {"type": "note.archive", "note_id": id(&other)},
            {"type": "note.create", "title": "Coffee", "body": "", "tags": []},
        ]))
        .await;
    revert(&cast.editor, &proposal)
        .await
        .expect_problem(409, "proposal_not_applied");
    let applied = approve(&cast.editor, &proposal).await.expect(200);
    let new = &applied["notes"][4];
    assert_eq!(new["base_version"], 0);
    revert(&cast.agent, &proposal)
        .await
        .expect_problem(403, "agent_not_allowed");

    let before = cast.app.alice.head().await;
    let reverted = revert(&cast.editor, &proposal).await.expect(200);
    assert_eq!(reverted["status"], "reverted");
    assert_eq!(reverted["reason"], "it was right before");
    assert_eq!(reverted["reverted_by"]["id"], json!(cast.editor.actor_id));
    assert_eq!(reverted["decided_by"], applied["decided_by"]);
    for was in [&note, &other] {
        let now = cast.now(was).await;
        for field in ["title", "body", "tags", "links", "status"] {
            assert_eq!(now[field], was[field]);
        }
    }
    let new = json!({"id": new["note_id"]});
    assert_eq!(cast.now(&new).await["status"], "trashed");
    let events = cast.app.alice.events(&format!("after={before}")).await;
    let cause = &events[0]["event_id"];
    assert_eq!(events[0]["type"], "proposal.reverted");
    assert!(events.len() > 3);
    for event in &events[1..] {
        assert_eq!(&event["metadata"]["causation_id"], cause);
        assert_eq!(event["metadata"]["reason"], "it was right before");
    }
    revert(&cast.editor, &proposal)
        .await
        .expect_problem(409, "proposal_not_applied");
}

#[tokio::test]
async fn what_others_have_built_on_is_not_undone() {
    let cast = Cast::assemble().await;
    let (note, other) = (cast.note("Tea").await, cast.note("Coffee").await);
    let proposal = cast
        .propose(json!([
            retitle(&note, "Green tea"),
            retitle(&other, "Espresso")
        ]))
        .await;
    approve(&cast.editor, &proposal).await.expect(200);
    let path = format!("/v1/notes/{}", id(&other));
    let edit = json!({"body": "Grind it.\n"});
    cast.app.alice.patch(&path, edit).await.expect(200);
    let refused = revert(&cast.editor, &proposal).await;
    let problem = refused.expect_problem(422, "proposal_later_edits");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&id(&other).to_string()), "{detail}");
    assert_eq!(cast.now(&note).await["title"], "Green tea");
}

#[tokio::test]
async fn an_undecided_proposal_expires() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let submit = async |expires_at: DateTime<Utc>| {
        let mut draft = cast.draft(json!([retitle(&note, "Green tea")]));
        draft["expires_at"] = json!(expires_at);
        cast.agent.post("/v1/proposals", draft).await
    };
    for impossible in [
        Utc::now() - TimeDelta::seconds(1),
        Utc::now() + TimeDelta::days(400),
    ] {
        let problem = submit(impossible).await;
        let problem = problem.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&problem), ["/expires_at"]);
    }
    let proposal = submit(Utc::now() + TimeDelta::seconds(1)).await.expect(201);
    let expired = eventually(async || {
        let found = recorded(&cast.agent, &proposal).await;
        (found["status"] != "pending").then_some(found)
    })
    .await;
    assert_eq!(expired["status"], "expired");
    approve(&cast.editor, &proposal)
        .await
        .expect_problem(409, "proposal_not_pending");
    let events = cast
        .app
        .alice
        .events(&format!("stream=proposal-{}", id(&proposal)))
        .await;
    assert_eq!(types(&events), ["proposal.submitted", "proposal.expired"]);
    let metadata = &events[1]["metadata"];
    assert_eq!(
        metadata["actor"],
        json!({"kind": "service", "id": Uuid::nil()})
    );
    assert_eq!(metadata["causation_id"], events[0]["event_id"]);
    assert_eq!(
        metadata["correlation_id"],
        events[0]["metadata"]["correlation_id"]
    );
    assert!(expired["decided_at"].as_str() >= expired["expires_at"].as_str());
    assert_eq!(cast.now(&note).await, note);
}

#[tokio::test]
async fn after_its_deadline_a_proposal_is_not_approved_even_while_jobs_are_held_up() {
    let app = OwnApp::start().await;
    let cast = Cast::on(app.clone()).await;
    let note = cast.note("Tea").await;
    let mut sql = app.sql().await;
    let hold = sql.transaction().await.unwrap();
    hold.batch_execute("lock table log.jobs in exclusive mode")
        .await
        .unwrap();
    let deadline = Utc::now() + TimeDelta::seconds(1);
    let mut draft = cast.draft(json!([retitle(&note, "Green tea")]));
    draft["expires_at"] = json!(deadline);
    let proposal = cast.agent.post("/v1/proposals", draft).await.expect(201);
    eventually(async || (Utc::now() > deadline).then_some(())).await;
    let late = approve(&cast.editor, &proposal).await;
    late.expect_problem(422, "proposal_expired");
    let still = recorded(&cast.agent, &proposal).await;
    assert_eq!(still["status"], "pending");
    hold.rollback().await.unwrap();
    eventually(async || {
        let found = recorded(&cast.agent, &proposal).await;
        (found["status"] == "expired").then_some(())
    })
    .await;
}
