//! Proposals.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::harness::{Answer, Client, Server, TestApp, eventually, id, pointers, types};

/// A workspace of Alice's with an agent and an editor in it.
struct Cast {
    app: TestApp,
    agent: Client,
    editor: Client,
    workspace_id: Uuid,
}

impl Cast {
    async fn assemble() -> Self {
        let app = TestApp::start().await;
        let workspace_id = app.alice.workspace().await;
        let agent = app.actor("agent", &["*"]).await;
        let editor = app.actor("person", &["*"]).await;
        app.alice.admit(workspace_id, &agent, "agent").await;
        app.alice.admit(workspace_id, &editor, "editor").await;
        Self {
            app,
            agent,
            editor,
            workspace_id,
        }
    }

    async fn note(&self, title: &str) -> Value {
        self.app
            .alice
            .note(self.workspace_id, title, "Steep it.\n")
            .await
    }

    /// A note as Alice sees it now.
    async fn now(&self, note: &Value) -> Value {
        let path = format!("/v1/notes/{}", id(note));
        self.app.alice.get(&path).await.expect(200)
    }

    fn draft(&self, actions: Value) -> Value {
        json!({"workspace_id": self.workspace_id, "actions": actions, "rationale": "be precise"})
    }

    async fn propose(&self, actions: Value) -> Value {
        self.propose_as(&self.agent, actions).await
    }

    async fn propose_as(&self, proposer: &Client, actions: Value) -> Value {
        let proposal = proposer.post("/v1/proposals", self.draft(actions)).await;
        proposal.expect(201)
    }

    /// A proposal to give a note another title.
    async fn retitle(&self, note: &Value, title: &str) -> Value {
        self.propose(json!([retitle(note, title)])).await
    }
}

fn at(proposal: &Value) -> String {
    format!("/v1/proposals/{}", id(proposal))
}

fn retitle(note: &Value, title: &str) -> Value {
    json!({"type": "note.revise", "note_id": id(note), "base_version": note["version"], "title": title})
}

fn approval(proposal: &Value) -> Value {
    json!({"actions_hash": proposal["actions_hash"]})
}

async fn approve(by: &Client, proposal: &Value) -> Answer {
    let path = format!("{}/approve", at(proposal));
    by.post(&path, approval(proposal)).await
}

async fn reject(by: &Client, proposal: &Value) -> Answer {
    let path = format!("{}/reject", at(proposal));
    by.post(&path, json!({"reason": "no"})).await
}

async fn withdraw(by: &Client, proposal: &Value) -> Answer {
    by.post_empty(&format!("{}/withdraw", at(proposal))).await
}

#[tokio::test]
async fn a_proposal_waits_for_a_decision_and_changes_nothing_until_then() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let expires_at = (Utc::now() + TimeDelta::days(1)).trunc_subsecs(6);
    let mut draft = cast.draft(json!([retitle(&note, "Green tea")]));
    for (field, value) in [
        ("confidence", json!(0.75)),
        ("model", json!("scribe-1")),
        ("run_id", json!("run 7")),
        ("expires_at", json!(expires_at + TimeDelta::nanoseconds(1))),
    ] {
        draft[field] = value;
    }
    let submitted = cast.agent.post("/v1/proposals", draft.clone()).await;
    assert_eq!(submitted.header("etag"), "\"1\"");
    let position = submitted.position();
    let proposal = submitted.expect(201);
    // A deadline is kept to the microsecond.
    draft["expires_at"] = json!(expires_at);
    for (field, value) in draft.as_object().unwrap() {
        assert_eq!(&proposal[field], value, "{field}");
    }
    for (field, value) in [
        ("status", json!("pending")),
        ("version", json!(1)),
        ("position", json!(position)),
        (
            "proposer",
            json!({"kind": "agent", "id": cast.agent.actor_id}),
        ),
    ] {
        assert_eq!(proposal[field], value, "{field}");
    }
    for reader in [&cast.agent, &cast.editor] {
        let read = reader.get_at(&at(&proposal), position).await;
        assert_eq!(read.expect(200), proposal);
    }
    assert_eq!(cast.now(&note).await, note);
}

