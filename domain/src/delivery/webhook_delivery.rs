//! Deliveries: the attempts to send one event to one endpoint.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{Aggregate, Audience, DecisionContext, NoRule, Rejection, events};

events! {
    /// Events of a delivery.
    pub enum DeliveryEvent {
        /// The event was sent to the endpoint, with this result.
        Attempted("webhook.delivery_attempted", 1) {
            webhook_id: Uuid,
            /// Id of the event that is delivered.
            event_id: Uuid,
            event_type: String,
            /// Number of the attempt, counted from 1.
            attempt: u32,
            succeeded: bool,
            /// HTTP status; none if there was no answer.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            status: Option<u16>,
            /// The reason why there was no answer.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            error: Option<String>,
            duration_ms: u64,
            /// The first 1 kB of the response.
            #[serde(default, skip_serializing_if = "String::is_empty")]
            response: String,
            /// Time of the next attempt; none if there is none.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            next_attempt_at: Option<DateTime<Utc>>,
        },
        /// An actor asked for the event to be sent again now; this replaces a scheduled retry.
        ResendRequested("webhook.delivery_resend_requested", 1) { webhook_id: Uuid, event_id: Uuid },
    }
}

/// The result of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    pub webhook_id: Uuid,
    pub event_id: Uuid,
    pub event_type: String,
    pub succeeded: bool,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub duration_ms: u64,
    pub response: String,
    /// Delays before the second, third, … attempt, including jitter.
    pub backoff: Vec<TimeDelta>,
    /// The delay that the receiver asked for (`Retry-After`), used if it is later than the schedule's.
    pub retry_after: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "webhook.delivery_", serialize_all = "snake_case")]
pub enum DeliveryCommand {
    Record(Attempt),
    Resend,
}

/// Reasons to refuse a command.
pub type DeliveryRefusal = Rejection<NoRule<Delivery>>;

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Delivery {
    /// Nothing was sent yet; the delivery may be scheduled.
    #[default]
    New,
    Retrying(Progress),
    Succeeded(Progress),
    Exhausted(Progress),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    pub webhook_id: Uuid,
    pub event_id: Uuid,
    pub event_type: String,
    pub attempts: u32,
    pub next_attempt_at: Option<DateTime<Utc>>,
}

impl Delivery {
    #[must_use]
    pub const fn progress(&self) -> Option<&Progress> {
        match self {
            Self::New => None,
            Self::Retrying(progress) | Self::Succeeded(progress) | Self::Exhausted(progress) => {
                Some(progress)
            }
        }
    }
}

impl Aggregate for Delivery {
    const CATEGORY: &'static str = "webhook_delivery";
    const SCOPE: &'static str = "webhooks";
    const AUDIENCE: Audience = Audience::Product;
    type Command = DeliveryCommand;
    type Event = DeliveryEvent;
    type Rule = NoRule<Self>;

    fn evolve(self, event: &DeliveryEvent) -> Self {
        match event {
            DeliveryEvent::Attempted {
                webhook_id,
                event_id,
                event_type,
                attempt,
                succeeded,
                next_attempt_at,
                ..
            } => {
                let progress = Progress {
                    webhook_id: *webhook_id,
                    event_id: *event_id,
                    event_type: event_type.clone(),
                    attempts: *attempt,
                    next_attempt_at: *next_attempt_at,
                };
                match (succeeded, next_attempt_at) {
                    (true, _) => Self::Succeeded(progress),
                    (false, Some(_)) => Self::Retrying(progress),
                    (false, None) => Self::Exhausted(progress),
                }
            }
            DeliveryEvent::ResendRequested { .. } => self,
        }
    }

    fn decide(
        &self,
        command: DeliveryCommand,
        at: &DecisionContext,
    ) -> Result<Vec<DeliveryEvent>, DeliveryRefusal> {
        match command {
            DeliveryCommand::Record(attempt) => Ok(vec![self.record(attempt, at.now)]),
            DeliveryCommand::Resend => match self {
                Self::New => Err(DeliveryRefusal::NotFound),
                Self::Retrying(progress)
                | Self::Succeeded(progress)
                | Self::Exhausted(progress) => Ok(vec![DeliveryEvent::ResendRequested {
                    webhook_id: progress.webhook_id,
                    event_id: progress.event_id,
                }]),
            },
        }
    }
}

