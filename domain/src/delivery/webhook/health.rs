//! The health of an endpoint: the results of attempts, and when the endpoint is disabled.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{DisableReason, Endpoint, WebhookEvent};

/// Time of uninterrupted failure after which an endpoint is disabled.
pub const MAX_FAILING: TimeDelta = TimeDelta::days(5);
/// Number of consecutive exhausted deliveries after which an endpoint is disabled.
pub const MAX_EXHAUSTED: u32 = 10;

/// The result of an attempt, as it affects the endpoint's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    /// The attempt failed and is retried.
    Failed,
    /// The attempt failed and is not retried.
    Exhausted {
        delivery_id: Uuid,
    },
    /// The endpoint answered 410.
    Gone,
}

/// A period of uninterrupted failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    pub since: DateTime<Utc>,
    pub exhausted: u32,
}

impl Endpoint {
    /// Returns events only for changes of the endpoint's health; each attempt is an event of its delivery.
    pub(super) fn note(&self, outcome: Outcome, now: DateTime<Utc>) -> Vec<WebhookEvent> {
        let mut events = Vec::new();
        if outcome == Outcome::Succeeded {
            events.extend(self.failing.map(|_| WebhookEvent::EndpointRecovered {}));
            return events;
        }
        let failing = self.failing.unwrap_or_else(|| {
            events.push(WebhookEvent::EndpointFailing { since: now });
            Failing {
                since: now,
                exhausted: 0,
            }
        });
        let mut exhausted = failing.exhausted;
        if let Outcome::Exhausted { delivery_id } = outcome {
            events.push(WebhookEvent::DeliveryExhausted { delivery_id });
            exhausted += 1;
        }
        let reason = if outcome == Outcome::Gone {
            Some(DisableReason::Gone)
        } else if exhausted >= MAX_EXHAUSTED {
            Some(DisableReason::Exhausted)
        } else if now - failing.since >= MAX_FAILING {
            Some(DisableReason::Failing)
        } else {
            None
        };
        if self.disabled.is_none() {
            events.extend(reason.map(|reason| WebhookEvent::EndpointDisabled { reason }));
        }
        events
    }
}
