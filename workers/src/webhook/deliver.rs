//! Sends a delivery to its endpoint, and records the result.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use commands::Request;
use commands::delivery::webhook::RecordAttempt;
use domain::Aggregate;
use domain::delivery::webhook::{EXAMPLE_REQUESTED, Endpoint, Webhook};
use domain::delivery::webhook_delivery::{Attempt, Delivery};
use serde_json::json;
use store::{ReadError, Recorded};
use uuid::Uuid;

use super::events::Events;
use super::payload::{DELIVER, Payload};
use super::sender::{Answer, Sender, Signed};
use super::streak::Streaks;
use super::{Settings, body, owner, sign};
use crate::WorkerContext;
use crate::job_handler::{JobHandler, Outcome};
use crate::jobs::Job;

/// Maximum number of concurrent attempts per endpoint.
const AT_A_TIME: usize = 64;

/// Sends due deliveries to endpoints.
pub struct Deliver {
    context: WorkerContext,
    settings: Settings,
    sender: Sender,
    events: Events,
    /// Time at which each endpoint with a rate limit is free again.
    free_at: Mutex<HashMap<Uuid, DateTime<Utc>>>,
    streaks: Streaks,
}

impl Deliver {
    pub fn new(context: WorkerContext, settings: Settings) -> Self {
        Self {
            sender: Sender::new(settings.allow_private, settings.timeout),
            events: Events::new(Arc::clone(&context.store)),
            context,
            settings,
            free_at: Mutex::default(),
            streaks: Streaks::default(),
        }
    }

    async fn deliver(&self, item: &Job, payload: Payload) -> Result<Outcome, String> {
        let repository = self.context.executor.repository();
        let webhook = repository
            .recent::<Webhook>(payload.webhook_id)
            .await
            .map_err(|error| error.to_string())?;
        let Some(endpoint) = webhook.state.endpoint() else {
            self.streaks.forget(&item.partition);
            return Ok(Outcome::Done);
        };
        if endpoint.disabled.is_some() {
            return Ok(Outcome::Hold("the endpoint is disabled".into()));
        }
        let scopes = owner::scopes(repository, endpoint.owner).await;
        let Some(scopes) = scopes.map_err(|error| error.to_string())? else {
            let key = endpoint.owner.api_key_id;
            let (context, id, cause) = (&self.context, payload.webhook_id, payload.event_id);
            owner::disown(context, id, item.product_id, key, cause)
                .await
                .map_err(|error| error.to_string())?;
            return Ok(Outcome::Hold(owner::KEY_REVOKED.into()));
        };
        let found = self.event(&payload).await;
        let Some(event) = found.map_err(|error| error.to_string())? else {
            return Ok(Outcome::DeadLetter("its event is not in the log".into()));
        };
        // An example reveals nothing.
        if event.event_type != EXAMPLE_REQUESTED
            && !owner::sees(repository, item.product_id, endpoint.owner, &scopes, &event)
                .await
                .map_err(|error| error.to_string())?
        {
            return Ok(Outcome::Done);
        }
        if let Some(at) = self.turn(&payload, endpoint) {
            return Ok(Outcome::Again {
                at,
                payload: json!(Payload {
                    paced: true,
                    ..payload
                }),
            });
        }
        let answer = self.send(&payload, endpoint, &event).await?;
        self.record(item, payload, &event, answer).await
    }

    async fn event(&self, payload: &Payload) -> Result<Option<Arc<Recorded>>, ReadError> {
        let found = match payload.position {
            Some(position) => self.events.at(position).await?,
            None => {
                let found = self.context.store.find(payload.event_id).await?;
                found.map(Arc::new)
            }
        };
        Ok(found.filter(|event| event.event_id == payload.event_id))
    }

    /// Reserves the next free time for a delivery under a rate limit; returns the time if the delivery must wait for it.
    fn turn(&self, payload: &Payload, endpoint: &Endpoint) -> Option<DateTime<Utc>> {
        let limit = endpoint.rate_limit.filter(|_| !payload.paced)?;
        let now = Utc::now();
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = free_at.entry(payload.webhook_id).or_insert(now);
        let at = (*slot).max(now);
        *slot = at + TimeDelta::microseconds(1_000_000 / i64::from(limit.max(1)));
        (at > now).then_some(at)
    }

