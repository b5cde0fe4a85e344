//! A real server as a process of its own, and an HTTP client for it.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use uuid::Uuid;

pub use crate::app::{OwnApp, TestApp};

/// The binary under test.
pub const DAYBOOK: &str = env!("CARGO_BIN_EXE_daybook");

/// Root secret of all servers of a test, so that several can share a database.
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The operator's own product.
pub const OPERATOR: Uuid = Uuid::nil();

/// Maximum time to wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Dropping it kills the process at once.
pub struct Server {
    pub url: String,
    pub process: Child,
    /// Read from the file whose path is printed when a database is first used.
    pub operator_key: Option<String>,
    /// Lines printed until the server listened.
    pub printed: Vec<String>,
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// Starts a server on a database; returns once it listens.
    pub async fn start(database_url: &str, variables: &[(&str, &str)]) -> Self {
        Self::launch(&mut serve(database_url, variables)).await
    }

    /// Runs a command that serves; returns once it listens.
    pub async fn launch(command: &mut Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut operator_key = None;
        let mut printed = vec![];
        let url = loop {
            let line = tokio::time::timeout(PATIENCE, stdout.next_line())
                .await
                .expect("the server starts in time")
                .unwrap()
                .expect("the server does not end at once");
            if let Some(file) = line.strip_prefix("operator API key written to ") {
                let key = std::fs::read_to_string(file).unwrap();
                operator_key = Some(key.trim_end().to_owned());
            }
            if let Some(url) = line.strip_prefix("listening on ") {
                break url.to_owned();
            }
            printed.push(line);
        };
        Self {
            url,
            process,
            operator_key,
            printed,
            _stdout: stdout,
        }
    }

    /// Kills the server with `kill -9`.
    pub async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Asks the server to stop (SIGTERM).
    pub async fn tell_to_stop(&self) {
        let id = self.process.id().expect("it still runs").to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(told.unwrap().success());
    }

    /// Waits until the server has ended.
    pub async fn ended(mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.process.wait())
            .await
            .expect("the server ends in time")
            .unwrap()
    }
}

/// Builds `daybook serve` on a free port.
pub fn serve(database_url: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = command(database_url, variables);
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command
}

/// Builds a command with the settings for a database; it logs only warnings and errors.
pub fn command(database_url: &str, variables: &[(&str, &str)]) -> Command {
    with_settings(Command::new(DAYBOOK), database_url, variables)
}

/// Builds `daybook serve` like [`serve`]; the server is killed as soon as the thread that starts it ends.
pub fn serve_until_the_end(database_url: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", DAYBOOK]);
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    with_settings(command, database_url, variables)
}

fn with_settings(mut command: Command, database_url: &str, variables: &[(&str, &str)]) -> Command {
    command
        .env("DATABASE_URL", database_url)
        .env("DAYBOOK_SECRET_KEY", SECRET)
        .env("DAYBOOK_LOG", "warn")
        .env("DAYBOOK_FILES_URL", folder(database_url))
        .env("DAYBOOK_OPERATOR_KEY_FILE", operator_key_file(database_url))
        .env("DAYBOOK_WEBHOOKS_ALLOW_PRIVATE", "true")
        .envs(variables.iter().copied());
    command
}

/// Returns the folder in which the servers on a database store files.
pub fn folder(database_url: &str) -> PathBuf {
    of_database(database_url, "files")
}

/// Returns the file to which the first server on a database writes the operator's key.
pub fn operator_key_file(database_url: &str) -> PathBuf {
    of_database(database_url, "operator-key")
}

fn of_database(database_url: &str, what: &str) -> PathBuf {
    static FOLDERS: LazyLock<PathBuf> = LazyLock::new(store::testing::directory);
    let (server, _) = database_url.split_once('?').unwrap_or((database_url, ""));
    let name = server.rsplit('/').next().unwrap_or_default();
    FOLDERS.join(format!("{what}-{name}"))
}

/// A client with one key that always reads its own writes.
#[derive(Clone)]
pub struct Client {
    pub url: String,
    pub key: String,
    /// Id of the actor; nil if unknown.
    pub actor_id: Uuid,
    http: reqwest::Client,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }

    /// Asserts that the response is a problem with this status and code.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status, self.body["code"].as_str()),
            (status, Some(code)),
            "{:#}",
            self.body
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        domain::testing::record_refusal(code);
        assert_eq!(self.body["status"], status);
        self.body
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// Returns the position of the response.
    #[track_caller]
    pub fn position(&self) -> i64 {
        self.header("daybook-position").parse().unwrap()
    }
}

impl Client {
    pub fn new(url: &str, key: &str) -> Self {
        Self {
            url: url.to_owned(),
            key: key.to_owned(),
            actor_id: Uuid::nil(),
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(PATIENCE)
                .tls_backend_preconfigured(no_tls())
                .build()
                .unwrap(),
        }
    }

    /// Returns a client of the same actor for another server.
    pub fn at(&self, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ..self.clone()
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        if self.key.is_empty() {
            request
        } else {
            request.bearer_auth(&self.key)
        }
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.expect("the server answers")
    }

