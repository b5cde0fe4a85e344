//! A workspace with people and an agent who propose and decide, and their requests.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Client, TestApp, id};

/// A workspace of Alice's with an agent and an editor in it.
pub struct Cast {
    pub app: TestApp,
    pub agent: Client,
    pub editor: Client,
    pub workspace_id: Uuid,
}

impl Cast {
    pub async fn assemble() -> Self {
        Self::on(TestApp::start().await).await
    }

    pub async fn on(mut app: TestApp) -> Self {
        app.alice = app.alice.enrolled().await;
        let workspace_id = app.alice.workspace().await;
        let agent = app.actor("agent", &["*"]).await;
        let editor = app.actor("person", &["*"]).await.enrolled().await;
        app.alice.admit(workspace_id, &agent, "agent").await;
        app.alice.admit(workspace_id, &editor, "editor").await;
        Self {
            app,
            agent,
            editor,
            workspace_id,
        }
    }

    pub async fn note(&self, title: &str) -> Value {
        self.app
            .alice
            .note(self.workspace_id, title, "Steep it.\n")
            .await
    }

    /// Returns the current note as Alice sees it.
    pub async fn now(&self, note: &Value) -> Value {
        let path = format!("/v1/notes/{}", id(note));
        self.app.alice.get(&path).await.expect(200)
    }

    pub fn draft(&self, actions: Value) -> Value {
        json!({"workspace_id": self.workspace_id, "actions": actions, "rationale": "be precise"})
    }

    pub async fn propose(&self, actions: Value) -> Value {
        self.propose_as(&self.agent, actions).await
    }

    pub async fn propose_as(&self, proposer: &Client, actions: Value) -> Value {
        let proposal = proposer.post("/v1/proposals", self.draft(actions)).await;
        proposal.expect(201)
    }

    /// Proposes a new title for a note.
    pub async fn retitle(&self, note: &Value, title: &str) -> Value {
        self.propose(json!([retitle(note, title)])).await
    }
}

pub fn at(proposal: &Value) -> String {
    format!("/v1/proposals/{}", id(proposal))
}

/// Reads a proposal without its preview.
pub async fn recorded(by: &Client, proposal: &Value) -> Value {
    let mut found = by.get(&at(proposal)).await.expect(200);
    found.as_object_mut().unwrap().remove("preview");
    found
}

/// Returns the preview of approving a proposal now.
pub async fn preview(by: &Client, proposal: &Value) -> Value {
    let mut found = by.get(&at(proposal)).await.expect(200);
    found["preview"].take()
}

pub fn retitle(note: &Value, title: &str) -> Value {
    json!({"type": "note.revise", "note_id": id(note), "base_version": note["version"], "title": title})
}

pub fn approval(proposal: &Value) -> Value {
    json!({"actions_hash": proposal["actions_hash"]})
}

pub async fn approve(by: &Client, proposal: &Value) -> Answer {
    let path = format!("{}/approve", at(proposal));
    by.post(&path, approval(proposal)).await
}

pub async fn reject(by: &Client, proposal: &Value) -> Answer {
    let path = format!("{}/reject", at(proposal));
    by.post(&path, json!({"reason": "no"})).await
}

pub async fn withdraw(by: &Client, proposal: &Value) -> Answer {
    by.post_empty(&format!("{}/withdraw", at(proposal))).await
}
