//! A webhook endpoint: where events go, which ones, and whether it still answers.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use url::Url;
use uuid::Uuid;

use crate::{Aggregate, Audience, Class, Moment, Refusal, Violations, covers, event_types, events};

mod changes;

pub use changes::Changes;

/// An endpoint that has only failed for this long is disabled.
pub const MAX_FAILING: TimeDelta = TimeDelta::days(5);
/// An endpoint that lost this many deliveries in a row is disabled.
pub const MAX_EXHAUSTED: u32 = 10;
/// How long the previous secret goes on signing after a rotation, if not said otherwise.
pub const SECRET_OVERLAP: TimeDelta = TimeDelta::hours(24);

/// Why an endpoint gets no more deliveries.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DisableReason {
    /// Somebody said so.
    Requested,
    /// The API key that it belongs to is revoked.
    KeyRevoked,
    /// It answered 410 Gone.
    Gone,
    /// Nothing but failure for [`MAX_FAILING`].
    Failing,
    /// [`MAX_EXHAUSTED`] deliveries in a row ran out of retries.
    Exhausted,
}

/// Whose an endpoint is: it gets what they may see, with this key.
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

events! {
    /// Everything that happens to a webhook endpoint. Its secret is derived, never recorded.
    pub enum WebhookEvent {
        Created("webhook.created", 1) {
            owner: Owner,
            url: String,
            /// Event types, `*` standing for any rest: `proposal.*`.
            events: BTreeSet<String>,
            #[serde(default)]
            description: String,
            #[serde(default)]
            headers: BTreeMap<String, String>,
            /// Deliveries per second; none: no limit.
            #[serde(default)]
            rate_limit: Option<u32>,
        },
        /// Fields that are absent stay as they were; a rate limit of 0 lifts it.
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
        /// Whoever gave it an address owns it from then on.
        TakenOver("webhook.taken_over", 1) { owner: Owner },
        SecretRotated("webhook.secret_rotated", 1) { previous_valid_until: DateTime<Utc> },
        /// The first failure after a success.
        EndpointFailing("webhook.endpoint_failing", 1) { since: DateTime<Utc> },
        /// The first success after a failure.
        EndpointRecovered("webhook.endpoint_recovered", 1) {},
        EndpointDisabled("webhook.endpoint_disabled", 1) { reason: DisableReason },
        EndpointEnabled("webhook.endpoint_enabled", 1) {},
        /// A delivery failed for the last time.
        DeliveryExhausted("webhook.delivery_exhausted", 1) { delivery_id: Uuid },
        ExampleRequested("webhook.example_requested", 1) { event_type: String },
        /// Everything after `from_position` up to `to_position` is to be delivered again.
        ReplayRequested("webhook.replay_requested", 1) { from_position: i64, to_position: i64 },
        /// Everything that the replay was for is delivered, or waits to be.
        ReplayFinished("webhook.replay_finished", 1) {},
        Deleted("webhook.deleted", 1) {},
    }
}

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
    /// The key is revoked.
    Disown {
        api_key_id: Uuid,
    },
    /// Of the type given, or of the first that the endpoint has subscribed to.
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

/// Why a command on a webhook endpoint is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(prefix = "webhook_", serialize_all = "snake_case")]
pub enum WebhookRefusal {
    /// It was never created, or it is deleted.
    #[error("there is no such webhook endpoint")]
    NotFound,
    /// The id is taken.
    #[error("a webhook endpoint with this id exists already")]
    Exists,
    /// Nothing is sent to a disabled endpoint.
    #[error("the webhook endpoint is disabled; enable it first")]
    Disabled,
    /// Somebody else would vouch for an address that they have not given.
    #[error(
        "the API key that the webhook endpoint belongs to is revoked; set its url to take it over, then enable it"
    )]
    OwnerGone,
    /// The secret proves to a receiver that a delivery is its owner's.
    #[error(
        "the webhook endpoint belongs to another actor, and so does its secret; set its url to take it over, then rotate the secret"
    )]
    NotOwner,
    /// One replay at a time.
    #[error("a replay of this webhook endpoint is under way; wait until its `replay` is null")]
    ReplayUnderWay,
    /// The command is malformed.
    #[error("{0}")]
    Invalid(#[from] Violations),
}