#[tokio::test]
async fn the_hash_of_the_actions_can_be_computed_by_anybody() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let proposal = cast
        .propose(json!([
            retitle(&note, "Grüner „Tee“"),
            {"type": "note.create", "title": "B", "body": "a\nb", "tags": ["z", "a"]},
        ]))
        .await;
    // Compact JSON with sorted keys, spelled out.
    let canonical = format!(
        r#"[{{"base_version":1,"note_id":"{}","title":"Grüner „Tee“","type":"note.revise"}},{{"body":"a\nb","tags":["a","z"],"title":"B","type":"note.create"}}]"#,
        id(&note)
    );
    let hash: String = Sha256::digest(canonical)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(proposal["actions_hash"], hash);
}

#[tokio::test]
async fn an_approved_proposal_is_applied_in_one_append() {
    let cast = Cast::assemble().await;
    let (tea, list) = (cast.note("Tea").await, cast.note("Old list").await);
    let proposal = cast
        .propose(json!([
            {"type": "note.create", "title": "Coffee", "body": "Grind it.", "tags": ["Drink"]},
            retitle(&tea, "Green tea"),
            {"type": "note.tag", "note_id": id(&tea), "add": ["Drink", "green"], "remove": ["old"]},
            {"type": "note.archive", "note_id": id(&list)},
        ]))
        .await;
    let before = cast.app.alice.head().await;
    let path = format!("{}/approve", at(&proposal));
    let body = json!({"actions_hash": proposal["actions_hash"], "comment": "well seen"});
    let answer = cast.editor.post(&path, body).await;
    let position = answer.position();
    assert_eq!(answer.header("etag"), "\"3\"");
    let correlation_id = answer.header("daybook-correlation-id").to_owned();
    let applied = answer.expect(200);
    let editor = json!({"kind": "person", "id": cast.editor.actor_id});
    for (field, value) in [
        ("status", json!("applied")),
        ("decided_by", editor.clone()),
        ("comment", json!("well seen")),
        ("conflicts", json!([])),
        ("version", json!(3)),
    ] {
        assert_eq!(applied[field], value, "{field}");
    }
    assert_eq!(cast.agent.get(&at(&proposal)).await.expect(200), applied);

    let events = cast
        .app
        .alice
        .events(&format!("correlation_id={correlation_id}"))
        .await;
    assert_eq!(
        types(&events),
        [
            "proposal.approved",
            "note.created",
            "note.revised",
            "note.tagged",
            "note.archived",
            "proposal.applied",
        ]
    );
    let positions: Vec<i64> = events
        .iter()
        .map(|event| event["position"].as_i64().unwrap())
        .collect();
    assert_eq!(positions, Vec::from_iter(before + 1..=before + 6));
    assert_eq!(position, before + 6);
    let approved = &events[0]["event_id"];
    let agent = json!({"kind": "agent", "id": cast.agent.actor_id});
    for event in &events {
        assert_eq!(event["recorded_at"], events[0]["recorded_at"]);
        assert_eq!(event["metadata"]["actor"], editor);
        assert_eq!(event["metadata"]["command"], "proposal.approve");
    }
    for event in &events[1..5] {
        assert_eq!(event["metadata"]["causation_id"], *approved);
        assert_eq!(event["metadata"]["on_behalf_of"], agent);
        assert_eq!(event["metadata"]["reason"], "be precise");
    }

    let created: Uuid = applied["notes"][0]["note_id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(
        applied["notes"],
        json!([
            {"note_id": created, "version": 1, "base_version": 0},
            {"note_id": id(&tea), "version": 2, "base_version": 1},
            {"note_id": id(&tea), "version": 3, "base_version": 1},
            {"note_id": id(&list), "version": 2, "base_version": 1},
        ])
    );
    let coffee = cast.now(&json!({"id": created})).await;
    assert_eq!(
        (
            &coffee["title"],
            &coffee["body"],
            &coffee["tags"],
            &coffee["workspace_id"]
        ),
        (
            &json!("Coffee"),
            &json!("Grind it."),
            &json!(["drink"]),
            &json!(cast.workspace_id)
        )
    );
    let tea = cast.now(&tea).await;
    assert_eq!(
        (&tea["title"], &tea["tags"]),
        (&json!("Green tea"), &json!(["drink", "green"]))
    );
    assert_eq!(cast.now(&list).await["status"], "archived");

    let history = format!("/v1/notes/{}/history", id(&tea));
    let history = cast.app.alice.get(&history).await.expect(200);
    assert_eq!(history["items"][1]["actor"], editor);
    assert_eq!(history["items"][1]["on_behalf_of"], agent);
    assert_eq!(history["items"][1]["reason"], "be precise");
    let tree = format!("/v1/events/{}/causation", approved.as_str().unwrap());
    let tree = cast.app.alice.get(&tree).await.expect(200);
    let effects: Vec<Value> = tree["effects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|effect| effect["event"].clone())
        .collect();
    assert_eq!(types(&effects)[..4], types(&events)[1..5]);
}

#[tokio::test]
async fn where_a_note_has_moved_on_the_proposal_fails_and_nothing_is_changed() {
    let cast = Cast::assemble().await;
    let (tea, list, gone) = (
        cast.note("Tea").await,
        cast.note("List").await,
        cast.note("Gone").await,
    );
    let proposal = cast
        .propose(json!([
            retitle(&tea, "Green tea"),
            {"type": "note.create", "title": "Coffee", "body": ""},
            retitle(&list, "Shopping list"),
            {"type": "note.tag", "note_id": id(&gone), "add": ["old"]},
        ]))
        .await;
    let list_path = format!("/v1/notes/{}", id(&list));
    let moved = cast
        .app
        .alice
        .patch(&list_path, json!({"body": "eggs"}))
        .await;
    let moved = moved.expect(200);
    let trash = format!("/v1/notes/{}/trash", id(&gone));
    cast.app.alice.post_empty(&trash).await.expect(200);

    let before = cast.app.alice.head().await;
    let failed = approve(&cast.editor, &proposal).await.expect(200);
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["notes"], json!([]));
    assert_eq!(
        failed["conflicts"],
        json!([
            {"action": 2, "note_id": id(&list), "base_version": 1, "current_version": 2, "reason": "the note has moved on"},
            {"action": 3, "note_id": id(&gone), "base_version": null, "current_version": 2, "reason": "the note is not active; restore it first"},
        ])
    );
    assert_eq!(cast.agent.get(&at(&proposal)).await.expect(200), failed);
    let events = cast.app.alice.events(&format!("after={before}")).await;
    assert_eq!(types(&events), ["proposal.approved", "proposal.failed"]);
    assert_eq!(cast.now(&tea).await, tea);
    assert_eq!(cast.now(&list).await, moved);
    assert_eq!(cast.app.alice.ids("/v1/notes").await.len(), 3);
}

