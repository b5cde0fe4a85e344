//! Proposals.

use chrono::{SubsecRound, TimeDelta, Utc};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::cast::{Cast, approval, approve, at, recorded, reject, retitle, withdraw};
use crate::harness::{id, pointers, types};

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
    // Deadlines have microsecond precision.
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
        assert_eq!(read.expect(200)["version"], 1);
        assert_eq!(recorded(reader, &proposal).await, proposal);
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
    // Compact JSON with sorted keys, written out.
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
    assert_eq!(recorded(&cast.agent, &proposal).await, applied);

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
    assert_eq!(positions, Vec::from_iter(position - 5..=position));
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
        .patch(&list_path, json!({"title": "Errands"}))
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
            {
                "action": 2, "note_id": id(&list), "base_version": 1, "current_version": 2,
                "reason": "it has moved on: others have changed a place that this changes",
                "hunks": [{
                    "field": "title",
                    "base": {"line": 1, "lines": 1, "text": "List"},
                    "current": {"line": 1, "lines": 1, "text": "Errands"},
                    "proposed": {"line": 1, "lines": 1, "text": "Shopping list"},
                }],
            },
            {"action": 3, "note_id": id(&gone), "base_version": null, "current_version": 2, "code": "note_not_active", "reason": "the note is not active; restore it first"},
        ])
    );
    assert_eq!(recorded(&cast.agent, &proposal).await, failed);
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
    let refused = cast.editor.post(&path, edited).await;
    let refused = refused.expect_problem(422, "proposal_impossible");
    assert_eq!(refused["conflicts"][0]["code"], "note_not_found");
    assert_eq!(refused["conflicts"][0]["current_version"], 0);
    assert_eq!(cast.now(&foreign).await, foreign);
    assert_eq!(cast.now(&note).await, note);
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
        note.link, note.unlink, task.create, task.revise, task.complete, task.reopen, task.move, task.delete, artifact.attach, artifact.detach";
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
    let head = cast.app.position().await;
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
    assert_eq!(cast.app.position().await, head);
    assert_eq!(recorded(&cast.agent, &proposal).await, proposal);
    let path = format!("{}/approve?dry_run=true", at(&proposal));
    let refused = cast.agent.post(&path, approval(&proposal)).await;
    refused.expect_problem(403, "agent_not_allowed");
}
