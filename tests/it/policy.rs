//! Policies of workspaces.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::cast::{Cast, approval, approve, at, preview, reject, retitle};
use crate::harness::{Answer, Client, id, pointers, types};

impl Cast {
    pub fn policy_path(&self) -> String {
        format!("/v1/workspaces/{}/policy", self.workspace_id)
    }

    /// Sets the workspace's policy as its owner Alice.
    pub async fn policy(&self, policy: Value) -> Value {
        let answer = self.app.alice.put(&self.policy_path(), policy).await;
        answer.expect(200)
    }

    pub async fn person(&self, role: &str) -> Client {
        let person = self.app.actor("person", &["*"]).await.enrolled().await;
        self.app.alice.admit(self.workspace_id, &person, role).await;
        person
    }

    pub async fn submit(&self, actions: Value) -> Answer {
        self.agent.post("/v1/proposals", self.draft(actions)).await
    }
}

#[tokio::test]
async fn without_a_policy_one_person_who_writes_approves() {
    let cast = Cast::assemble().await;
    let open = cast.agent.get(&cast.policy_path()).await.expect(200);
    assert_eq!(
        open,
        json!({"workspace_id": cast.workspace_id, "quorum": 1, "automatic": [], "forbidden": [], "merge": "allowed",
            "set_by": null, "set_at": null, "version": 0})
    );
    let policy = json!({"quorum": 2, "merge": "refused", "approvers": {"roles": ["owner"]}});
    let set = cast.app.alice.put(&cast.policy_path(), policy).await;
    assert_eq!(set.header("etag"), "\"1\"");
    let position = set.position();
    let set = set.expect(200);
    assert_eq!(
        (
            &set["quorum"],
            &set["merge"],
            &set["approvers"],
            &set["version"]
        ),
        (
            &json!(2),
            &json!("refused"),
            &json!({"roles": ["owner"], "actors": []}),
            &json!(1)
        )
    );
    assert_eq!(
        set["set_by"],
        json!({"kind": "person", "id": cast.app.alice.actor_id})
    );
    let read = cast.agent.get_at(&cast.policy_path(), position).await;
    assert_eq!(read.expect(200), set);
    // Omitted fields get their defaults.
    assert_eq!(cast.policy(json!({})).await["quorum"], 1);
}

#[tokio::test]
async fn an_owner_sets_it_who_is_a_person() {
    let cast = Cast::assemble().await;
    let path = cast.policy_path();
    let editor = cast.editor.put(&path, json!({})).await;
    editor.expect_problem(403, "workspace_role_insufficient");
    let program = cast.app.actor("service", &["*"]).await;
    cast.app
        .alice
        .admit(cast.workspace_id, &program, "owner")
        .await;
    let program = program.put(&path, json!({})).await;
    program.expect_problem(422, "policy_needs_person");
    let outsider = cast.app.actor("person", &["*"]).await;
    outsider.get(&path).await.expect_problem(404, "not_found");
    let outsider = outsider.put(&path, json!({})).await;
    outsider.expect_problem(404, "workspace_not_found");
    let wrong = json!({"quorum": 21, "automatic": [{"name": "a", "actions": ["note.burn"]}], "expires_after": {"max_seconds": 0}});
    let problem = cast.app.alice.put(&path, wrong).await;
    let problem = problem.expect_problem(400, "validation_failed");
    assert_eq!(
        pointers(&problem),
        [
            "/quorum",
            "/expires_after/max_seconds",
            "/automatic/0/actions"
        ]
    );
    for unknown in [
        json!({"quorums": 2}),
        json!({"forbidden": [{"name": "f", "max_actions": 1}]}),
    ] {
        let answer = cast.app.alice.put(&path, unknown).await;
        answer.expect_problem(400, "validation_failed");
    }
}