#[tokio::test]
async fn a_note_of_another_workspace_is_out_of_reach() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let elsewhere = cast.app.alice.workspace().await;
    let foreign = cast.app.alice.note(elsewhere, "Foreign", "").await;
    let archived = cast.note("Archived").await;
    let archive = format!("/v1/notes/{}/archive", id(&archived));
    cast.app.alice.post_empty(&archive).await.expect(200);
    let unknown = json!({"id": Uuid::now_v7(), "version": 1});
    for unavailable in [&foreign, &archived, &unknown] {
        let actions = json!([retitle(&note, "Fine"), retitle(unavailable, "Mine")]);
        let answer = cast.agent.post("/v1/proposals", cast.draft(actions)).await;
        answer.expect_problem(422, "proposal_note_unavailable");
    }
    let proposal = cast.retitle(&note, "Green tea").await;
    let mut edited = approval(&proposal);
    edited["edited_actions"] = json!([retitle(&foreign, "Mine")]);
    let path = format!("{}/approve", at(&proposal));
    let failed = cast.editor.post(&path, edited).await.expect(200);
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["conflicts"][0]["action"], 0);
    assert_eq!(cast.now(&foreign).await, foreign);
    assert_eq!(cast.now(&note).await, note);
}

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
    assert_eq!(cast.agent.get(&at(&proposal)).await.expect(200), proposal);
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
    for (kind, role) in [
        ("agent", "owner"),
        ("agent", "editor"),
        ("service", "owner"),
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
            answer.expect_problem(422, "proposal_needs_person");
        }
    }
    assert_eq!(cast.agent.get(&at(&proposal)).await.expect(200), proposal);
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
async fn a_newer_proposal_takes_the_place_of_an_earlier_one_in_the_same_append() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let earlier = cast.retitle(&note, "Green tea").await;
    let mut draft = cast.draft(json!([retitle(&note, "Sencha")]));
    draft["supersedes"] = earlier["id"].clone();
    let newer = cast.agent.post("/v1/proposals", draft.clone()).await;
    let newer = newer.expect(201);
    assert_eq!(newer["supersedes"], earlier["id"]);

    let superseded = cast.agent.get(&at(&earlier)).await.expect(200);
    assert_eq!(superseded["status"], "superseded");
    assert_eq!(superseded["superseded_by"], newer["id"]);
    let late = approve(&cast.editor, &earlier).await;
    late.expect_problem(409, "proposal_not_pending");
    let found = "/v1/proposals?status=superseded";
    assert_eq!(cast.editor.ids(found).await, [id(&earlier)]);

    // Once is enough, and a refusal leaves nothing behind.
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
        .expect_problem(403, "workspace_role_insufficient");

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
    assert_eq!(cast.agent.get(&at(&proposal)).await.expect(200), applied);
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
    assert_eq!(cast.agent.get(&at(&proposal)).await.expect(200), rejected);
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
    assert_eq!(cast.editor.get(&at(&proposal)).await.expect(200), withdrawn);
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
        assert_eq!(cast.agent.get(&at(&proposal)).await.expect(200), decided);
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
        let found = cast.agent.get(&at(&proposal)).await.expect(200);
        assert_eq!(found, decided[0].body);
        let tagged = cast.now(&note).await["tags"]
            .to_string()
            .contains(&round.to_string());
        assert_eq!(tagged, found["status"] == "applied");
    }
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
        let found = cast.agent.get(&at(&proposal)).await.expect(200);
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
async fn after_its_deadline_a_proposal_is_not_approved_even_while_due_work_is_held_up() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let mut sql = cast.app.sql().await;
    let hold = sql.transaction().await.unwrap();
    hold.batch_execute("lock table log.due_work in exclusive mode")
        .await
        .unwrap();
    let deadline = Utc::now() + TimeDelta::seconds(1);
    let mut draft = cast.draft(json!([retitle(&note, "Green tea")]));
    draft["expires_at"] = json!(deadline);
    let proposal = cast.agent.post("/v1/proposals", draft).await.expect(201);
    eventually(async || (Utc::now() > deadline).then_some(())).await;
    let late = approve(&cast.editor, &proposal).await;
    late.expect_problem(422, "proposal_expired");
    let still = cast.agent.get(&at(&proposal)).await.expect(200);
    assert_eq!(still["status"], "pending");
    hold.rollback().await.unwrap();
    eventually(async || {
        let found = cast.agent.get(&at(&proposal)).await.expect(200);
        (found["status"] == "expired").then_some(())
    })
    .await;
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
    written.expect_problem(403, "workspace_role_insufficient");
    let viewers = viewer
        .post("/v1/proposals", cast.draft(actions.clone()))
        .await;
    viewers.expect_problem(403, "workspace_role_insufficient");
    for member in [&viewer, &second_agent, &cast.agent] {
        assert_eq!(member.get(&at(&proposal)).await.expect(200), proposal);
        for answer in [
            approve(member, &proposal).await,
            reject(member, &proposal).await,
        ] {
            answer.expect_problem(403, "workspace_role_insufficient");
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
    assert_eq!(cast.agent.get(&at(&proposal)).await.expect(200), proposal);
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
async fn an_action_for_a_version_that_never_was_is_refused() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let draft = cast.draft(json!([
        {"type": "note.revise", "note_id": id(&note), "base_version": 2, "title": "Green tea"},
    ]));
    cast.agent
        .post("/v1/proposals", draft)
        .await
        .expect_problem(422, "proposal_no_such_version");
}

#[tokio::test]
async fn every_field_of_a_proposal_at_fault_is_named_at_once() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let mut draft = cast.draft(json!([
        {"type": "note.create", "title": "x".repeat(501), "body": ""},
        {"type": "note.revise", "note_id": id(&note), "base_version": 0},
        {"type": "note.tag", "note_id": id(&note), "add": [""]},
    ]));
    draft["rationale"] = json!("");
    draft["confidence"] = json!(1.5);
    draft["model"] = json!("");
    let problem = cast.agent.post("/v1/proposals", draft).await;
    let problem = problem.expect_problem(400, "validation_failed");
    assert_eq!(
        pointers(&problem),
        [
            "/actions/0/title",
            "/actions/1/base_version",
            "/actions/1",
            "/actions/2/add",
            "/rationale",
            "/confidence",
            "/model"
        ]
    );
    let one = json!({"type": "note.archive", "note_id": id(&note)});
    for actions in [json!([]), json!(vec![one; 101])] {
        let problem = cast.agent.post("/v1/proposals", cast.draft(actions)).await;
        let problem = problem.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&problem), ["/actions"]);
    }
    assert!(cast.agent.ids("/v1/proposals").await.is_empty());
}