impl Refusal for WebhookRefusal {
    fn class(&self) -> Class<'_> {
        match self {
            Self::NotFound => Class::Absent,
            Self::Exists | Self::ReplayUnderWay => Class::Conflict,
            Self::Disabled | Self::OwnerGone | Self::NotOwner => Class::Rule,
            Self::Invalid(violations) => Class::Invalid(violations),
        }
    }
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
    /// Their values are sealed.
    pub headers: BTreeMap<String, String>,
    pub rate_limit: Option<u32>,
    pub disabled: Option<DisableReason>,
    pub failing: Option<Failing>,
    /// History is being delivered.
    pub is_replaying: bool,
    /// How often the secret was rotated.
    pub generation: u32,
    pub previous_secret_valid_until: Option<DateTime<Utc>>,
}

/// A streak of nothing but failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing {
    pub since: DateTime<Utc>,
    pub exhausted: u32,
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

/// The endpoint has another secret.
pub const SECRET_ROTATED: &str = "webhook.secret_rotated";

/// Asks for an example; what is delivered of it is the example.
pub const EXAMPLE_REQUESTED: &str = "webhook.example_requested";

/// Events about deliveries are never delivered: each would cause the next. Nor is the wish for an example, but to
/// the endpoint that it names.
#[must_use]
pub fn is_delivered(event_type: &str) -> bool {
    !event_type.starts_with("webhook.delivery_") && event_type != EXAMPLE_REQUESTED
}

/// Whether an event is news of an endpoint's health. How its own delivery fares says nothing of any endpoint's health:
/// a failure to deliver the news would be the next news.
#[must_use]
pub fn is_health_news(event_type: &str) -> bool {
    event_type.starts_with("webhook.endpoint_")
}