impl Delivery {
    /// Records an attempt in any state, because the attempt has already happened.
    fn record(&self, attempt: Attempt, now: DateTime<Utc>) -> DeliveryEvent {
        let number = self.progress().map_or(0, |progress| progress.attempts) + 1;
        let gone = attempt.status == Some(410);
        let next_attempt_at = attempt
            .backoff
            .get(number as usize - 1)
            .filter(|_| !attempt.succeeded && !gone)
            .map(|wait| (now + *wait).max(attempt.retry_after.unwrap_or(now)));
        DeliveryEvent::Attempted {
            webhook_id: attempt.webhook_id,
            event_id: attempt.event_id,
            event_type: attempt.event_type,
            attempt: number,
            succeeded: attempt.succeeded,
            status: attempt.status,
            error: attempt.error,
            duration_ms: attempt.duration_ms,
            response: attempt.response,
            next_attempt_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{given, noon};

    fn attempt(succeeded: bool, status: u16) -> Attempt {
        Attempt {
            webhook_id: Uuid::from_u128(1),
            event_id: Uuid::from_u128(2),
            event_type: "note.created".into(),
            succeeded,
            status: Some(status),
            error: None,
            duration_ms: 3,
            response: "ok".into(),
            backoff: vec![TimeDelta::seconds(10), TimeDelta::seconds(60)],
            retry_after: None,
        }
    }

    fn attempted(number: u32, succeeded: bool, status: u16, next: Option<i64>) -> DeliveryEvent {
        DeliveryEvent::Attempted {
            webhook_id: Uuid::from_u128(1),
            event_id: Uuid::from_u128(2),
            event_type: "note.created".into(),
            attempt: number,
            succeeded,
            status: Some(status),
            error: None,
            duration_ms: 3,
            response: "ok".into(),
            next_attempt_at: next.map(|seconds| noon() + TimeDelta::seconds(seconds)),
        }
    }

    #[test]
    fn a_success_is_not_tried_again() {
        given::<Delivery>([])
            .when(DeliveryCommand::Record(attempt(true, 200)))
            .then([attempted(1, true, 200, None)]);
    }

    #[test]
    fn a_failure_is_tried_again_as_the_schedule_says_until_it_ends() {
        given::<Delivery>([])
            .when(DeliveryCommand::Record(attempt(false, 500)))
            .then([attempted(1, false, 500, Some(10))]);
        given::<Delivery>([attempted(1, false, 500, Some(10))])
            .when(DeliveryCommand::Record(attempt(false, 500)))
            .then([attempted(2, false, 500, Some(60))]);
        given::<Delivery>([attempted(2, false, 500, Some(60))])
            .when(DeliveryCommand::Record(attempt(false, 500)))
            .then([attempted(3, false, 500, None)]);
    }

    #[test]
    fn a_later_retry_after_is_honoured_and_an_earlier_one_is_not() {
        for (asked, expected) in [(30, 30), (1, 10)] {
            given::<Delivery>([])
                .when(DeliveryCommand::Record(Attempt {
                    retry_after: Some(noon() + TimeDelta::seconds(asked)),
                    ..attempt(false, 503)
                }))
                .then([attempted(1, false, 503, Some(expected))]);
        }
    }

    #[test]
    fn an_endpoint_that_is_gone_is_not_tried_again() {
        given::<Delivery>([])
            .when(DeliveryCommand::Record(attempt(false, 410)))
            .then([attempted(1, false, 410, None)]);
    }

    #[test]
    fn a_delivery_that_was_attempted_is_sent_again_at_once() {
        given::<Delivery>([])
            .when(DeliveryCommand::Resend)
            .then_refused(DeliveryRefusal::NotFound);
        for last in [
            attempted(1, false, 500, Some(10)),
            attempted(1, true, 200, None),
            attempted(3, false, 500, None),
        ] {
            given::<Delivery>([last])
                .when(DeliveryCommand::Resend)
                .then([DeliveryEvent::ResendRequested {
                    webhook_id: Uuid::from_u128(1),
                    event_id: Uuid::from_u128(2),
                }]);
        }
    }
}
