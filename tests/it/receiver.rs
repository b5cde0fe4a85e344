//! A real HTTP server that receives webhooks, and responds as instructed.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::harness::{Client, eventually, id, items};

/// A received delivery.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub headers: HeaderMap,
    pub raw: String,
    pub body: Value,
    pub at: DateTime<Utc>,
}

impl Arrived {
    /// Returns true if a secret verifies the delivery, by the official library of Standard Webhooks.
    pub fn verifies_with(&self, secret: &str) -> bool {
        let webhook = standardwebhooks::Webhook::new(secret).unwrap();
        webhook.verify(self.raw.as_bytes(), &self.headers).is_ok()
    }

    /// Id of the event.
    #[track_caller]
    pub fn event_id(&self) -> &str {
        self.body["data"]["event_id"].as_str().unwrap()
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// Type of the event.
    #[track_caller]
    pub fn event_type(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }
}

/// A response to send: status, headers, body.
pub type Reply = (u16, Vec<(&'static str, String)>, String);

/// Returns a response with only a status.
pub fn status(status: u16) -> Reply {
    (status, vec![], String::new())
}

/// Retries twice without waiting.
pub const AT_ONCE: (&str, &str) = ("DAYBOOK_WEBHOOKS_SCHEDULE", "0s,0s");
/// Retries after the end of any test.
pub const MUCH_LATER: (&str, &str) = ("DAYBOOK_WEBHOOKS_SCHEDULE", "1h");

/// Returns the ids of the events that have arrived.
pub fn arrived_ids(arrived: &[Arrived]) -> BTreeSet<&str> {
    arrived.iter().map(Arrived::event_id).collect()
}

/// Returns the types of the events that have arrived, in alphabetical order.
pub fn arrived_types(arrived: &[Arrived]) -> Vec<&str> {
    let mut types: Vec<&str> = arrived.iter().map(Arrived::event_type).collect();
    types.sort_unstable();
    types
}

/// Returns the ids of events of the log.
pub fn event_ids<'a>(events: impl IntoIterator<Item = &'a Value>) -> BTreeSet<&'a str> {
    let ids = events.into_iter().map(|event| event["event_id"].as_str());
    ids.map(Option::unwrap).collect()
}

#[derive(Default)]
struct Inner {
    arrived: Mutex<Vec<Arrived>>,
    /// Responses to the next deliveries; 200 once they are used up.
    replies: Mutex<VecDeque<Reply>>,
    /// The types of events that get a 500.
    refused: Mutex<BTreeSet<String>>,
}

/// A receiver that listens on loopback until it is dropped.
pub struct Receiver {
    pub url: String,
    inner: Arc<Inner>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // A path of its own, because the port may have been another receiver's, to which a server still sends retries.
        let path = format!("/{}", Uuid::new_v4());
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner::default());
        let app = Router::new()
            .route(&path, any(receive))
            .route(&format!("{path}/{{*below}}"), any(receive))
            .with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, inner, server }
    }

    /// Responds to the next deliveries like this, in order, and then with 200 again.
    pub fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.inner.replies.lock().unwrap().extend(replies);
    }

    /// Responds with 500 to events of this type.
    pub fn refuse(&self, event_type: &str) {
        self.inner.refused.lock().unwrap().insert(event_type.into());
    }

    /// Responds with 200 from now on.
    pub fn mend(&self) {
        self.inner.replies.lock().unwrap().clear();
        self.inner.refused.lock().unwrap().clear();
    }

    /// Returns all deliveries so far.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.inner.arrived.lock().unwrap().clone()
    }

    /// Waits until so many deliveries have arrived; returns all of them.
    pub async fn wait_for(&self, count: usize) -> Vec<Arrived> {
        eventually(async || Some(self.arrived()).filter(|arrived| arrived.len() >= count)).await
    }
}

async fn receive(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    let raw = String::from_utf8(body.to_vec()).unwrap();
    let arrived = Arrived {
        headers,
        body: serde_json::from_str(&raw).unwrap(),
        raw,
        at: Utc::now(),
    };
    let refused = inner.refused.lock().unwrap().contains(arrived.event_type());
    inner.arrived.lock().unwrap().push(arrived);
    let reply = inner.replies.lock().unwrap().pop_front();
    let (status, headers, text) = match reply {
        Some(reply) => reply,
        None if refused => status(500),
        None => status(200),
    };
    let mut response = (StatusCode::from_u16(status).unwrap(), text).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// A new endpoint.
pub struct Endpoint {
    pub id: Uuid,
    pub secret: String,
    /// Path of the endpoint in the API.
    pub path: String,
}

impl Endpoint {
    /// Creates an endpoint for a receiver at a URL.
    pub async fn create(client: &Client, url: &str, events: &[&str]) -> Self {
        Self::create_with(client, json!({"url": url, "events": events})).await
    }

    /// Creates an endpoint from a complete body.
    pub async fn create_with(client: &Client, body: Value) -> Self {
        let made = client.post("/v1/webhooks", body).await.expect(201);
        Self {
            id: id(&made),
            secret: made["secret"].as_str().unwrap().to_owned(),
            path: format!("/v1/webhooks/{}", id(&made)),
        }
    }

    /// Returns the deliveries of the endpoint, newest first.
    pub async fn deliveries(&self, client: &Client) -> Vec<Value> {
        let path = format!("{}/deliveries?limit=200", self.path);
        items(client.get(&path).await.expect(200))
    }

    /// Waits until the endpoint has a delivery with this status; returns it.
    pub async fn delivery(&self, client: &Client, status: &str) -> Value {
        eventually(async || {
            let deliveries = self.deliveries(client).await;
            deliveries
                .into_iter()
                .find(|delivery| delivery["status"] == status)
        })
        .await
    }

    /// Returns the types of the events of the endpoint, in order.
    pub async fn story(&self, client: &Client) -> Vec<String> {
        let events = client.events(&format!("stream=webhook-{}", self.id)).await;
        let types = events.iter().map(|event| event["type"].as_str().unwrap());
        types.map(str::to_owned).collect()
    }

    /// Returns the recorded attempts to deliver to the endpoint, in order.
    pub async fn attempts(&self, client: &Client) -> Vec<Value> {
        let mut attempts = client.events("type=webhook.delivery_attempted").await;
        attempts.retain(|event| event["data"]["webhook_id"] == json!(self.id));
        attempts
    }
}

/// A faulty receiver: the test decides what it does with each connection.
pub struct Crooked {
    pub url: String,
    connections: Arc<AtomicUsize>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Crooked {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Crooked {
    pub async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let server = tokio::spawn(async move {
            // The connections end with the receiver.
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::Relaxed);
                open.spawn(serve(stream));
            }
        });
        Self {
            url,
            connections,
            server,
        }
    }

    /// Reads every request and never responds.
    pub async fn silent() -> Self {
        Self::start(|mut stream| async move {
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        })
        .await
    }

    /// Returns the number of connections.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}
