//! A client of Daybook's HTTP API, as anybody would write one: a bearer key, an `Idempotency-Key` on every command, positions to read
//! one's own writes, problem details as errors.

mod error;

use std::collections::BTreeMap;
use std::error::Error;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use reqwest::header::{ACCEPT, IF_MATCH, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use error::{ClientError, Problem};

/// Maximum number of attempts per request.
const ATTEMPTS: u32 = 6;
/// Time limit of one request; streams have none.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The connection of one actor.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    server: Arc<str>,
    key: Arc<str>,
    /// Latest position in any answer, shared by all actors, so that each reads what the others wrote.
    seen: Arc<AtomicI64>,
}

/// The event that caused a command; it connects both in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    pub event_id: Uuid,
    pub correlation_id: Uuid,
}

/// An answer to a command.
pub struct Answer<T> {
    pub body: T,
    /// True if the command had already taken effect.
    pub replayed: bool,
}

/// The URL for uploading a file's bytes, and its headers; it needs no key.
#[derive(Deserialize)]
pub struct Upload {
    pub url: String,
    pub headers: BTreeMap<String, String>,
}

/// A page of a list.
#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl Client {
    pub fn new(server: &str, key: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            server: server.trim_end_matches('/').into(),
            key: key.into(),
            seen: Arc::default(),
        }
    }

    /// Returns a client of the same server for another actor.
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            key: key.into(),
            ..self.clone()
        }
    }

    pub fn server(&self) -> &str {
        &self.server
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    /// Makes all further queries see everything that is in the log now.
    pub async fn catch_up(&self) -> Result<(), ClientError> {
        self.get::<Value>("/health/live").await.map(drop)
    }

    /// Records a position that another client of the same actors has seen.
    pub fn saw(&self, position: i64) {
        self.seen.fetch_max(position, Ordering::Relaxed);
    }

    /// Returns the latest position in any answer of the server.
    pub fn position(&self) -> i64 {
        self.seen.load(Ordering::Relaxed)
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = self.request(Method::GET, path).timeout(TIMEOUT);
        decode(path, self.answer(path, request).await?).await
    }

    /// Returns all pages of a list; the path must already have a query.
    pub async fn list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ClientError> {
        let mut page: Page<T> = self.get(path).await?;
        let mut items = page.items;
        while let Some(cursor) = page.next_cursor {
            page = self.get(&format!("{path}&cursor={cursor}")).await?;
            items.append(&mut page.items);
        }
        Ok(items)
    }

    /// Reads events as JSON lines up to the end of the log; the path must already have a query. Keeps only the current lines in memory.
    pub async fn lines<T: DeserializeOwned>(
        &self,
        path: &str,
        mut each: impl FnMut(T),
    ) -> Result<(), ClientError> {
        let path = &format!("{path}&follow=false");
        let unexpected = |reason: String| ClientError::Unexpected {
            request: format!("GET {path}"),
            reason,
        };
        let request = self
            .request(Method::GET, path)
            .header(ACCEPT, "application/x-ndjson");
        let mut response = self.answer(path, request).await?;
        let mut pending = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| unexpected(explain(&error)))?
        {
            pending.extend_from_slice(&chunk);
            let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') else {
                continue;
            };
            let rest = pending.split_off(end + 1);
            for line in std::mem::replace(&mut pending, rest).split(|byte| *byte == b'\n') {
                if !line.is_empty() {
                    each(serde_json::from_slice(line).map_err(|e| unexpected(e.to_string()))?);
                }
            }
        }
        if pending.is_empty() {
            Ok(())
        } else {
            Err(unexpected("it breaks off in the middle of a line".into()))
        }
    }

    /// Downloads the bytes of a file from the URL that the server has given.
    pub async fn bytes(&self, url: &str) -> Result<Vec<u8>, ClientError> {
        let request = self.http.get(format!("{}{url}", self.server));
        let bytes = self
            .answer(url, request.timeout(TIMEOUT))
            .await?
            .bytes()
            .await;
        let bytes = bytes.map_err(|error| ClientError::Unexpected {
            request: format!("GET {url}"),
            reason: explain(&error),
        })?;
        Ok(bytes.to_vec())
    }

    /// Uploads the bytes of a file to the URL that the server has given.
    pub async fn upload(&self, to: &Upload, bytes: Bytes) -> Result<(), ClientError> {
        let address = format!("{}{}", self.server, to.url);
        let mut request = self.http.put(address).timeout(TIMEOUT).body(bytes);
        for (name, value) in &to.headers {
            request = request.header(name, value);
        }
        self.answer(&to.url, request).await.map(drop)
    }

    pub fn post(&self, path: impl Into<String>, body: Value) -> Command<'_> {
        self.command(Method::POST, path.into(), body)
    }

    pub fn patch(&self, path: impl Into<String>, body: Value) -> Command<'_> {
        self.command(Method::PATCH, path.into(), body)
    }

    pub fn delete(&self, path: impl Into<String>) -> Command<'_> {
        self.command(Method::DELETE, path.into(), json!({}))
    }

    pub fn put(&self, path: impl Into<String>, body: Value) -> Command<'_> {
        self.command(Method::PUT, path.into(), body)
    }

    fn command(&self, method: Method, path: String, body: Value) -> Command<'_> {
        Command {
            client: self,
            method,
            path,
            body,
            occasion: String::new(),
            cause: None,
            if_match: None,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.server))
            .bearer_auth(&self.key)
            .header("Daybook-Min-Position", self.position())
    }

    /// Sends a request with retries. Because of its idempotency key, a repeated command takes effect once.
    async fn answer(&self, path: &str, request: RequestBuilder) -> Result<Response, ClientError> {
        let mut wait = Duration::from_millis(100);
        for _ in 1..ATTEMPTS {
            // Only a body of bytes can be sent twice.
            let Some(copy) = request.try_clone() else {
                break;
            };
            match self.attempt(path, copy).await {
                Err(error) if let Some(pause) = self.passing(&error, wait) => {
                    tokio::time::sleep(pause).await;
                }
                result => return result,
            }
            wait *= 2;
        }
        self.attempt(path, request).await
    }

    /// Returns the pause before a retry; `None` if retrying would not help.
    fn passing(&self, error: &ClientError, wait: Duration) -> Option<Duration> {
        if let ClientError::Refused { problem, .. } = error {
            return problem.retry_after.map(|pause| pause.min(TIMEOUT));
        }
        // A server that has never answered is probably not running.
        let lost = matches!(error, ClientError::Unreachable { .. }) && self.position() > 0;
        lost.then_some(wait)
    }

    /// Sends a request once, and turns a problem into an error.
    async fn attempt(&self, path: &str, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request
            .send()
            .await
            .map_err(|error| ClientError::Unreachable {
                server: self.server.to_string(),
                reason: explain(&error),
            })?;
        if let Some(position) = header(&response, "daybook-position") {
            self.saw(position);
        }
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = header(&response, RETRY_AFTER.as_str()).map(Duration::from_secs);
        let text = response.text().await.unwrap_or_default();
        let problem = serde_json::from_str(&text).unwrap_or_else(|_| Problem {
            status: status.as_u16(),
            code: "no_problem_details".into(),
            detail: format!(
                "this is not how Daybook answers: {}",
                text.lines().next().unwrap_or_default()
            ),
            retry_after: None,
        });
        Err(ClientError::Refused {
            request: path.to_owned(),
            problem: Problem {
                retry_after,
                ..problem
            },
        })
    }
}