    async fn send(
        &self,
        payload: &Payload,
        endpoint: &Endpoint,
        event: &Recorded,
    ) -> Result<Answer, String> {
        let body = body::of(event).map_err(|error| error.to_string())?;
        let id = format!("msg_{}", event.event_id);
        let timestamp = Utc::now();
        let signed = Signed {
            signature: sign(
                &self.keys(payload.webhook_id, endpoint, timestamp),
                &id,
                timestamp,
                &body,
            ),
            headers: self.headers(payload.webhook_id, endpoint)?,
            id: &id,
            timestamp,
            body,
        };
        Ok(self.sender.send(endpoint, signed).await)
    }

    /// Returns the endpoint's own headers, with unsealed values.
    fn headers<'a>(
        &self,
        id: Uuid,
        endpoint: &'a Endpoint,
    ) -> Result<Vec<(&'a str, String)>, String> {
        let open = |(name, sealed): (&'a String, &String)| {
            let value = self.settings.secrets.open(id, sealed);
            let lost = || format!("the value of header {name} cannot be unsealed: set it again");
            Ok((name.as_str(), value.ok_or_else(lost)?))
        };
        endpoint.headers.iter().map(open).collect()
    }

    /// Returns the current secret, and the previous one during the overlap.
    fn keys(&self, id: Uuid, endpoint: &Endpoint, now: DateTime<Utc>) -> Vec<[u8; 32]> {
        let secrets = &self.settings.secrets;
        let mut keys = vec![secrets.webhook_key(id, endpoint.generation)];
        if endpoint
            .previous_secret_valid_until
            .is_some_and(|end| now < end)
        {
            keys.push(secrets.webhook_key(id, endpoint.generation - 1));
        }
        keys
    }

    async fn record(
        &self,
        item: &Job,
        payload: Payload,
        event: &Recorded,
        answer: Answer,
    ) -> Result<Outcome, String> {
        let succeeded = answer
            .status
            .is_some_and(|status| (200..300).contains(&status));
        self.streaks.note(&item.partition, succeeded);
        let outcome = if succeeded { "succeeded" } else { "failed" };
        metrics::counter!("daybook_webhook_attempts_total", "outcome" => outcome).increment(1);
        metrics::histogram!("daybook_webhook_attempt_seconds").record(answer.duration);
        let attempt = Attempt {
            webhook_id: payload.webhook_id,
            event_id: event.event_id,
            event_type: event.event_type.clone(),
            succeeded,
            status: answer.status,
            error: answer.error,
            duration_ms: u64::try_from(answer.duration.as_millis()).unwrap_or(u64::MAX),
            response: answer.response,
            backoff: self.settings.schedule.jittered(rand::random),
            retry_after: answer.retry_after,
        };
        let id = payload.delivery_id;
        let request = Request {
            // No idempotency key: the same attempt is never recorded twice, because it is never made twice.
            idempotency: None,
            ..Request::reaction(
                item.product_id,
                event.correlation_id,
                event.event_id,
                String::new(),
            )
        };
        let command = RecordAttempt {
            delivery_id: id,
            attempt,
        };
        let executor = &self.context.executor;
        executor.repository().expect_new::<Delivery>(id);
        let done = executor
            .execute(&request, &command)
            .await
            .map_err(|error| error.to_string())?;
        announce(&done.events);
        let delivery = executor
            .repository()
            .recent::<Delivery>(id)
            .await
            .map_err(|error| error.to_string())?;
        Ok(match delivery.state {
            Delivery::Retrying(progress) => Outcome::Again {
                at: progress.next_attempt_at.unwrap_or_else(Utc::now),
                payload: json!(Payload {
                    paced: false,
                    ..payload
                }),
            },
            Delivery::New | Delivery::Succeeded(_) | Delivery::Exhausted(_) => Outcome::Done,
        })
    }
}

/// Logs changes to an endpoint's health, for operators who watch the server rather than the log of events.
fn announce(events: &[Recorded]) {
    for event in events
        .iter()
        .filter(|event| event.stream.category == Webhook::CATEGORY)
    {
        let (webhook_id, news) = (event.stream.id, event.event_type.as_str());
        match news {
            "webhook.endpoint_recovered" => {
                tracing::info!(%webhook_id, news, "a webhook endpoint works again")
            }
            _ => tracing::warn!(%webhook_id, news, "a webhook endpoint does not work"),
        }
    }
}

#[async_trait]
impl JobHandler for Deliver {
    const KIND: &'static str = DELIVER;
    type Payload = Payload;

    fn concurrency(&self) -> usize {
        1024
    }

    fn per_partition(&self, partition: &str) -> usize {
        // Attempts that are likely to fail take no places from others.
        if self.streaks.is_down(partition) {
            1
        } else {
            AT_A_TIME
        }
    }

    async fn run(&self, job: &Job, payload: Payload) -> Result<Outcome, String> {
        self.deliver(job, payload).await
    }
}
