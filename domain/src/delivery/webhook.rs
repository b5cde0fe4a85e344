//! Webhook endpoints: their address, their subscription, and their health.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{Aggregate, Audience, DecisionContext, events};

mod changes;
mod decision;
mod health;
mod refusal;

pub use changes::Changes;
pub use health::{Failing, MAX_EXHAUSTED, MAX_FAILING, Outcome};
pub use refusal::{WebhookRefusal, WebhookRule};

use decision::create;

/// Default time for which the previous secret keeps signing after a rotation.
pub const SECRET_OVERLAP: TimeDelta = TimeDelta::hours(24);

/// Reasons why an endpoint is disabled.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DisableReason {
    /// An actor disabled it.
    Requested,
    /// The API key that the endpoint belongs to is revoked.
    KeyRevoked,
    /// The endpoint answered 410 Gone.
    Gone,
    /// All attempts failed for [`MAX_FAILING`].
    Failing,
    /// [`MAX_EXHAUSTED`] deliveries in a row ran out of retries.
    Exhausted,
}

crate::generate! { enum DisableReason { Requested, KeyRevoked, Gone, Failing, Exhausted } }

/// The owner of an endpoint. The endpoint receives the events that this actor may see with this key.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
pub struct Owner {
    pub actor_id: Uuid,
    pub api_key_id: Uuid,
}

crate::generate! { struct Owner { actor_id, api_key_id } }

events! {
    /// Events of a webhook endpoint. The endpoint's secret is derived and never recorded.
    pub enum WebhookEvent {
        /// A webhook endpoint was registered, to which events are delivered.
        Created("webhook.created", 1) {
            owner: Owner,
            url: String,
            /// Event types; `*` matches any rest: `proposal.*`.
            events: BTreeSet<String>,
            #[serde(default)]
            description: String,
            #[serde(default)]
            headers: BTreeMap<String, String>,
            /// Maximum number of deliveries per second; none: no limit.
            #[serde(default)]
            rate_limit: Option<u32>,
        },
        /// The settings of the endpoint were changed: absent fields stay as they were, and a rate limit of 0 removes
        /// the limit.
        Updated("webhook.updated", 1) {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            url: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            events: Option<BTreeSet<String>>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            description: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            headers: Option<BTreeMap<String, String>>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            rate_limit: Option<u32>,
        },
        /// An actor confirmed the endpoint's address with another key, and owns the endpoint from then on.
        TakenOver("webhook.taken_over", 1) { owner: Owner },
        /// The endpoint got a new secret; the previous one also signs until the given time.
        SecretRotated("webhook.secret_rotated", 1) { previous_valid_until: DateTime<Utc> },
        /// A delivery failed, the first failure after a success.
        EndpointFailing("webhook.endpoint_failing", 1) { since: DateTime<Utc> },
        /// A delivery succeeded, the first success after a failure.
        EndpointRecovered("webhook.endpoint_recovered", 1) {},
        /// The endpoint was disabled; nothing is delivered to it until it is enabled again.
        EndpointDisabled("webhook.endpoint_disabled", 1) { reason: DisableReason },
        /// The endpoint was enabled; events are delivered to it again.
        EndpointEnabled("webhook.endpoint_enabled", 1) {},
        /// A delivery ran out of retries.
        DeliveryExhausted("webhook.delivery_exhausted", 1) { delivery_id: Uuid },
        /// An actor asked for a sample event of a type to be delivered.
        ExampleRequested("webhook.example_requested", 1) { event_type: String },
        /// An actor asked for all events after `from_position` up to `to_position` to be delivered again.
        ReplayRequested("webhook.replay_requested", 1) { from_position: i64, to_position: i64 },
        /// The replay finished: all of its events are delivered or scheduled.
        ReplayFinished("webhook.replay_finished", 1) {},
        /// The endpoint was deleted for good; nothing is delivered to it any more.
        Deleted("webhook.deleted", 1) {},
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "webhook.", serialize_all = "snake_case")]
pub enum WebhookCommand {
    Create(Changes),
    Update(Changes),
    RotateSecret {
        overlap: TimeDelta,
    },
    Enable {
        by: Owner,
    },
    Disable,
    /// Disables the endpoint because its API key is revoked.
    Disown {
        api_key_id: Uuid,
    },
    /// Sends a sample event of the given type, or of the first type in the endpoint's subscription.
    SendExample {
        event_type: Option<String>,
    },
    Replay {
        from_position: i64,
        to_position: i64,
    },
    FinishReplay,
    Delete,
    NoteOutcome(Outcome),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Webhook {
    #[default]
    Absent,
    Active(Endpoint),
    Deleted,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    pub owner: Owner,
    pub url: String,
    pub events: BTreeSet<String>,
    pub description: String,
    /// Headers; their values are encrypted.
    pub headers: BTreeMap<String, String>,
    pub rate_limit: Option<u32>,
    pub disabled: Option<DisableReason>,
    pub failing: Option<Failing>,
    /// True while past events are being delivered again.
    pub is_replaying: bool,
    /// Number of times that the secret was rotated.
    pub generation: u32,
    pub previous_secret_valid_until: Option<DateTime<Utc>>,
}

impl Webhook {
    #[must_use]
    pub const fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::Absent | Self::Deleted => None,
            Self::Active(endpoint) => Some(endpoint),
        }
    }

    fn change(mut self, change: impl FnOnce(&mut Endpoint)) -> Self {
        if let Self::Active(endpoint) = &mut self {
            change(endpoint);
        }
        self
    }
}

