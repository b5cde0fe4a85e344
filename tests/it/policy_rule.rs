//! The rules of a policy: they approve, forbid and allow actions.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::cast::{Cast, approval, approve, at, preview, retitle};
use crate::harness::{Client, id, pointers, time, types};

/// Returns a rule that covers all actions by name, which is the only way.
fn everything() -> Value {
    json!({"name": "all", "actions": [
        "note.create", "note.revise", "note.tag", "note.archive", "note.link", "note.unlink", "task.create",
        "task.revise", "task.complete", "task.reopen", "task.move", "task.delete", "artifact.attach", "artifact.detach",
    ]})
}

#[tokio::test]
async fn a_rule_that_approves_names_the_actions_that_it_covers() {
    let cast = Cast::assemble().await;
    for rule in [
        json!({"name": "small", "max_characters": 20}),
        json!({"name": "small", "max_characters": 20, "actions": []}),
    ] {
        let policy = json!({"automatic": [rule]});
        let answer = cast.app.alice.put(&cast.policy_path(), policy).await;
        let problem = answer.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&problem), ["/automatic/0/actions"]);
    }
    let note = cast.note("Tea").await;
    let task = json!({"workspace_id": cast.workspace_id, "title": "Buy tea"});
    let task = cast.app.alice.post("/v1/tasks", task).await.expect(201);
    let rule = json!({"name": "small", "max_characters": 20, "actions": ["note.tag"]});
    cast.policy(json!({"automatic": [rule]})).await;
    let tag = json!({"type": "note.tag", "note_id": id(&note), "add": ["a"]});
    // None of them changes any text.
    for action in [
        json!({"type": "note.archive", "note_id": id(&note)}),
        json!({"type": "task.delete", "task_id": id(&task)}),
        json!({"type": "task.complete", "task_id": id(&task)}),
    ] {
        let proposal = cast.propose(json!([tag, action])).await;
        assert_eq!(proposal["status"], "pending", "{action}");
    }
    assert_eq!(cast.propose(json!([tag])).await["status"], "applied");
}

#[tokio::test]
async fn proposals_wait_as_long_as_the_policy_says() {
    let cast = Cast::assemble().await;
    cast.policy(json!({"expires_after": {"default_seconds": 3600, "max_seconds": 7200}}))
        .await;
    let actions = json!([{"type": "note.create", "title": "X", "body": ""}]);
    let before = Utc::now();
    let proposal = cast.propose(actions.clone()).await;
    let wait = time(&proposal["expires_at"]) - before;
    assert!(
        (TimeDelta::minutes(59)..TimeDelta::minutes(61)).contains(&wait),
        "{wait}"
    );
    let mut draft = cast.draft(actions);
    draft["expires_at"] = json!(Utc::now() + TimeDelta::hours(3));
    let late = cast.agent.post("/v1/proposals", draft.clone()).await;
    late.expect_problem(422, "policy_expiry_too_late");
    draft["expires_at"] = json!(Utc::now() + TimeDelta::hours(1));
    cast.agent.post("/v1/proposals", draft).await.expect(201);
}

