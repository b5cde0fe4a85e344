//! A `daybook serve` in its own process, and a tenant to load it with.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use domain::{Actor, ActorKind};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::growth;
use crate::notes::Desk;

const SECRET_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub struct Server {
    process: Child,
    pub url: String,
    /// The operator's API key; empty if this was not the first start on the database.
    pub operator: String,
    /// Time from the start until the server listened.
    pub started_in: Duration,
}

impl Server {
    pub async fn start(database_url: &str) -> Self {
        Self::launch(command().env("DATABASE_URL", database_url)).await
    }

    pub async fn launch(command: &mut Command) -> Self {
        let started = Instant::now();
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut operator = String::new();
        loop {
            let line = lines.next_line().await.unwrap().expect("the server starts");
            if let Some(file) = line.strip_prefix("operator API key written to ") {
                let key = std::fs::read_to_string(file).unwrap();
                key.trim_end().clone_into(&mut operator);
                std::fs::remove_file(file).unwrap();
            }
            if let Some(url) = line.strip_prefix("listening on ") {
                return Self {
                    process,
                    url: url.to_owned(),
                    operator,
                    started_in: started.elapsed(),
                };
            }
        }
    }

    /// Returns the resident memory of the server, in megabytes.
    pub fn resident_mb(&self) -> f64 {
        let id = self.process.id().expect("the server runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let kilobytes: f64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse().ok())
            .expect("the kernel says how much memory a process has");
        kilobytes / 1024.0
    }

    pub async fn stop(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Sends a `POST` request; returns the response.
    pub async fn post(&self, key: &str, what: &str, body: Value) -> Value {
        let request = Client::new()
            .post(format!("{}/v1/{what}", self.url))
            .bearer_auth(key)
            .json(&body);
        let response = request.send().await.unwrap().error_for_status().unwrap();
        response.json().await.unwrap()
    }
}

/// Returns `daybook serve`, not started yet.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daybook"));
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env_remove("DATABASE_URL")
        .env_remove(growth::EVENTS)
        .env("DAYBOOK_SECRET_KEY", SECRET_KEY)
        .env("DAYBOOK_OPERATOR_KEY_FILE", operator_key_file())
        .stdout(Stdio::piped())
        .stderr(crate::log())
        .kill_on_drop(true);
    command
}

/// Returns a path for the operator's key of one database.
fn operator_key_file() -> PathBuf {
    std::env::temp_dir().join(format!("daybook-bench-{}.key", Uuid::new_v4()))
}

/// A product on a server, a person in it and their workspace.
pub struct Tenant {
    /// The person's API key.
    pub key: String,
    pub desk: Desk,
}

impl Tenant {
    pub async fn new(server: &Server) -> Self {
        let product = json!({"name": "bench"});
        let product = server.post(&server.operator, "products", product).await;
        let key = json!({"name": "bench", "product_id": product["id"], "actor": {"kind": "person"}, "scopes": ["*"]});
        let issued = server.post(&server.operator, "api-keys", key).await;
        let key = issued["key"].as_str().unwrap().to_owned();
        let workspace = server
            .post(&key, "workspaces", json!({"name": "bench"}))
            .await;
        Self {
            desk: Desk {
                product_id: id(&product["id"]),
                workspace_id: id(&workspace["id"]),
                actor: Actor {
                    kind: ActorKind::Person,
                    id: id(&issued["actor"]["id"]),
                },
            },
            key,
        }
    }
}

fn id(value: &Value) -> Uuid {
    value.as_str().unwrap().parse().unwrap()
}