/// Event type: the endpoint has a new secret.
pub const SECRET_ROTATED: &str = "webhook.secret_rotated";

/// Event type: an actor asked for a sample. The delivery contains the sample, not this event.
pub const EXAMPLE_REQUESTED: &str = "webhook.example_requested";

/// Returns false for events that are never delivered. Events about deliveries would each cause another one. A request
/// for a sample goes only to the endpoint that it names.
#[must_use]
pub fn is_delivered(event_type: &str) -> bool {
    !event_type.starts_with("webhook.delivery_") && event_type != EXAMPLE_REQUESTED
}

/// Returns true for events about an endpoint's health. Their own deliveries do not count for any endpoint's health: a
/// failed delivery would cause the next such event.
#[must_use]
pub fn is_health_news(event_type: &str) -> bool {
    event_type.starts_with("webhook.endpoint_")
}

impl Aggregate for Webhook {
    const CATEGORY: &'static str = "webhook";
    const SCOPE: &'static str = "webhooks";
    const AUDIENCE: Audience = Audience::Product;
    type Command = WebhookCommand;
    type Event = WebhookEvent;
    type Rule = WebhookRule;

    fn evolve(self, event: &WebhookEvent) -> Self {
        match event {
            WebhookEvent::Created {
                owner,
                url,
                events,
                description,
                headers,
                rate_limit,
            } => Self::Active(Endpoint {
                owner: *owner,
                url: url.clone(),
                events: events.clone(),
                description: description.clone(),
                headers: headers.clone(),
                rate_limit: rate_limit.filter(|limit| *limit > 0),
                disabled: None,
                failing: None,
                is_replaying: false,
                generation: 0,
                previous_secret_valid_until: None,
            }),
            WebhookEvent::Updated {
                url,
                events,
                description,
                headers,
                rate_limit,
            } => self.change(|endpoint| {
                replace(&mut endpoint.url, url);
                replace(&mut endpoint.events, events);
                replace(&mut endpoint.description, description);
                replace(&mut endpoint.headers, headers);
                if let Some(limit) = rate_limit {
                    endpoint.rate_limit = (*limit > 0).then_some(*limit);
                }
            }),
            WebhookEvent::SecretRotated {
                previous_valid_until,
            } => self.change(|endpoint| {
                endpoint.generation += 1;
                endpoint.previous_secret_valid_until = Some(*previous_valid_until);
            }),
            WebhookEvent::EndpointFailing { since } => self.change(|endpoint| {
                endpoint.failing = Some(Failing {
                    since: *since,
                    exhausted: 0,
                });
            }),
            WebhookEvent::DeliveryExhausted { .. } => self.change(|endpoint| {
                if let Some(failing) = &mut endpoint.failing {
                    failing.exhausted += 1;
                }
            }),
            WebhookEvent::EndpointRecovered {} => self.change(|endpoint| endpoint.failing = None),
            WebhookEvent::EndpointDisabled { reason } => {
                self.change(|endpoint| endpoint.disabled = Some(*reason))
            }
            WebhookEvent::EndpointEnabled {} => self.change(|endpoint| {
                endpoint.disabled = None;
                endpoint.failing = None;
            }),
            WebhookEvent::TakenOver { owner } => self.change(|endpoint| endpoint.owner = *owner),
            WebhookEvent::ReplayRequested { .. } => {
                self.change(|endpoint| endpoint.is_replaying = true)
            }
            WebhookEvent::ReplayFinished {} => {
                self.change(|endpoint| endpoint.is_replaying = false)
            }
            WebhookEvent::ExampleRequested { .. } => self,
            WebhookEvent::Deleted {} => Self::Deleted,
        }
    }

    fn decide(
        &self,
        command: WebhookCommand,
        at: &DecisionContext,
    ) -> Result<Vec<WebhookEvent>, WebhookRefusal> {
        match (self, command) {
            (Self::Absent, WebhookCommand::Create(changes)) => create(changes),
            (_, WebhookCommand::Create(_)) => Err(WebhookRefusal::Exists),
            // Results of work that was in flight when the endpoint was deleted.
            (
                Self::Deleted,
                WebhookCommand::NoteOutcome(_)
                | WebhookCommand::Disown { .. }
                | WebhookCommand::FinishReplay,
            ) => Ok(vec![]),
            (Self::Absent | Self::Deleted, _) => Err(WebhookRefusal::NotFound),
            (Self::Active(endpoint), command) => endpoint.decide(command, at),
        }
    }
}

fn replace<T: Clone>(field: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
