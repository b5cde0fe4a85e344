//! Decisions on proposals: by which actors, and with which results.

use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::cast::{Cast, approval, approve, at, recorded, reject, retitle, withdraw};
use crate::harness::{Answer, Client, OwnApp, id, pointers, types};

#[tokio::test]
async fn an_approval_of_something_else_is_refused() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let (proposal, other) = (
        cast.retitle(&note, "Green tea").await,
        cast.retitle(&note, "Black tea").await,
    );
    let path = format!("{}/approve", at(&proposal));
    for hash in [
        other["actions_hash"].clone(),
        json!(""),
        json!("0".repeat(64)),
    ] {
        let answer = cast.editor.post(&path, json!({"actions_hash": hash})).await;
        answer.expect_problem(409, "proposal_hash_mismatch");
    }
    let hashless = cast.editor.post_empty(&path).await;
    hashless.expect_problem(400, "validation_failed");
    assert_eq!(recorded(&cast.agent, &proposal).await, proposal);
    assert_eq!(cast.now(&note).await, note);
}

#[tokio::test]
async fn nobody_approves_their_own_proposal() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let alice = &cast.app.alice;
    let actions = json!([retitle(&note, "Green tea")]);
    let proposal = cast.propose_as(alice, actions).await;
    let own = approve(alice, &proposal).await;
    own.expect_problem(422, "proposal_self_approval");
    assert_eq!(cast.now(&note).await, note);
    let applied = approve(&cast.editor, &proposal).await.expect(200);
    assert_eq!(applied["status"], "applied");
}

#[tokio::test]
async fn programs_decide_nothing_whatever_their_role() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    for (kind, role, status, code) in [
        ("agent", "editor", 403, "agent_not_allowed"),
        ("service", "owner", 422, "proposal_needs_person"),
    ] {
        let program = cast.app.actor(kind, &["*"]).await;
        cast.app
            .alice
            .admit(cast.workspace_id, &program, role)
            .await;
        for answer in [
            approve(&program, &proposal).await,
            reject(&program, &proposal).await,
        ] {
            answer.expect_problem(status, code);
        }
    }
    assert_eq!(recorded(&cast.agent, &proposal).await, proposal);
    assert_eq!(cast.now(&note).await, note);
    let applied = approve(&cast.editor, &proposal).await.expect(200);
    assert_eq!(applied["status"], "applied");
}

#[tokio::test]
async fn whoever_proposed_it_withdraws_it_rather_than_rejecting_it() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let alice = &cast.app.alice;
    let actions = json!([retitle(&note, "Green tea")]);
    let proposal = cast.propose_as(alice, actions).await;
    let own = reject(alice, &proposal).await;
    own.expect_problem(422, "proposal_self_rejection");
    let withdrawn = withdraw(alice, &proposal).await.expect(200);
    assert_eq!(withdrawn["status"], "withdrawn");
}

#[tokio::test]
async fn an_approver_may_edit_the_actions_first() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "GREEN TEA!!!").await;
    let path = format!("{}/approve", at(&proposal));
    let edited = json!([retitle(&note, "Green tea"), {"type": "note.create", "title": "Coffee", "body": "", "tags": []}]);
    let mut body = approval(&proposal);
    for (actions, named) in [
        (json!([]), vec!["/edited_actions"]),
        (
            json!([retitle(&note, &"x".repeat(501)), {"type": "note.tag", "note_id": id(&note)}]),
            vec!["/edited_actions/0/title", "/edited_actions/1"],
        ),
    ] {
        body["edited_actions"] = actions;
        let problem = cast.editor.post(&path, body.clone()).await;
        let problem = problem.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&problem), named);
    }
    body["edited_actions"] = edited.clone();
    let applied = cast.editor.post(&path, body).await.expect(200);
    assert_eq!(applied["status"], "applied");
    assert_eq!(applied["actions"], proposal["actions"]);
    assert_eq!(applied["actions_hash"], proposal["actions_hash"]);
    assert_eq!(applied["edited_actions"], edited);
    assert_eq!(recorded(&cast.agent, &proposal).await, applied);
    assert_eq!(cast.now(&note).await["title"], "Green tea");
    assert_eq!(cast.app.alice.ids("/v1/notes").await.len(), 2);
}

