//! Scopes and kinds are checked before anything else.

use domain::agents::tool_call::{Call, ToolCall, ToolCallCommand};

use super::super::*;
use crate::testing::{AGENT, LAB, Node, PERSON, create, refused, rename, request, request_of};

fn with_scopes(scopes: &[&str]) -> Request {
    let scopes = scopes.iter().map(ToString::to_string).collect();
    Request {
        scopes: Arc::new(scopes),
        ..request()
    }
}

#[tokio::test]
async fn a_command_needs_the_write_scope_of_its_context() {
    let node = Node::start();
    for scopes in [
        &[][..],
        &["workspaces:read", "notes:write"],
        &["audit:read"],
    ] {
        let result = node.run_as(&with_scopes(scopes), &create(LAB, "Lab")).await;
        assert_eq!(refused(result), r#"ScopeMissing("workspaces:write")"#);
    }
    assert_eq!(node.log().await, []);

    let allowed = with_scopes(&["workspaces:write"]);
    node.run_as(&allowed, &create(LAB, "Lab")).await.unwrap();
}

#[tokio::test]
async fn an_agent_issues_no_command_that_is_not_for_agents() {
    let node = Node::start();
    let result = node.run_as(&request_of(AGENT), &create(LAB, "Lab")).await;
    assert_eq!(refused(result), "AgentNotAllowed");
    assert_eq!(node.log().await, []);
}

#[tokio::test]
async fn an_agent_issues_a_command_that_its_aggregate_allows() {
    let node = Node::start();
    let call = Call {
        tool: "read_note".into(),
        arguments_sha256: "00".into(),
        outcome: "ok".into(),
        protocol_version: "2026-07-28".into(),
        run_id: None,
        workspace_id: None,
        note_id: None,
        proposal_id: None,
        duration_ms: None,
    };
    let record = On::<ToolCall> {
        id: Uuid::from_u128(20),
        command: ToolCallCommand::Record(call),
    };
    let done = node.run_as(&request_of(AGENT), &record).await.unwrap();
    assert_eq!((done.version, done.events[0].metadata.actor), (1, AGENT));
}

#[tokio::test]
async fn a_repetition_without_the_scope_gets_no_result() {
    let node = Node::start();
    let first = request().with_key("key", 1);
    node.run_as(&first, &create(LAB, "Lab")).await.unwrap();

    let again = with_scopes(&["notes:write"]).with_key("key", 1);
    let result = node.run_as(&again, &create(LAB, "Lab")).await;
    assert_eq!(refused(result), r#"ScopeMissing("workspaces:write")"#);
}

#[tokio::test]
async fn a_credential_is_known_by_the_last_position_that_it_wrote() {
    let node = Node::with_lab().await.another();
    assert_eq!(node.executor.written_by(PERSON.id), -1);

    let keyed = request().with_key("key", 1);
    node.run_as(&keyed, &rename(LAB, "Attic")).await.unwrap();
    assert_eq!(node.executor.written_by(PERSON.id), 2);

    // Another node answers a repetition with the first position.
    let other = node.another();
    other.run_as(&keyed, &rename(LAB, "Attic")).await.unwrap();
    assert_eq!(other.executor.written_by(PERSON.id), 2);
}
