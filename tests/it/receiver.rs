//! A real HTTP server that receives webhooks, and answers as it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::harness::eventually;

/// A delivery as it arrived.
#[derive(Debug, Clone)]
pub struct Arrived {
    pub headers: HeaderMap,
    pub raw: String,
    pub body: Value,
}

impl Arrived {
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

/// What to answer: status, headers, body.
pub type Reply = (u16, Vec<(&'static str, String)>, String);

#[derive(Default)]
struct Inner {
    arrived: Mutex<Vec<Arrived>>,
    /// Answers for the next deliveries; 200 once they are used up.
    replies: Mutex<VecDeque<Reply>>,
}

/// Listens on loopback for as long as it lives.
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
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let inner = Arc::new(Inner::default());
        let app = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, inner, server }
    }

    /// Answers the next deliveries like this, one after the other, and then 200 again.
    pub fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.inner.replies.lock().unwrap().extend(replies);
    }

    /// Everything that has arrived so far.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.inner.arrived.lock().unwrap().clone()
    }

    /// Waits until as many deliveries have arrived; returns all that have.
    pub async fn wait_for(&self, count: usize) -> Vec<Arrived> {
        eventually(async || Some(self.arrived()).filter(|arrived| arrived.len() >= count)).await
    }
}

async fn receive(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    let raw = String::from_utf8(body.to_vec()).unwrap();
    inner.arrived.lock().unwrap().push(Arrived {
        headers,
        body: serde_json::from_str(&raw).unwrap(),
        raw,
    });
    let reply = inner.replies.lock().unwrap().pop_front();
    let (status, headers, text) = reply.unwrap_or((200, vec![], String::new()));
    let mut response = (StatusCode::from_u16(status).unwrap(), text).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