#[tokio::test]
async fn a_proposal_is_rejected_with_a_reason() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    let path = format!("{}/reject", at(&proposal));
    for reasonless in [json!({}), json!({"reason": ""})] {
        let problem = cast.editor.post(&path, reasonless).await;
        let problem = problem.expect_problem(400, "validation_failed");
        assert_eq!(problem["errors"].as_array().unwrap().len(), 1);
    }
    let body = json!({"reason": "it is black"});
    let rejected = cast.editor.post(&path, body).await.expect(200);
    assert_eq!(
        (&rejected["status"], &rejected["reason"]),
        (&json!("rejected"), &json!("it is black"))
    );
    assert_eq!(rejected["decided_by"]["id"], json!(cast.editor.actor_id));
    assert_eq!(recorded(&cast.agent, &proposal).await, rejected);
    assert_eq!(cast.now(&note).await, note);
}

#[tokio::test]
async fn only_its_proposer_withdraws_a_proposal() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    let others = withdraw(&cast.editor, &proposal).await;
    others.expect_problem(403, "proposal_not_proposer");
    let withdrawn = withdraw(&cast.agent, &proposal).await.expect(200);
    assert_eq!(withdrawn["status"], "withdrawn");
    assert_eq!(recorded(&cast.editor, &proposal).await, withdrawn);
    assert_eq!(cast.now(&note).await, note);
}

#[tokio::test]
async fn a_proposal_is_decided_once() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    for decide in ["approve", "reject", "withdraw"] {
        let proposal = cast
            .propose(json!([{"type": "note.tag", "note_id": id(&note), "add": [decide]}]))
            .await;
        let decided = match decide {
            "approve" => approve(&cast.editor, &proposal).await,
            "reject" => reject(&cast.editor, &proposal).await,
            _ => withdraw(&cast.agent, &proposal).await,
        };
        let decided = decided.expect(200);
        for late in [
            approve(&cast.app.alice, &proposal).await,
            reject(&cast.app.alice, &proposal).await,
            withdraw(&cast.agent, &proposal).await,
        ] {
            late.expect_problem(409, "proposal_not_pending");
        }
        assert_eq!(recorded(&cast.agent, &proposal).await, decided);
    }
    assert_eq!(cast.now(&note).await["tags"], json!(["approve"]));
    let unknown = json!({"id": Uuid::now_v7(), "actions_hash": ""});
    cast.agent
        .get(&at(&unknown))
        .await
        .expect_problem(404, "not_found");
    for answer in [
        approve(&cast.editor, &unknown).await,
        reject(&cast.editor, &unknown).await,
        withdraw(&cast.agent, &unknown).await,
    ] {
        answer.expect_problem(404, "proposal_not_found");
    }
}

#[tokio::test]
async fn of_many_who_decide_at_the_same_time_one_does() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    for round in 0..10 {
        let proposal = cast
            .propose(
                json!([{"type": "note.tag", "note_id": id(&note), "add": [round.to_string()]}]),
            )
            .await;
        let answers = tokio::join!(
            approve(&cast.editor, &proposal),
            approve(&cast.app.alice, &proposal),
            reject(&cast.app.alice, &proposal),
            withdraw(&cast.agent, &proposal),
        );
        let (decided, refused): (Vec<Answer>, Vec<Answer>) =
            Vec::from(<[Answer; 4]>::from(answers))
                .into_iter()
                .partition(|answer| answer.status == 200);
        assert_eq!(decided.len(), 1);
        for answer in refused {
            answer.expect_problem(409, "proposal_not_pending");
        }
        let found = recorded(&cast.agent, &proposal).await;
        assert_eq!(found, decided[0].body);
        let tagged = cast.now(&note).await["tags"]
            .to_string()
            .contains(&round.to_string());
        assert_eq!(tagged, found["status"] == "applied");
    }
}

#[tokio::test]
async fn roles_say_who_proposes_and_who_decides() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let actions = json!([retitle(&note, "Green tea")]);
    let proposal = cast.propose(actions.clone()).await;
    let viewer = cast.app.actor("person", &["*"]).await;
    cast.app
        .alice
        .admit(cast.workspace_id, &viewer, "viewer")
        .await;
    let second_agent = cast.app.actor("agent", &["*"]).await;
    cast.app
        .alice
        .admit(cast.workspace_id, &second_agent, "agent")
        .await;
    let stranger = cast.app.actor("person", &["*"]).await;

    let patch = format!("/v1/notes/{}", id(&note));
    let written = cast.agent.patch(&patch, json!({"title": "Mine"})).await;
    written.expect_problem(403, "agent_not_allowed");
    let viewers = viewer
        .post("/v1/proposals", cast.draft(actions.clone()))
        .await;
    viewers.expect_problem(403, "workspace_role_insufficient");
    for (member, code) in [
        (&viewer, "workspace_role_insufficient"),
        (&second_agent, "agent_not_allowed"),
        (&cast.agent, "agent_not_allowed"),
    ] {
        assert_eq!(recorded(member, &proposal).await, proposal);
        for answer in [
            approve(member, &proposal).await,
            reject(member, &proposal).await,
        ] {
            answer.expect_problem(403, code);
        }
    }
    for answer in [
        stranger.post("/v1/proposals", cast.draft(actions)).await,
        approve(&stranger, &proposal).await,
        reject(&stranger, &proposal).await,
        withdraw(&stranger, &proposal).await,
    ] {
        answer.expect_problem(404, "workspace_not_found");
    }
    stranger
        .get(&at(&proposal))
        .await
        .expect_problem(404, "not_found");
    assert!(stranger.ids("/v1/proposals").await.is_empty());
    assert_eq!(cast.now(&note).await, note);
    let events = cast.app.alice.events("category=proposal").await;
    assert_eq!(types(&events), ["proposal.submitted"]);
}

