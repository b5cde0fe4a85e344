//! Decisions on webhook endpoints.

use chrono::{DateTime, Utc};
use url::Url;

use super::{
    Changes, DisableReason, Endpoint, Owner, WebhookCommand, WebhookEvent, WebhookRefusal,
    WebhookRule,
};
use crate::{DecisionContext, Violations, covers, event_types};

impl Endpoint {
    pub(super) fn decide(
        &self,
        command: WebhookCommand,
        at: &DecisionContext,
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
                return Err(WebhookRule::NotOwner.into());
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
                    return Err(WebhookRule::OwnerGone.into());
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
                return Err(WebhookRule::Disabled.into());
            }
            WebhookCommand::SendExample { event_type } => vec![WebhookEvent::ExampleRequested {
                event_type: self.example(event_type)?,
            }],
            WebhookCommand::Replay { .. } if self.is_replaying => {
                return Err(WebhookRule::ReplayUnderWay.into());
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
        // Another path of the same origin may belong to another receiver, so whoever takes over the endpoint could
        // redirect it there.
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
            // The new address may belong to another receiver, which must not get signatures that the old receiver would
            // accept.
            happened.push(WebhookEvent::SecretRotated {
                previous_valid_until: now,
            });
        }
        Ok(happened)
    }

    /// Returns the change of owner when an actor confirms the address, unless they own it already.
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
}

pub(super) fn create(changes: Changes) -> Result<Vec<WebhookEvent>, WebhookRefusal> {
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

/// Returns true if clients see the same scheme, host and port in two addresses.
fn same_origin(one: &str, other: &str) -> bool {
    let origin = |address: &str| Url::parse(address).map(|url| url.origin());
    matches!((origin(one), origin(other)), (Ok(one), Ok(other)) if one == other)
}