/// A command to send: its content, its occasion and its cause.
#[must_use]
pub struct Command<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    body: Value,
    occasion: String,
    cause: Option<Cause>,
    if_match: Option<i64>,
}

impl Command<'_> {
    /// Distinguishes commands with equal content, such as two files with the same text, or two runs.
    pub fn on(mut self, occasion: impl Into<String>) -> Self {
        self.occasion = occasion.into();
        self
    }

    pub const fn because(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Makes the command take effect only on this version.
    pub const fn at_version(mut self, version: i64) -> Self {
        self.if_match = Some(version);
        self
    }

    /// Sends the command. It takes effect once, however often this run or a later one sends it.
    pub async fn send<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        Ok(self.answer().await?.body)
    }

    /// Sends the command like [`send`](Self::send), and tells whether it took effect earlier.
    pub async fn answer<T: DeserializeOwned>(self) -> Result<Answer<T>, ClientError> {
        let mut request = self
            .client
            .request(self.method.clone(), &self.path)
            .timeout(TIMEOUT)
            .header("Idempotency-Key", self.idempotency_key())
            .json(&self.body);
        if let Some(version) = self.if_match {
            request = request.header(IF_MATCH, format!("\"{version}\""));
        }
        if let Some(cause) = self.cause {
            request = request
                .header("Daybook-Causation-Id", cause.event_id.to_string())
                .header("Daybook-Correlation-Id", cause.correlation_id.to_string());
        }
        let response = self.client.answer(&self.path, request).await?;
        Ok(Answer {
            replayed: response.headers().contains_key("idempotency-replayed"),
            body: decode(&self.path, response).await?,
        })
    }

    /// Returns a key derived from the whole command.
    fn idempotency_key(&self) -> String {
        let body = self.body.to_string();
        let parts = [self.method.as_str(), &self.path, &self.occasion, &body];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
            hash.update([0]);
        }
        hex::encode(hash.finalize())
    }
}

fn header<T: FromStr>(response: &Response, name: &str) -> Option<T> {
    response.headers().get(name)?.to_str().ok()?.parse().ok()
}

/// Returns the innermost cause, because reqwest's own text stops at "error sending request".
fn explain(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

async fn decode<T: DeserializeOwned>(path: &str, response: Response) -> Result<T, ClientError> {
    response
        .json()
        .await
        .map_err(|error| ClientError::Unexpected {
            request: path.to_owned(),
            reason: explain(&error),
        })
}