#[tokio::test]
async fn in_an_archived_workspace_nothing_is_proposed_or_decided() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    let archive = format!("/v1/workspaces/{}/archive", cast.workspace_id);
    cast.app.alice.post_empty(&archive).await.expect(200);
    let again = cast.draft(json!([retitle(&note, "Black tea")]));
    for answer in [
        cast.agent.post("/v1/proposals", again).await,
        approve(&cast.editor, &proposal).await,
        reject(&cast.editor, &proposal).await,
        withdraw(&cast.agent, &proposal).await,
    ] {
        answer.expect_problem(422, "workspace_archived");
    }
    assert_eq!(recorded(&cast.agent, &proposal).await, proposal);
    assert_eq!(cast.now(&note).await, note);
}

#[tokio::test]
async fn an_agent_that_was_removed_can_neither_propose_nor_withdraw_but_what_it_proposed_stands() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    let member = format!(
        "/v1/workspaces/{}/members/{}",
        cast.workspace_id, cast.agent.actor_id
    );
    cast.app.alice.delete(&member).await.expect(200);
    let again = cast.draft(json!([retitle(&note, "Black tea")]));
    for answer in [
        cast.agent.post("/v1/proposals", again).await,
        withdraw(&cast.agent, &proposal).await,
    ] {
        answer.expect_problem(404, "workspace_not_found");
    }
    let applied = approve(&cast.editor, &proposal).await.expect(200);
    assert_eq!(applied["status"], "applied");
    assert_eq!(cast.now(&note).await["title"], "Green tea");
}

#[tokio::test]
async fn an_approval_is_given_only_at_the_version_that_was_seen() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    let approve_at = async |version: &str| {
        let request = cast
            .editor
            .request(Method::POST, &format!("{}/approve", at(&proposal)))
            .header("If-Match", version)
            .json(&approval(&proposal));
        cast.editor.send(request).await
    };
    approve_at("\"2\"")
        .await
        .expect_problem(412, "version_mismatch");
    assert_eq!(cast.now(&note).await, note);
    assert_eq!(approve_at("\"1\"").await.expect(200)["status"], "applied");
}

#[tokio::test]
async fn a_repeated_approval_gets_the_first_answer_after_later_changes_and_a_crash() {
    let app = OwnApp::start().await;
    let cast = Cast::on(app.clone()).await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    let approve_again = async |editor: &Client| {
        let request = editor
            .request(Method::POST, &format!("{}/approve", at(&proposal)))
            .header("Idempotency-Key", "\"approve it\"")
            .json(&approval(&proposal));
        editor.send(request).await
    };
    let first = approve_again(&cast.editor).await;
    assert!(!first.headers.contains_key("idempotency-replayed"));
    let (position, etag) = (first.position(), first.header("etag").to_owned());
    let first = first.expect(200);
    assert_eq!(first["status"], "applied");
    let repeated = async |editor: &Client| {
        let again = approve_again(editor).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(
            (again.position(), again.header("etag")),
            (position, etag.as_str())
        );
        assert_eq!(again.expect(200), first);
    };
    repeated(&cast.editor).await;
    let note_path = format!("/v1/notes/{}", id(&note));
    let later = json!({"title": "Black tea"});
    let later = cast.app.alice.patch(&note_path, later).await.expect(200);
    repeated(&cast.editor).await;

    let app = app.restart(&[]).await;
    let editor = cast.editor.at(&app.url);
    repeated(&editor).await;
    assert_eq!(editor.get(&note_path).await.expect(200), later);
    let other = editor
        .request(Method::POST, &format!("{}/approve", at(&proposal)))
        .header("Idempotency-Key", "approve it")
        .json(&json!({"actions_hash": proposal["actions_hash"], "comment": "changed my mind"}));
    editor
        .send(other)
        .await
        .expect_problem(422, "idempotency_key_reused");
}