impl Aggregate for Webhook {
    const CATEGORY: &'static str = "webhook";
    const CONTEXT: &'static str = "webhooks";
    const AUDIENCE: Audience = Audience::Product;
    type Command = WebhookCommand;
    type Event = WebhookEvent;
    type Refusal = WebhookRefusal;

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
        at: &Moment,
    ) -> Result<Vec<WebhookEvent>, WebhookRefusal> {
        match (self, command) {
            (Self::Absent, WebhookCommand::Create(changes)) => create(changes),
            (_, WebhookCommand::Create(_)) => Err(WebhookRefusal::Exists),
            // What was under way when the endpoint was deleted.
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

impl Endpoint {
    fn decide(
        &self,
        command: WebhookCommand,
        at: &Moment,
    ) -> Result<Vec<WebhookEvent>, WebhookRefusal> {
        Ok(match command {
            WebhookCommand::Create(_) => return Err(WebhookRefusal::Exists),
            WebhookCommand::Update(changes) => {
                let vouches = changes.url.is_some();
                let by = changes.by;
                let mut events = self.update(changes, at.now)?;
                if vouches {
                    events.extend(self.taken_over(by));
                }
                events
            }
            WebhookCommand::RotateSecret { .. } if at.actor.id != self.owner.actor_id => {
                return Err(WebhookRefusal::NotOwner);
            }
            WebhookCommand::RotateSecret { overlap } => {
                let mut violations = Violations::default();
                violations.require_overlap(overlap);
                violations.into_result()?;
                vec![WebhookEvent::SecretRotated {
                    previous_valid_until: at.now + overlap,
                }]
            }
            WebhookCommand::Enable { .. } if self.disabled.is_none() => vec![],
            WebhookCommand::Enable { by } if self.disabled == Some(DisableReason::KeyRevoked) => {
                if by.actor_id != self.owner.actor_id {
                    return Err(WebhookRefusal::OwnerGone);
                }
                let owned = self.taken_over(by);
                owned
                    .into_iter()
                    .chain([WebhookEvent::EndpointEnabled {}])
                    .collect()
            }
            WebhookCommand::Enable { .. } => vec![WebhookEvent::EndpointEnabled {}],
            WebhookCommand::Disable if self.disabled.is_some() => vec![],
            WebhookCommand::Disable => vec![WebhookEvent::EndpointDisabled {
                reason: DisableReason::Requested,
            }],
            WebhookCommand::Disown { api_key_id }
                if self.owner.api_key_id == api_key_id
                    && self.disabled != Some(DisableReason::KeyRevoked) =>
            {
                vec![WebhookEvent::EndpointDisabled {
                    reason: DisableReason::KeyRevoked,
                }]
            }
            WebhookCommand::Disown { .. } => vec![],
            WebhookCommand::SendExample { .. } | WebhookCommand::Replay { .. }
                if self.disabled.is_some() =>
            {
                return Err(WebhookRefusal::Disabled);
            }
            WebhookCommand::SendExample { event_type } => vec![WebhookEvent::ExampleRequested {
                event_type: self.example(event_type)?,
            }],
            WebhookCommand::Replay { .. } if self.is_replaying => {
                return Err(WebhookRefusal::ReplayUnderWay);
            }
            WebhookCommand::Replay {
                from_position,
                to_position,
            } => {
                let mut violations = Violations::default();
                violations.require(
                    (0..=to_position).contains(&from_position),
                    "/from_position",
                    format!("must be 0 to {to_position}, the end of the log"),
                );
                violations.into_result()?;
                vec![WebhookEvent::ReplayRequested {
                    from_position,
                    to_position,
                }]
            }
            WebhookCommand::FinishReplay if self.is_replaying => {
                vec![WebhookEvent::ReplayFinished {}]
            }
            WebhookCommand::FinishReplay => vec![],
            WebhookCommand::Delete => vec![WebhookEvent::Deleted {}],
            WebhookCommand::NoteOutcome(outcome) => self.note(outcome, at.now),
        })
    }

    fn update(
        &self,
        mut changes: Changes,
        now: DateTime<Utc>,
    ) -> Result<Vec<WebhookEvent>, Violations> {
        changes.check_sealed()?;
        // Within an origin, another path may be another receiver: whoever takes the endpoint over could go there next.
        let is_owner = changes.by.actor_id == self.owner.actor_id;
        let moves = changes
            .url
            .as_ref()
            .is_some_and(|url| !is_owner || !same_origin(url, &self.url));
        let url = changes.url.filter(|url| *url != self.url);
        if moves {
            changes.headers.get_or_insert_default();
        }
        let events = changes.events.filter(|events| *events != self.events);
        let description = changes.description.filter(|text| *text != self.description);
        let headers = changes.headers.filter(|headers| *headers != self.headers);
        let rate_limit = changes
            .rate_limit
            .filter(|limit| *limit != self.rate_limit.unwrap_or_default());
        let same = url.is_none()
            && events.is_none()
            && description.is_none()
            && headers.is_none()
            && rate_limit.is_none();
        let mut happened = Vec::new();
        if !same {
            happened.push(WebhookEvent::Updated {
                url,
                events,
                description,
                headers,
                rate_limit,
            });
        }
        if moves {
            // The receiver there is another one, or somebody else's: it gets no signature that the old one would take for ours.
            happened.push(WebhookEvent::SecretRotated {
                previous_valid_until: now,
            });
        }
        Ok(happened)
    }

    /// What happens when somebody vouches for the address, unless it is theirs already.
    fn taken_over(&self, by: Owner) -> Option<WebhookEvent> {
        (by != self.owner).then_some(WebhookEvent::TakenOver { owner: by })
    }

    fn example(&self, asked: Option<String>) -> Result<String, Violations> {
        let mut types = event_types();
        let found = match &asked {
            Some(asked) => types.find(|known| known == asked),
            None => types.find(|known| self.events.iter().any(|pattern| covers(pattern, known))),
        };
        let mut violations = Violations::default();
        violations.require(found.is_some(), "/event_type", "must be a type of event");
        violations.into_result()?;
        Ok(found.unwrap_or_default().to_owned())
    }

    /// Only what changes the endpoint's health is an event of the endpoint; every attempt is one of its delivery.
    fn note(&self, outcome: Outcome, now: DateTime<Utc>) -> Vec<WebhookEvent> {
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

fn create(changes: Changes) -> Result<Vec<WebhookEvent>, WebhookRefusal> {
    changes.check_sealed()?;
    Ok(vec![WebhookEvent::Created {
        owner: changes.by,
        url: changes.url.unwrap_or_default(),
        events: changes.events.unwrap_or_default(),
        description: changes.description.unwrap_or_default(),
        headers: changes.headers.unwrap_or_default(),
        rate_limit: changes.rate_limit,
    }])
}

/// Returns true if two addresses lead to the same scheme, host and port, as clients read them.
fn same_origin(one: &str, other: &str) -> bool {
    let origin = |address: &str| Url::parse(address).map(|url| url.origin());
    matches!((origin(one), origin(other)), (Ok(one), Ok(other)) if one == other)
}

fn replace<T: Clone>(field: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