#[tokio::test]
async fn an_action_has_the_fields_of_its_type_and_no_others() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let revise = retitle(&note, "Green tea");
    let with = |name: &str, value: Value| {
        let mut action = revise.clone();
        action[name] = value;
        action
    };
    let mut unversioned = revise.clone();
    unversioned.as_object_mut().unwrap().remove("base_version");
    let types = "/actions/0/type: must be one of note.create, note.revise, note.tag, note.archive, \
        note.link, note.unlink";
    for (action, told) in [
        (json!({}), "/actions/0/type: is required"),
        (json!("note.burn"), "/actions/0: must be an object"),
        (json!({"type": "note.burn"}), types),
        (json!({"type": 7}), types),
        (unversioned, "/actions/0/base_version: is required"),
        (
            with("title", json!(7)),
            "/actions/0/title: must be a string or null",
        ),
        (
            with("note_id", json!("x")),
            "/actions/0/note_id: must be a UUID",
        ),
        (
            with("titel", json!("T")),
            "/actions/0/titel: is not a field that there is",
        ),
        (
            json!({"type": "note.create", "title": "T", "body": "", "tag": "x"}),
            "/actions/0/tag: is not a field that there is",
        ),
        (
            json!({"type": "note.tag", "note_id": id(&note), "add": ["x"], "note": "x"}),
            "/actions/0/note: is not a field that there is",
        ),
        (
            json!({"type": "note.archive", "note_id": id(&note), "a/b": 1}),
            "/actions/0/a~1b: is not a field that there is",
        ),
    ] {
        let draft = cast.draft(json!([action]));
        let problem = cast.agent.post("/v1/proposals", draft).await;
        let problem = problem.expect_problem(400, "validation_failed");
        assert_eq!(problem["detail"], told);
    }
    assert!(cast.agent.ids("/v1/proposals").await.is_empty());
    let proposal = cast.retitle(&note, "Green tea").await;
    let mut body = approval(&proposal);
    body["edited_actions"] = json!([with("titel", json!("T"))]);
    let path = format!("{}/approve", at(&proposal));
    let problem = cast.editor.post(&path, body).await;
    let problem = problem.expect_problem(400, "validation_failed");
    assert_eq!(pointers(&problem), ["/edited_actions/0/titel"]);
}