#[tokio::test]
async fn a_rule_approves_at_once_in_the_name_of_who_has_set_it() {
    let cast = Cast::assemble().await;
    let rule = json!({"name": "small tags", "proposers": [cast.agent.actor_id], "actions": ["note.tag", "note.revise"], "max_actions": 2, "max_characters": 20});
    cast.policy(json!({"automatic": [rule]})).await;
    let note = cast.note("Tea").await;
    let tag = |tag: &str| json!({"type": "note.tag", "note_id": id(&note), "add": [tag]});
    let before = cast.app.alice.head().await;
    let applied = cast.submit(json!([tag("green"), tag("hot")])).await;
    assert_eq!(applied.header("etag"), "\"3\"");
    let applied = applied.expect(201);
    let alice = json!({"kind": "person", "id": cast.app.alice.actor_id});
    assert_eq!(
        (&applied["status"], &applied["decided_by"]),
        (&json!("applied"), &alice)
    );
    assert_eq!(
        applied["approvals"][0]["by_rule"],
        json!({"name": "small tags", "set_by": alice})
    );
    assert_eq!(cast.now(&note).await["tags"], json!(["green", "hot"]));
    let events = cast.app.alice.events(&format!("after={before}")).await;
    assert_eq!(
        types(&events),
        [
            "proposal.submitted",
            "proposal.approved",
            "note.tagged",
            "note.tagged",
            "proposal.applied"
        ]
    );
    assert_eq!(
        events[2]["metadata"]["actor"]["id"],
        json!(cast.agent.actor_id)
    );
    assert_eq!(events[2]["metadata"]["on_behalf_of"], alice);
    assert_eq!(events[2]["metadata"]["causation_id"], events[1]["event_id"]);

    let long = "x".repeat(30);
    for (by, actions) in [
        (&cast.agent, json!([tag("a"), tag("b"), tag("c")])),
        (
            &cast.agent,
            json!([tag("a"), {"type": "note.archive", "note_id": id(&note)}]),
        ),
        (&cast.agent, json!([tag(&long)])),
        (&cast.editor, json!([tag("a")])),
    ] {
        assert_eq!(cast.propose_as(by, actions).await["status"], "pending");
    }
    // A dry run shows all effects, and has none.
    let dry = cast
        .agent
        .post(
            "/v1/proposals?dry_run=true",
            cast.draft(json!([tag("dry")])),
        )
        .await;
    let dry = dry.expect(200);
    assert_eq!(
        types(dry["events"].as_array().unwrap()),
        [
            "proposal.submitted",
            "proposal.approved",
            "note.tagged",
            "proposal.applied"
        ]
    );
    assert_eq!(cast.now(&note).await["tags"], json!(["green", "hot"]));
}

#[tokio::test]
async fn what_stands_in_the_way_of_a_rule_leaves_the_proposal_to_people() {
    let cast = Cast::assemble().await;
    cast.policy(json!({"automatic": [everything()]})).await;
    let note = cast.note("Tea").await;
    let path = format!("/v1/notes/{}", id(&note));
    cast.app
        .alice
        .patch(&path, json!({"title": "Black tea"}))
        .await
        .expect(200);
    let conflict = cast
        .submit(
            json!([{"type": "note.create", "title": "X", "body": ""}, retitle(&note, "Green tea")]),
        )
        .await;
    let conflict = conflict.expect(201);
    assert_eq!(
        (&conflict["status"], &conflict["version"]),
        (&json!("pending"), &json!(1))
    );
    assert_eq!(preview(&cast.agent, &conflict).await["applies"], false);
    assert_eq!(cast.app.alice.ids("/v1/notes").await.len(), 1);

    // A rule holds as long as the actor who set it may perform its actions.
    let owner = cast.person("owner").await;
    owner
        .put(&cast.policy_path(), json!({"automatic": [everything()]}))
        .await
        .expect(200);
    let new = json!([{"type": "note.create", "title": "Y", "body": ""}]);
    assert_eq!(cast.propose(new.clone()).await["status"], "applied");
    cast.app
        .alice
        .admit(cast.workspace_id, &owner, "viewer")
        .await;
    let pending = cast.propose(new).await;
    assert_eq!(pending["status"], "pending");
    assert_eq!(
        approve(&cast.editor, &pending).await.expect(200)["status"],
        "applied"
    );
}

