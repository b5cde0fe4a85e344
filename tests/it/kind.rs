//! The kind of an actor limits them, whatever the scopes of their keys and their roles: an agent reads and proposes.

use serde_json::json;

use crate::harness::{TestApp, id};
use crate::world::World;

/// The commands that agents may use; all others are refused.
const OF_AGENTS: [&str; 4] = [
    "POST /v1/proposals",
    "POST /v1/proposals/{id}/rebase",
    "POST /v1/proposals/{id}/withdraw",
    "POST /v1/tasks/suggestions",
];

#[tokio::test]
async fn an_agent_with_every_scope_may_propose_and_issue_no_other_command() {
    let world = World::start().await;
    let mut refused = 0;
    for operation in world.document.guarded() {
        if operation.is_read() || OF_AGENTS.contains(&operation.name().as_str()) {
            continue;
        }
        let path = world.path(&operation).await;
        world.prepare(&operation, &path).await;
        let answer = world.call(&world.agent, &operation, &path).await;
        let code = answer.body["code"].as_str().unwrap_or_default();
        let expected = match operation.path.as_str() {
            "/v1/jobs/{id}/redrive" => "operator_only",
            _ => "agent_not_allowed",
        };
        assert_eq!(code, expected, "{}: {:#}", operation.name(), answer.body);
        refused += 1;
    }
    assert!(refused > 40, "{refused}");
    // The agent only made the proposals that the other operations needed.
    let of_agent = format!("actor={}", world.agent.actor_id);
    for event in world.app.operator.events(&of_agent).await {
        let done = event["type"].as_str().unwrap();
        assert!(
            ["proposal.submitted", "tool_call.recorded"].contains(&done),
            "{event:#}"
        );
    }
}

#[tokio::test]
async fn an_agent_among_the_editors_still_only_proposes() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let agent = app.actor("agent", &["*"]).await;
    app.alice.admit(workspace_id, &agent, "editor").await;
    let note = app.alice.note(workspace_id, "Tea", "").await;
    let path = format!("/v1/notes/{}", id(&note));
    let revision = json!({"title": "Mine"});
    let written = agent.patch(&path, revision).await;
    written.expect_problem(403, "agent_not_allowed");
    for kind in ["person", "service", "agent"] {
        let key = json!({"name": "mine", "actor": {"kind": kind}, "scopes": ["*"]});
        let minted = agent.post("/v1/api-keys", key).await;
        minted.expect_problem(403, "agent_not_allowed");
    }
    let draft = json!({"workspace_id": workspace_id, "rationale": "be precise",
        "actions": [{"type": "note.revise", "note_id": id(&note), "base_version": 1, "title": "Green tea"}]});
    let proposal = agent.post("/v1/proposals", draft).await.expect(201);
    assert_eq!(proposal["status"], "pending");
}

#[tokio::test]
async fn an_agent_owns_no_workspace() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let agent = app.actor("agent", &["*"]).await;
    let member = format!("/v1/workspaces/{workspace_id}/members/{}", agent.actor_id);
    let owner = app.alice.put(&member, json!({"role": "owner"})).await;
    owner.expect_problem(422, "workspace_agent_owner");
    app.alice.admit(workspace_id, &agent, "agent").await;
}

#[tokio::test]
async fn an_agent_of_the_operator_drives_no_work() {
    let app = TestApp::start().await;
    let operator = app
        .operator
        .actor(crate::harness::OPERATOR, "agent", &["*"]);
    let redrive = format!("/v1/jobs/{}/redrive", uuid::Uuid::now_v7());
    let answer = operator.await.post_empty(&redrive).await;
    answer.expect_problem(403, "agent_not_allowed");
}