#[tokio::test]
async fn proposals_are_listed_by_workspace_and_status() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let mut proposals = vec![];
    for tag in ["a", "b", "c", "d"] {
        proposals.push(
            cast.propose(json!([{"type": "note.tag", "note_id": id(&note), "add": [tag]}]))
                .await,
        );
    }
    approve(&cast.editor, &proposals[0]).await.expect(200);
    reject(&cast.editor, &proposals[1]).await.expect(200);
    withdraw(&cast.agent, &proposals[2]).await.expect(200);
    let [applied, rejected, withdrawn, pending] = proposals
        .iter()
        .map(id)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let elsewhere = cast.app.alice.workspace().await;
    for (query, expected) in [
        (String::new(), vec![pending, withdrawn, rejected, applied]),
        ("status=pending".into(), vec![pending]),
        ("status=applied".into(), vec![applied]),
        ("status=approved".into(), vec![applied]),
        ("status=rejected".into(), vec![rejected]),
        ("status=withdrawn".into(), vec![withdrawn]),
        ("status=failed".into(), vec![]),
        ("status=expired".into(), vec![]),
        (
            format!("workspace_id={}&status=applied", cast.workspace_id),
            vec![applied],
        ),
        (format!("workspace_id={elsewhere}"), vec![]),
    ] {
        let path = format!("/v1/proposals?{query}");
        assert_eq!(cast.editor.ids(&path).await, expected, "{query}");
    }
    let pages = cast.editor.pages("/v1/proposals?limit=3").await;
    let sizes: Vec<usize> = pages.iter().map(Vec::len).collect();
    assert_eq!(sizes, [3, 1]);
    let unknown = cast.editor.get("/v1/proposals?status=done").await;
    let problem = unknown.expect_problem(400, "malformed_query");
    assert_eq!(pointers(&problem), ["status"]);
}

