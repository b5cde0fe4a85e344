//! Agents: registration, budgets, suspension.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Client, TestApp, id, pointers, types};

/// An agent that Alice has registered and admitted to a workspace.
struct Cast {
    app: TestApp,
    agent: Client,
    agent_id: Uuid,
    workspace_id: Uuid,
}

impl Cast {
    async fn assemble(registration: Value) -> Self {
        let app = TestApp::start().await;
        let workspace_id = app.alice.workspace().await;
        let registered = app.alice.post("/v1/agents", registration).await.expect(201);
        let agent = client(&app, &registered);
        app.alice.admit(workspace_id, &agent, "agent").await;
        Self {
            agent_id: id(&registered),
            app,
            agent,
            workspace_id,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/agents/{}{rest}", self.agent_id)
    }

    async fn suspend(&self) -> Answer {
        let reason = json!({"reason": "it runs wild"});
        self.app.alice.post(&self.path("/suspend"), reason).await
    }

    async fn resume(&self) -> Answer {
        self.app.alice.post_empty(&self.path("/resume")).await
    }

    /// Proposes a new note.
    async fn propose(&self) -> Answer {
        let draft = json!({
            "workspace_id": self.workspace_id,
            "rationale": "there should be one",
            "actions": [{"type": "note.create", "title": "Oolong", "body": "", "tags": []}],
        });
        self.agent.post("/v1/proposals", draft).await
    }

    async fn approve(&self, proposal: &Value) -> Answer {
        let approval = json!({"actions_hash": proposal["actions_hash"]});
        let path = format!("/v1/proposals/{}/approve", id(proposal));
        self.app.alice.post(&path, approval).await
    }

    async fn now(&self) -> Value {
        self.app.alice.get(&self.path("")).await.expect(200)
    }
}

fn client(app: &TestApp, registered: &Value) -> Client {
    let mut client = Client::new(&app.url, registered["key"].as_str().unwrap());
    client.actor_id = id(registered);
    client
}

fn librarian() -> Value {
    json!({"name": "Librarian"})
}

#[tokio::test]
async fn a_registered_agent_can_propose_with_its_key_and_nothing_else() {
    let cast = Cast::assemble(json!({"name": "Librarian", "model": "atlas-4"})).await;
    let agent = cast.now().await;
    assert_eq!(agent["name"], "Librarian");
    assert_eq!(agent["model"], "atlas-4");
    assert_eq!(agent["owner_id"], json!(cast.app.alice.actor_id));
    assert_eq!(
        (&agent["status"], &agent["key"]),
        (&json!("active"), &Value::Null)
    );
    assert_eq!(agent["daily_proposals"], Value::Null);

    let proposal = cast.propose().await.expect(201);
    assert_eq!(proposal["created_by"], json!(cast.agent_id));
    let note = json!({"workspace_id": cast.workspace_id, "title": "Oolong"});
    let refused = cast.agent.post("/v1/notes", note).await;
    refused.expect_problem(403, "scope_missing");
    let refused = cast.agent.post("/v1/agents", librarian()).await;
    refused.expect_problem(403, "scope_missing");
    let approval = json!({"actions_hash": proposal["actions_hash"]});
    let path = format!("/v1/proposals/{}/approve", id(&proposal));
    assert!(cast.agent.post(&path, approval).await.status >= 400);

    cast.approve(&proposal).await.expect(200);
    let agent = cast.now().await;
    assert_eq!(agent["proposals"], 1);
    let events = cast.app.alice.events("category=agent").await;
    assert_eq!(types(&events), ["agent.registered", "agent.proposed"]);
}

#[tokio::test]
async fn registering_again_under_the_same_key_shows_the_same_agent_without_its_key() {
    let app = TestApp::start().await;
    let register = async || {
        let request = app.alice.request(Method::POST, "/v1/agents");
        let request = request.header("Idempotency-Key", "once").json(&librarian());
        app.alice.send(request).await.expect(201)
    };
    let first = register().await;
    let again = register().await;
    assert_eq!(again["api_key_id"], first["api_key_id"]);
    assert_eq!(again.get("key"), None);
    assert_eq!(app.alice.ids("/v1/agents").await, [id(&first)]);
    let workspaces = client(&app, &first).get("/v1/workspaces").await;
    workspaces.expect(200);
}

#[tokio::test]
async fn a_suspended_agents_keys_stop_working_at_once_and_work_again_when_it_is_resumed() {
    let cast = Cast::assemble(librarian()).await;
    cast.agent.get("/v1/workspaces").await.expect(200);
    let suspended = cast.suspend().await.expect(200);
    assert_eq!(suspended["status"], "suspended");
    assert_eq!(suspended["reason"], "it runs wild");
    let problem = cast.agent.get("/v1/workspaces").await;
    let problem = problem.expect_problem(401, "unauthorized");
    assert!(problem["detail"].as_str().unwrap().contains("suspended"));
    cast.propose().await.expect_problem(401, "unauthorized");
    assert_eq!(cast.now().await["proposals"], 0);

    let version = suspended["version"].clone();
    assert_eq!(cast.suspend().await.expect(200)["version"], version);
    let resumed = cast.resume().await.expect(200);
    assert_eq!(
        (&resumed["status"], &resumed["reason"]),
        (&json!("active"), &Value::Null)
    );
    cast.propose().await.expect(201);
}

#[tokio::test]
async fn another_key_of_a_suspended_agent_does_not_work_either() {
    let cast = Cast::assemble(librarian()).await;
    let actor = json!({"kind": "agent", "id": cast.agent_id});
    let key = json!({
        "name": "second", "product_id": cast.app.product_id, "actor": actor, "scopes": ["workspaces:read"],
    });
    let key = cast
        .app
        .operator
        .post("/v1/api-keys", key)
        .await
        .expect(201);
    let second = client(&cast.app, &key);
    second.get("/v1/workspaces").await.expect(200);
    cast.suspend().await.expect(200);
    let problem = second.get("/v1/workspaces").await;
    problem.expect_problem(401, "unauthorized");
}

#[tokio::test]
async fn what_a_suspended_agent_has_proposed_is_held() {
    let cast = Cast::assemble(librarian()).await;
    let proposal = cast.propose().await.expect(201);
    let unwanted = cast.propose().await.expect(201);
    cast.suspend().await.expect(200);
    let held = cast.approve(&proposal).await;
    held.expect_problem(422, "proposal_held");
    let path = format!("/v1/proposals/{}", id(&proposal));
    let waiting = cast.app.alice.get(&path).await.expect(200);
    assert_eq!(waiting["status"], "pending");
    // A proposal can be rejected while the agent is suspended.
    let rejection = json!({"reason": "no"});
    let path = format!("/v1/proposals/{}/reject", id(&unwanted));
    cast.app.alice.post(&path, rejection).await.expect(200);

    cast.resume().await.expect(200);
    let applied = cast.approve(&proposal).await.expect(200);
    assert_eq!(applied["status"], "applied");
}

#[tokio::test]
async fn an_agent_proposes_no_more_than_its_budget_of_the_day() {
    let cast = Cast::assemble(json!({"name": "Librarian", "daily_proposals": 2})).await;
    cast.propose().await.expect(201);
    cast.propose().await.expect(201);
    let problem = cast.propose().await;
    let problem = problem.expect_problem(422, "agent_budget_spent");
    assert!(problem["detail"].as_str().unwrap().contains("budget of 2"));
    let agent = cast.now().await;
    assert_eq!(
        (&agent["proposals"], &agent["daily_proposals"]),
        (&json!(2), &json!(2))
    );

    let larger = json!({"daily_proposals": 3});
    cast.app
        .alice
        .patch(&cast.path(""), larger)
        .await
        .expect(200);
    cast.propose().await.expect(201);
    cast.propose()
        .await
        .expect_problem(422, "agent_budget_spent");
    let unbounded = json!({"daily_proposals": 0, "name": "Archivist", "model": "atlas-5"});
    let revised = cast.app.alice.patch(&cast.path(""), unbounded).await;
    let revised = revised.expect(200);
    assert_eq!(revised["daily_proposals"], Value::Null);
    assert_eq!(
        (&revised["name"], &revised["model"]),
        (&json!("Archivist"), &json!("atlas-5"))
    );
    cast.propose().await.expect(201);
}

#[tokio::test]
async fn whoever_answers_for_an_agent_is_a_person_of_the_product() {
    let app = TestApp::start().await;
    let editor = app.actor("person", &["*"]).await;
    let service = app.actor("service", &["*"]).await;
    let stranger = app.stranger().await;
    let owned_by = |owner: Uuid| json!({"name": "Librarian", "owner_id": owner});
    let agent = app
        .alice
        .post("/v1/agents", owned_by(editor.actor_id))
        .await;
    assert_eq!(agent.expect(201)["owner_id"], json!(editor.actor_id));
    for nobody in [service.actor_id, stranger.actor_id, Uuid::now_v7()] {
        let refused = app.alice.post("/v1/agents", owned_by(nobody)).await;
        refused.expect_problem(422, "agent_owner_unknown");
    }
    let refused = service.post("/v1/agents", librarian()).await;
    refused.expect_problem(422, "agent_owner_unknown");
}

#[tokio::test]
async fn agents_do_not_manage_agents() {
    let cast = Cast::assemble(librarian()).await;
    let other = cast.app.actor("agent", &["*"]).await;
    let problem = other.post_empty(&cast.path("/resume")).await;
    problem.expect_problem(403, "agent_not_allowed");
    let problem = other.post("/v1/agents", librarian()).await;
    problem.expect_problem(403, "agent_not_allowed");
}

#[tokio::test]
async fn everything_wrong_with_an_agent_is_named_at_once() {
    let cast = Cast::assemble(librarian()).await;
    let bad = json!({"name": "", "model": "", "daily_proposals": 100_001});
    let problem = cast.app.alice.post("/v1/agents", bad.clone()).await;
    let problem = problem.expect_problem(400, "validation_failed");
    assert_eq!(pointers(&problem), ["/name", "/model", "/daily_proposals"]);
    let problem = cast.app.alice.patch(&cast.path(""), bad).await;
    problem.expect_problem(400, "validation_failed");
    let wordless = json!({"reason": ""});
    let problem = cast.app.alice.post(&cast.path("/suspend"), wordless).await;
    assert_eq!(
        pointers(&problem.expect_problem(400, "validation_failed")),
        ["/reason"]
    );
    let nobody = format!("/v1/agents/{}/resume", Uuid::now_v7());
    let problem = cast.app.alice.post_empty(&nobody).await;
    problem.expect_problem(404, "agent_not_found");
}

#[tokio::test]
async fn agents_are_found_by_their_status() {
    let cast = Cast::assemble(librarian()).await;
    let other = cast.app.alice.post("/v1/agents", librarian()).await;
    let other = id(&other.expect(201));
    cast.suspend().await.expect(200);
    let found = async |status: &str| {
        let path = format!("/v1/agents?status={status}");
        cast.app.alice.ids(&path).await
    };
    assert_eq!(found("active").await, [other]);
    assert_eq!(found("suspended").await, [cast.agent_id]);
    let problem = cast.app.alice.get("/v1/agents?status=asleep").await;
    problem.expect_problem(400, "malformed_query");
}

#[tokio::test]
async fn a_registered_agent_suggests_tasks_and_a_person_accepts_them() {
    let cast = Cast::assemble(librarian()).await;
    let task = json!({"workspace_id": cast.workspace_id, "title": "Buy tea"});
    let made = cast.agent.post("/v1/tasks", task.clone()).await;
    made.expect_problem(403, "scope_missing");
    let suggested = cast.agent.post("/v1/tasks/suggestions", task).await;
    let suggested = suggested.expect(201);
    assert_eq!(suggested["status"], "suggested");
    let accept = format!("/v1/tasks/{}/accept", id(&suggested));
    cast.agent
        .post_empty(&accept)
        .await
        .expect_problem(403, "scope_missing");
    let accepted = cast.app.alice.post_empty(&accept).await.expect(200);
    assert_eq!(accepted["status"], "open");
}
