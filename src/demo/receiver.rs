//! A webhook receiver as a customer would write it: it verifies the signature and counts the delivery.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde::Deserialize;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::error::DemoError;

/// A receiver that listens on this machine until it is dropped.
pub struct Receiver {
    pub url: String,
    inbox: Arc<Inbox>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Inbox {
    /// Set once the endpoint exists; nothing is sent before that.
    verifier: OnceLock<Webhook>,
    tally: Mutex<Tally>,
}

/// Counts of deliveries.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    pub received: usize,
    pub verified: usize,
    pub bad_signatures: usize,
    pub examples: usize,
    /// Delivered events. A webhook may arrive twice; its event counts once.
    pub events: HashSet<Uuid>,
}

/// The relevant parts of `{type, timestamp, data}`, where `data` is the event.
#[derive(Deserialize)]
struct Delivery {
    data: Event,
}

#[derive(Deserialize)]
struct Event {
    event_id: Uuid,
    #[serde(default)]
    example: bool,
}

impl Receiver {
    pub async fn start() -> Result<Self, DemoError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/webhooks", listener.local_addr()?);
        let inbox = Arc::new(Inbox::default());
        let app = Router::new()
            .route("/webhooks", post(receive))
            .with_state(Arc::clone(&inbox));
        let server = tokio::spawn(async move {
            // Accepting continues whatever happens to a connection.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, inbox, server })
    }

    /// Sets the secret that verifies all further signatures.
    pub fn trust(&self, secret: &str) -> Result<(), DemoError> {
        let verifier = Webhook::new(secret)?;
        self.inbox.verifier.get_or_init(|| verifier);
        Ok(())
    }

    pub fn tally(&self) -> Tally {
        self.inbox
            .tally
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(inbox): State<Arc<Inbox>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    inbox.take(&headers, &body)
}

impl Inbox {
    fn take(&self, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let genuine = self
            .verifier
            .get()
            .is_some_and(|webhook| webhook.verify(body, headers).is_ok());
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.received += 1;
        if !genuine {
            tally.bad_signatures += 1;
            return StatusCode::UNAUTHORIZED;
        }
        tally.verified += 1;
        match serde_json::from_slice::<Delivery>(body) {
            Ok(Delivery { data }) if data.example => tally.examples += 1,
            Ok(Delivery { data }) => {
                tally.events.insert(data.event_id);
            }
            Err(_) => return StatusCode::BAD_REQUEST,
        }
        StatusCode::NO_CONTENT
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn inbox() -> Inbox {
        let inbox = Inbox::default();
        inbox.verifier.get_or_init(|| Webhook::new(SECRET).unwrap());
        inbox
    }

    fn signed(body: &str) -> HeaderMap {
        let now = Utc::now().timestamp();
        let signature = Webhook::new(SECRET)
            .unwrap()
            .sign("msg_1", now, body.as_bytes())
            .unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "msg_1".parse().unwrap());
        headers.insert("webhook-timestamp", now.into());
        headers.insert("webhook-signature", signature.parse().unwrap());
        headers
    }

    fn body(event_id: Uuid) -> String {
        format!(r#"{{"type": "note.created", "data": {{"event_id": "{event_id}"}}}}"#)
    }

    #[test]
    fn a_webhook_that_comes_twice_is_one_event() {
        let (inbox, event_id) = (inbox(), Uuid::now_v7());
        let body = body(event_id);
        for _ in 0..2 {
            let answer = inbox.take(&signed(&body), body.as_bytes());
            assert_eq!(answer, StatusCode::NO_CONTENT);
        }
        let expected = Tally {
            received: 2,
            verified: 2,
            events: HashSet::from([event_id]),
            ..Tally::default()
        };
        assert_eq!(*inbox.tally.lock().unwrap(), expected);
    }

    #[test]
    fn what_was_tampered_with_is_refused_and_not_counted() {
        let inbox = inbox();
        let headers = signed(&body(Uuid::now_v7()));
        let other = body(Uuid::now_v7());
        let answer = inbox.take(&headers, other.as_bytes());
        assert_eq!(answer, StatusCode::UNAUTHORIZED);
        let unsigned = inbox.take(&HeaderMap::new(), other.as_bytes());
        assert_eq!(unsigned, StatusCode::UNAUTHORIZED);
        let expected = Tally {
            received: 2,
            bad_signatures: 2,
            ..Tally::default()
        };
        assert_eq!(*inbox.tally.lock().unwrap(), expected);
    }
}