#[tokio::test]
async fn a_dry_run_of_an_approval_shows_every_event_and_appends_none() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    let head = cast.app.alice.head().await;
    let path = format!("{}/approve?dry_run=true", at(&proposal));
    let preview = cast
        .editor
        .post(&path, approval(&proposal))
        .await
        .expect(200);
    assert_eq!(preview["dry_run"], true);
    let planned = preview["events"].as_array().unwrap();
    assert_eq!(
        types(planned),
        ["proposal.approved", "note.revised", "proposal.applied"]
    );
    assert_eq!(planned[1]["stream"], format!("note-{}", id(&note)));
    assert_eq!(
        (&planned[1]["version"], &planned[1]["data"]),
        (&json!(2), &json!({"title": "Green tea"}))
    );
    assert_eq!(cast.app.alice.head().await, head);
    assert_eq!(cast.agent.get(&at(&proposal)).await.expect(200), proposal);
    let path = format!("{}/approve?dry_run=true", at(&proposal));
    let refused = cast.agent.post(&path, approval(&proposal)).await;
    refused.expect_problem(403, "workspace_role_insufficient");
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
    let cast = Cast::assemble().await;
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

    let TestApp {
        server,
        database_url,
        ..
    } = cast.app;
    server.kill().await;
    let restarted = Server::start(&database_url, &[]).await;
    let editor = cast.editor.at(&restarted.url);
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
