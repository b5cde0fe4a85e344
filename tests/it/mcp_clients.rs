//! The official clients, as processes of their own, against a real server, in every version that each supports.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use crate::harness::{Client, DAYBOOK, TestApp, id, items};
use crate::mcp::register;
use crate::mcp_wire::{STATELESS, TOOLS, WITH_HANDSHAKE};

/// Returns the directory with the installed clients.
pub fn installed() -> PathBuf {
    let target = Path::new(DAYBOOK).ancestors().nth(2).unwrap();
    let directory = target.join("mcp");
    assert!(
        directory.join("installed").exists(),
        "{} has no MCP clients: run scripts/ensure-clients.sh mcp",
        directory.display()
    );
    directory
}

/// Returns a command for the Node.js that is installed with the clients.
pub fn node() -> Command {
    let directory = installed();
    let mut node = Command::new(directory.join("node_modules/.bin/node"));
    node.current_dir(directory).kill_on_drop(true);
    node
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/mcp_clients")
        .join(name)
}

fn python() -> Command {
    let mut python = Command::new(installed().join("venv/bin/python"));
    python.arg("-B").arg(script("client.py")).kill_on_drop(true);
    python
}

fn typescript() -> Command {
    let mut node = node();
    node.arg(script("client.mjs"));
    node
}

/// A workspace with a note and a task, and an agent in it.
struct Cast {
    app: TestApp,
    agent: Client,
    note: Value,
    workspace_id: Uuid,
}

impl Cast {
    async fn assemble() -> Self {
        let approval = ("DAYBOOK_MCP_APPROVAL_URL", "http://localhost/{id}");
        let app = TestApp::start_with(&[approval]).await;
        let agent = register(&app).await;
        let workspace_id = app.alice.workspace().await;
        app.alice.admit(workspace_id, &agent, "agent").await;
        let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
        let task = json!({"workspace_id": workspace_id, "title": "Buy tea"});
        app.alice.post("/v1/tasks", task).await.expect(201);
        for path in ["notes", "tasks", "links", "search"] {
            app.alice.get(&format!("/v1/{path}")).await.expect(200);
        }
        Self {
            app,
            agent,
            note,
            workspace_id,
        }
    }

    /// Runs a client that uses everything once; returns its output.
    async fn drive(&self, mut command: Command, version: &str, more: &[&str]) -> Value {
        let on = json!({
            "note_id": id(&self.note),
            "workspace_id": self.workspace_id,
            "proposal": {
                "workspace_id": self.workspace_id,
                "rationale": "cold tea has a name",
                "actions": [{"type": "note.create", "title": "Iced tea", "body": "", "tags": ["cold"]}],
            },
        });
        let keys = [&self.agent.key, &self.app.alice.key];
        command
            .arg(&self.app.url)
            .args(keys)
            .arg(version)
            .arg(on.to_string())
            .args(more)
            .stdin(Stdio::null());
        let ended = command.output().await.unwrap();
        let complained = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{complained}");
        serde_json::from_slice(&ended.stdout).unwrap()
    }

    async fn check(&self, name: &str, command: Command, version: &str, more: &[&str]) {
        let seen = self.drive(command, version, more).await;
        let waits = version == STATELESS;
        assert_eq!(seen["version"], version, "{name}");
        assert_eq!(seen["server"], "daybook");
        assert_eq!(seen["tools"], json!(TOOLS));
        assert_eq!(seen["note"]["note"], self.note);
        assert_eq!(seen["found"]["items"][0]["note_id"], self.note["id"]);
        assert_eq!(seen["tasks"]["items"][0]["title"], "Buy tea");
        assert_eq!(seen["status"], "pending");
        assert_eq!(seen["withdrawn"], "withdrawn");
        assert_eq!(seen["waited"], if waits { "applied" } else { "pending" });
        assert_eq!(seen["asked"], i32::from(waits));
        assert_eq!(seen["error"], "not_found");
        let uri = format!("note://{}", id(&self.note));
        assert!(seen["resources"].as_array().unwrap().contains(&json!(uri)));
        assert!(seen["resource"].as_str().unwrap().ends_with("Steep it."));
        assert_eq!(seen["prompts"], 5);
        assert_eq!(seen["prompt"], seen["resource"]);
        let run = format!(
            "/v1/tool-calls?run_id={}",
            format!("{name} {version}").replace(' ', "%20")
        );
        // Alice sees what others have written once it is projected.
        let position = self.app.operator.head().await;
        let calls = items(self.app.alice.get_at(&run, position).await.expect(200));
        assert!(calls.iter().all(|call| call["protocol_version"] == version));
        // One call of each tool, one that waits (and returns), one that fails.
        assert_eq!(calls.len(), 8 + usize::from(waits), "{name} {version}");
    }
}

#[tokio::test]
async fn the_python_client_reads_proposes_and_waits_for_a_person() {
    let cast = Cast::assemble().await;
    for version in [WITH_HANDSHAKE, STATELESS] {
        cast.check("python", python(), version, &[]).await;
    }
}

#[tokio::test]
async fn the_typescript_client_reads_proposes_and_waits_for_a_person() {
    let cast = Cast::assemble().await;
    for version in ["2025-06-18", WITH_HANDSHAKE, STATELESS] {
        let line = ["client"];
        cast.check("typescript", typescript(), version, &line).await;
    }
}

#[tokio::test]
async fn so_does_the_first_line_of_the_typescript_client() {
    let cast = Cast::assemble().await;
    cast.check("typescript", typescript(), WITH_HANDSHAKE, &["sdk"])
        .await;
}