    /// Sends a request. An error means that the connection was lost, and it is unknown what the server did.
    pub async fn try_send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        Ok(Answer {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        })
    }

    /// Reads a path once the current head of the log is visible.
    pub async fn get(&self, path: &str) -> Answer {
        let head = self.head().await;
        self.get_at(path, head).await
    }

    /// Reads a path at a position or later.
    pub async fn get_at(&self, path: &str, position: i64) -> Answer {
        self.send(
            self.request(Method::GET, path)
                .header("Daybook-Min-Position", position),
        )
        .await
    }

    /// Returns every page of a list in order.
    pub async fn pages(&self, path: &str) -> Vec<Vec<Value>> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut pages = vec![];
        let mut next = path.to_owned();
        loop {
            let page = self.get(&next).await.expect(200);
            pages.push(page["items"].as_array().unwrap().clone());
            assert!(pages.len() < 1_000, "the list does not end");
            if page["next_cursor"].is_null() {
                return pages;
            }
            let cursor = page["next_cursor"].as_str().expect("a cursor is a text");
            next = format!("{path}{joint}cursor={cursor}");
        }
    }

    /// Returns the ids in all pages of a list.
    pub async fn ids(&self, path: &str) -> Vec<Uuid> {
        self.pages(path).await.concat().iter().map(id).collect()
    }

    /// Returns the events that match a query, from the beginning of the log.
    pub async fn events(&self, query: &str) -> Vec<Value> {
        let page = self.get(&format!("/v1/events?limit=1000&{query}")).await;
        let page = page.expect(200);
        assert_eq!(page["next_cursor"], Value::Null, "one page holds them all");
        page["items"].as_array().unwrap().clone()
    }

    /// Returns the last position of the log.
    pub async fn head(&self) -> i64 {
        let answer = self.send(self.request(Method::GET, "/health/live")).await;
        answer.position()
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body))
            .await
    }

    /// Sends a command without a body.
    pub async fn post_empty(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body))
            .await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Creates a product (operator only); returns its id.
    pub async fn product(&self, name: &str) -> Uuid {
        id(&self
            .post("/v1/products", json!({"name": name}))
            .await
            .expect(201))
    }

    /// Issues a key for a new actor of a product; returns a client that uses it.
    pub async fn actor(&self, product_id: Uuid, kind: &str, scopes: &[&str]) -> Self {
        let key = self
            .post(
                "/v1/api-keys",
                json!({"name": kind, "product_id": product_id, "actor": {"kind": kind}, "scopes": scopes}),
            )
            .await
            .expect(201);
        self.holding(&key)
    }

    /// Enrols the key, so that its issuer no longer knows it; returns a client with the new key.
    pub async fn enrolled(self) -> Self {
        let key = self.post_empty("/v1/api-keys/enrol").await.expect(200);
        self.holding(&key)
    }

    /// Returns a client with a key that was just issued, rotated or enrolled.
    pub fn holding(&self, key: &Value) -> Self {
        Self {
            key: key["key"].as_str().unwrap().to_owned(),
            actor_id: key["actor"]["id"].as_str().unwrap().parse().unwrap(),
            ..self.clone()
        }
    }

    /// Creates a workspace; returns its id.
    pub async fn workspace(&self) -> Uuid {
        id(&self
            .post("/v1/workspaces", json!({"name": "Research"}))
            .await
            .expect(201))
    }

    /// Gives another actor a role.
    pub async fn admit(&self, workspace_id: Uuid, actor: &Self, role: &str) {
        self.put(
            &format!("/v1/workspaces/{workspace_id}/members/{}", actor.actor_id),
            json!({"role": role}),
        )
        .await
        .expect(200);
    }

    /// Creates a note; returns it.
    pub async fn note(&self, workspace_id: Uuid, title: &str, body: &str) -> Value {
        self.post(
            "/v1/notes",
            json!({"workspace_id": workspace_id, "title": title, "body": body, "tags": []}),
        )
        .await
        .expect(201)
    }
}

/// Returns settings that trust nobody: tests use no TLS, and reading the certificates of the system takes a tenth of a second.
fn no_tls() -> rustls::ClientConfig {
    // rustls needs a provider nevertheless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

/// Returns a key with a valid checksum that was never issued.
pub fn forged_key() -> String {
    let bits = "0".repeat(64);
    format!("dbk_{bits}{:08x}", crc32(&bits))
}

/// Computes a CRC-32 like zip.
fn crc32(text: &str) -> u32 {
    !text.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// Returns the types of events.
pub fn types(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

/// Returns the pointers to the invalid fields in a problem.
pub fn pointers(problem: &Value) -> Vec<&str> {
    problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect()
}

/// Returns the id of a resource.
#[track_caller]
pub fn id(resource: &Value) -> Uuid {
    resource["id"].as_str().unwrap().parse().unwrap()
}

/// Returns the items of a page.
#[track_caller]
pub fn items(mut page: Value) -> Vec<Value> {
    let Value::Array(items) = page["items"].take() else {
        panic!("{page:#} is no page");
    };
    items
}

/// Returns a time in a response.
#[track_caller]
pub fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

/// Repeats a probe until it succeeds. For asynchronous effects: deliveries, expiry.
pub async fn eventually<T>(mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found)
        .await
        .expect("what is waited for happens in time")
}

/// Returns a problem without the correlation id of its request.
pub fn without_correlation(problem: &Value) -> Value {
    let mut problem = problem.clone();
    if let Some(fields) = problem.as_object_mut() {
        fields.remove("correlation_id");
    }
    problem
}