#[tokio::test]
async fn what_is_forbidden_is_refused_by_its_name_and_again_at_the_approval() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let archive = json!([{"type": "note.archive", "note_id": id(&note)}]);
    let earlier = cast.propose(archive.clone()).await;
    cast.policy(json!({
        "automatic": [everything()],
        "forbidden": [
            {"name": "no archiving", "actions": ["note.archive"]},
            {"name": "small steps", "proposers": [cast.agent.actor_id], "above_characters": 50},
            {"name": "few actions", "above_actions": 2},
        ],
    }))
    .await;
    let tag = json!({"type": "note.tag", "note_id": id(&note), "add": ["a"]});
    let long = json!({"type": "note.create", "title": "X", "body": "x".repeat(50)});
    let before = cast.app.position().await;
    for (actions, rule) in [
        (archive.clone(), "no archiving"),
        (json!([tag, archive[0]]), "no archiving"),
        (json!([long]), "small steps"),
        (json!([tag, tag, tag]), "few actions"),
    ] {
        let problem = cast
            .submit(actions)
            .await
            .expect_problem(422, "policy_forbidden");
        assert!(
            problem["detail"].as_str().unwrap().contains(rule),
            "{problem:#}"
        );
    }
    assert_eq!(cast.app.position().await, before);
    // The limit applies only to the agent, and rewriting a line is within it.
    assert_eq!(
        cast.propose_as(&cast.editor, json!([long])).await["status"],
        "applied"
    );
    let shown = preview(&cast.agent, &earlier).await;
    assert_eq!(
        (&shown["applies"], &shown["refusal"]["code"]),
        (&json!(false), &json!("policy_forbidden"))
    );
    let late = approve(&cast.editor, &earlier).await;
    late.expect_problem(422, "policy_forbidden");
    let mut edit = approval(&earlier);
    edit["edited_actions"] = json!([tag]);
    let path = format!("{}/approve", at(&earlier));
    assert_eq!(
        cast.editor.post(&path, edit).await.expect(200)["status"],
        "applied"
    );
}

#[tokio::test]
async fn a_policy_may_refuse_merges() {
    let cast = Cast::assemble().await;
    cast.policy(json!({"merge": "refused"})).await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    let path = format!("/v1/notes/{}", id(&note));
    cast.app
        .alice
        .patch(&path, json!({"body": "x"}))
        .await
        .expect(200);
    assert_eq!(preview(&cast.agent, &proposal).await["applies"], false);
    let failed = approve(&cast.editor, &proposal).await.expect(200);
    assert_eq!(
        failed["conflicts"][0]["reason"],
        "it has moved on, and the workspace's policy allows no merges"
    );
}

#[tokio::test]
async fn of_a_suspended_agent_nothing_is_approved() {
    let cast = Cast::assemble().await;
    cast.policy(json!({"automatic": [everything()]})).await;
    let body = json!({"name": "scribe"});
    let agent = cast.app.alice.post("/v1/agents", body).await.expect(201);
    let key = Client::new(&cast.app.alice.url, agent["key"].as_str().unwrap());
    let member = format!(
        "/v1/workspaces/{}/members/{}",
        cast.workspace_id,
        id(&agent)
    );
    cast.app
        .alice
        .put(&member, json!({"role": "agent"}))
        .await
        .expect(200);
    let new = cast.draft(json!([{"type": "note.create", "title": "Y", "body": ""}]));
    let applied = key.post("/v1/proposals", new.clone()).await.expect(201);
    assert_eq!(applied["status"], "applied");
    cast.policy(json!({})).await;
    let pending = key.post("/v1/proposals", new.clone()).await.expect(201);
    let suspend = format!("/v1/agents/{}/suspend", id(&agent));
    cast.app
        .alice
        .post(&suspend, json!({"reason": "odd"}))
        .await
        .expect(200);
    cast.policy(json!({"automatic": [everything()]})).await;
    key.post("/v1/proposals", new)
        .await
        .expect_problem(401, "unauthorized");
    let shown = preview(&cast.editor, &pending).await;
    assert_eq!(shown["refusal"]["code"], "proposal_held");
    let held = approve(&cast.editor, &pending).await;
    held.expect_problem(422, "proposal_held");
}
