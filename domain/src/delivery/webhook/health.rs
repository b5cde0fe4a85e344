//! The health of an endpoint: what its attempts say of it, and when it is given up.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{DisableReason, Endpoint, WebhookEvent};

/// An endpoint that has only failed for this long is disabled.
pub const MAX_FAILING: TimeDelta = TimeDelta::days(5);
/// An endpoint that lost this many deliveries in a row is disabled.
pub const MAX_EXHAUSTED: u32 = 10;

/// How an attempt ended, as far as the endpoint's health is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    /// To be retried.
    Failed,
    /// Not to be retried.
    Exhausted {
        delivery_id: Uuid,
    },
    /// 410.
    Gone,
}

/// A streak of nothing but failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    pub since: DateTime<Utc>,
    pub exhausted: u32,
}

impl Endpoint {
    /// Only what changes the endpoint's health is an event of the endpoint; every attempt is one of its delivery.
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
