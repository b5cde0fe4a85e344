//! A webhook endpoint from its example to its last delivery.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::cast::Cast;
use super::error::DemoError;
use super::log::Log;
use super::receiver::Receiver;
use crate::progress::{Phase, say, warn};

const EVENTS: [&str; 2] = ["proposal.*", "note.*"];
/// Description that identifies an endpoint of an interrupted run.
const DESCRIPTION: &str = "daybook demo";

/// Longest time without progress. The server's first retry comes after five seconds.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

/// An endpoint and the receiver behind it.
pub struct Endpoint {
    pub id: Uuid,
    pub position: i64,
    pub receiver: Receiver,
    /// True if the server reaches the receiver.
    pub works: bool,
}

#[derive(Deserialize)]
struct Created {
    id: Uuid,
    position: i64,
    /// The secret; only in the first answer.
    secret: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    id: Uuid,
    description: Option<String>,
    status: String,
}

#[derive(Deserialize)]
struct Delivery {
    status: String,
    last_status: Option<u16>,
    last_error: Option<String>,
}

impl Endpoint {
    /// Creates an endpoint, and checks that an example arrives.
    pub async fn open(cast: &Cast) -> Result<Self, DemoError> {
        retire_old_ones(cast).await?;
        let receiver = Receiver::start().await?;
        let body = json!({"url": receiver.url, "events": EVENTS, "description": DESCRIPTION});
        let created: Created = cast.author.post("/v1/webhooks", body).send().await?;
        receiver.trust(&secret(cast, &created).await?)?;
        let mut endpoint = Self {
            id: created.id,
            position: created.position,
            receiver,
            works: true,
        };
        match endpoint.try_out(cast).await? {
            None => say(
                "webhook",
                &format!(
                    "{} to {} for {}: an example has arrived, its signature is right",
                    endpoint.id,
                    endpoint.receiver.url,
                    EVENTS.join(", ")
                ),
            ),
            Some(reason) => {
                endpoint.works = false;
                warn(&format!(
                    "the server cannot send webhooks to this machine: {reason}\n  \
                     For the demonstration, run it here with DAYBOOK_WEBHOOKS_ALLOW_PRIVATE=true. \
                     This run goes on without webhooks."
                ));
                endpoint.close(cast).await?;
            }
        }
        Ok(endpoint)
    }

    /// Returns the reason why the example did not arrive; `None` if it did.
    async fn try_out(&self, cast: &Cast) -> Result<Option<String>, DemoError> {
        let path = format!("/v1/webhooks/{}", self.id);
        cast.author
            .post(format!("{path}/send-example"), json!({}))
            .send::<Value>()
            .await?;
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if self.receiver.tally().examples > 0 {
                return Ok(None);
            }
            let deliveries: Vec<Delivery> = cast
                .author
                .list(&format!("{path}/deliveries?limit=1"))
                .await?;
            let failed = deliveries.into_iter().find(|d| d.status != "succeeded");
            if let Some(delivery) = failed {
                return Ok(Some(delivery.reason()));
            }
            tokio::time::sleep(PAUSE).await;
        }
        let seconds = PATIENCE.as_secs();
        Ok(Some(format!("no attempt was made within {seconds} s")))
    }

    /// Waits until everything has arrived and is in the log, or nothing more arrives.
    pub async fn settle(&self, log: &mut Log) -> Result<(), DemoError> {
        let phase = Phase::start("webhooks", 0);
        let mut last_progress = Instant::now();
        let mut seen = 0;
        loop {
            log.read_on().await?;
            let open = log.to_deliver.difference(&log.delivered).count();
            phase.set_length(log.to_deliver.len());
            phase.set_position(log.to_deliver.len() - open);
            if open == 0 || !self.works || last_progress.elapsed() > PATIENCE {
                break;
            }
            if log.events > seen {
                seen = log.events;
                last_progress = Instant::now();
            }
            tokio::time::sleep(PAUSE).await;
        }
        let tally = self.receiver.tally();
        phase.finish(&if self.works {
            format!(
                "{} received, {} signatures verified",
                tally.received, tally.verified
            )
        } else {
            "none, as warned above".to_owned()
        });
        Ok(())
    }

    /// Checks that all events due for delivery have arrived with good signatures.
    pub fn check(&self, log: &Log) -> Result<(), DemoError> {
        let tally = self.receiver.tally();
        if tally.bad_signatures > 0 {
            return Err(DemoError::BadSignatures(tally.bad_signatures));
        }
        let missing = log.to_deliver.difference(&tally.events).count();
        if self.works && missing > 0 {
            let expected = log.to_deliver.len();
            return Err(DemoError::Undelivered { missing, expected });
        }
        Ok(())
    }

    /// Disables the endpoint; otherwise the server would retry deliveries to a dead receiver for days. Its deliveries can still be read.
    pub async fn close(&self, cast: &Cast) -> Result<(), DemoError> {
        disable(cast, self.id).await
    }
}

impl Delivery {
    fn reason(self) -> String {
        self.last_error
            .or_else(|| Some(format!("the answer was {}", self.last_status?)))
            .unwrap_or(self.status)
    }
}

/// Returns the secret as shown, or rotates it if that answer was lost.
async fn secret(cast: &Cast, created: &Created) -> Result<String, DemoError> {
    let path = format!("/v1/webhooks/{}/rotate-secret", created.id);
    let mut secret = created.secret.clone();
    loop {
        if let Some(secret) = secret {
            return Ok(secret);
        }
        let rotate = cast.author.post(&path, json!({"overlap_seconds": 0}));
        let rotated: Created = rotate.on(Uuid::now_v7()).send().await?;
        secret = rotated.secret;
    }
}

/// Disables the endpoints of interrupted runs; their receivers are gone, and deliveries would be retried for days.
async fn retire_old_ones(cast: &Cast) -> Result<(), DemoError> {
    let endpoints: Vec<Listed> = cast.author.list("/v1/webhooks?limit=100").await?;
    for endpoint in endpoints {
        let old = endpoint.description.as_deref() == Some(DESCRIPTION);
        if old && endpoint.status == "enabled" {
            disable(cast, endpoint.id).await?;
        }
    }
    Ok(())
}

async fn disable(cast: &Cast, id: Uuid) -> Result<(), DemoError> {
    cast.author
        .post(format!("/v1/webhooks/{id}/disable"), json!({}))
        .send::<Value>()
        .await?;
    Ok(())
}