#[tokio::test]
async fn a_quorum_of_different_people_approves_and_the_last_one_applies() {
    let cast = Cast::assemble().await;
    cast.policy(json!({"quorum": 2})).await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    assert_eq!(
        preview(&cast.agent, &proposal).await["missing_approvals"],
        2
    );
    let first = approve(&cast.editor, &proposal).await.expect(200);
    assert_eq!(
        (&first["status"], &first["decided_by"]),
        (&json!("pending"), &Value::Null)
    );
    let editor = json!({"kind": "person", "id": cast.editor.actor_id});
    assert_eq!(first["approvals"][0]["approver"], editor);
    assert_eq!(
        preview(&cast.agent, &proposal).await["missing_approvals"],
        1
    );
    assert_eq!(cast.now(&note).await, note);
    let again = approve(&cast.editor, &proposal).await;
    again.expect_problem(409, "proposal_already_approved");

    let before = cast.app.alice.head().await;
    let last = approve(&cast.app.alice, &proposal).await.expect(200);
    let approvers: Vec<&Value> = last["approvals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["approver"]["id"])
        .collect();
    assert_eq!(
        approvers,
        [
            &json!(cast.editor.actor_id),
            &json!(cast.app.alice.actor_id)
        ]
    );
    assert_eq!(
        (&last["status"], &last["decided_by"]["id"]),
        (&json!("applied"), approvers[1])
    );
    let events = cast.app.alice.events(&format!("after={before}")).await;
    assert_eq!(
        types(&events),
        ["proposal.approved", "note.revised", "proposal.applied"]
    );
    assert_eq!(cast.now(&note).await["title"], "Green tea");

    // A proposal with one approval can still be rejected or withdrawn.
    let other = cast
        .propose(json!([{"type": "note.create", "title": "X", "body": ""}]))
        .await;
    approve(&cast.editor, &other).await.expect(200);
    let rejected = reject(&cast.app.alice, &other).await.expect(200);
    assert_eq!(rejected["status"], "rejected");
}

#[tokio::test]
async fn an_edit_by_a_later_approver_takes_the_earlier_approvals_away() {
    let cast = Cast::assemble().await;
    cast.policy(json!({"quorum": 2})).await;
    let note = cast.note("Tea").await;
    let third = cast.person("editor").await;
    let proposal = cast.retitle(&note, "GREEN TEA").await;
    approve(&third, &proposal).await.expect(200);
    let path = format!("{}/approve", at(&proposal));
    let mut edit = approval(&proposal);
    edit["edited_actions"] = json!([retitle(&note, "Green tea")]);
    let edited = cast.editor.post(&path, edit).await.expect(200);
    assert_eq!(
        (
            &edited["status"],
            edited["approvals"].as_array().unwrap().len()
        ),
        (&json!("pending"), 1)
    );
    assert_eq!(edited["actions_hash"], proposal["actions_hash"]);
    assert!(
        preview(&cast.agent, &proposal).await["notes"][0]["diff"]
            .as_str()
            .unwrap()
            .contains("+title: Green tea\n")
    );
    let stale = approve(&third, &proposal).await;
    stale.expect_problem(409, "proposal_hash_mismatch");
    let read = json!({"actions_hash": edited["edited_hash"]});
    let applied = third.post(&path, read).await.expect(200);
    assert_eq!(applied["status"], "applied");
    assert_eq!(cast.now(&note).await["title"], "Green tea");
}

#[tokio::test]
async fn of_many_approvers_at_the_same_time_exactly_the_last_one_applies() {
    let cast = Cast::assemble().await;
    cast.policy(json!({"quorum": 3})).await;
    let mut people = vec![];
    for _ in 0..5 {
        people.push(cast.person("editor").await);
    }
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    let answers = join_all(people.iter().map(|person| approve(person, &proposal))).await;
    let accepted = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(accepted, 3);
    let query = format!("stream=proposal-{}", id(&proposal));
    let events = cast.app.alice.events(&query).await;
    assert_eq!(
        types(&events),
        [
            "proposal.submitted",
            "proposal.approved",
            "proposal.approved",
            "proposal.approved",
            "proposal.applied"
        ]
    );
    assert_eq!(cast.now(&note).await["version"], 2);
}

#[tokio::test]
async fn the_policy_names_who_approves_and_what_counts_is_who_may_at_the_end() {
    let cast = Cast::assemble().await;
    let named = cast.person("editor").await;
    cast.policy(
        json!({"quorum": 2, "approvers": {"roles": ["owner"], "actors": [named.actor_id]}}),
    )
    .await;
    let note = cast.note("Tea").await;
    let proposal = cast.retitle(&note, "Green tea").await;
    let other = approve(&cast.editor, &proposal).await;
    other.expect_problem(403, "policy_not_approver");
    approve(&named, &proposal).await.expect(200);
    // An approval by somebody who has left the workspace no longer counts.
    let member = format!(
        "/v1/workspaces/{}/members/{}",
        cast.workspace_id, named.actor_id
    );
    cast.app.alice.delete(&member).await;
    let second = approve(&cast.app.alice, &proposal).await.expect(200);
    assert_eq!(second["status"], "pending");
    assert_eq!(
        preview(&cast.agent, &proposal).await["missing_approvals"],
        1
    );
    // The policy at the time of the approval applies.
    cast.policy(json!({"quorum": 2})).await;
    let applied = approve(&cast.editor, &proposal).await.expect(200);
    assert_eq!(applied["status"], "applied");
}
