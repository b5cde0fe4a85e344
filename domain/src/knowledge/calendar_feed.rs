//! Calendar feeds: secret addresses at which calendar clients read the owner's tasks. The address is never in the log.

use uuid::Uuid;

use super::task::Task;
use crate::{Aggregate, Audience, DecisionContext, NoRule, Rejection, Violations, events};

events! {
    /// Events of a calendar feed.
    pub enum CalendarFeedEvent {
        /// An actor's tasks were published at a secret address, for calendar clients to subscribe to.
        Opened("calendar_feed.opened", 1) {
            name: String,
            /// Id of the actor whose tasks the feed shows.
            owner: Uuid,
            /// SHA-256 of the token in the address, in hex.
            sha256: String as Short,
        },
        /// The feed was revoked; its address no longer answers.
        Revoked("calendar_feed.revoked", 1) {},
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "calendar_feed.", serialize_all = "snake_case")]
pub enum CalendarFeedCommand {
    Open {
        name: String,
        sha256: String,
    },
    Revoke {
        /// True if the caller manages the keys of the product, and thus the feeds opened with them.
        is_manager: bool,
    },
}

/// Reasons to refuse a command.
pub type CalendarFeedRefusal = Rejection<NoRule<CalendarFeed>>;

#[derive(Debug, Clone, Default, PartialEq)]
pub enum CalendarFeed {
    #[default]
    Absent,
    Active {
        owner: Uuid,
    },
    Revoked {
        owner: Uuid,
    },
}

impl Aggregate for CalendarFeed {
    const CATEGORY: &'static str = "calendar_feed";
    const SCOPE: &'static str = Task::SCOPE;
    const AUDIENCE: Audience = Audience::Actor;
    type Command = CalendarFeedCommand;
    type Event = CalendarFeedEvent;
    type Rule = NoRule<Self>;

    fn evolve(self, event: &CalendarFeedEvent) -> Self {
        match (self, event) {
            (_, CalendarFeedEvent::Opened { owner, .. }) => Self::Active { owner: *owner },
            (Self::Absent, CalendarFeedEvent::Revoked {}) => Self::Absent,
            (Self::Active { owner } | Self::Revoked { owner }, CalendarFeedEvent::Revoked {}) => {
                Self::Revoked { owner }
            }
        }
    }

    fn decide(
        &self,
        command: CalendarFeedCommand,
        at: &DecisionContext,
    ) -> Result<Vec<CalendarFeedEvent>, CalendarFeedRefusal> {
        match (self, command) {
            (Self::Absent, CalendarFeedCommand::Open { name, sha256 }) => {
                let mut violations = Violations::default();
                violations.require_line(&name, 1, 200, "/name");
                violations.into_result()?;
                Ok(vec![CalendarFeedEvent::Opened {
                    name,
                    owner: at.actor.id,
                    sha256,
                }])
            }
            (Self::Active { .. } | Self::Revoked { .. }, CalendarFeedCommand::Open { .. }) => {
                Err(CalendarFeedRefusal::Exists)
            }
            (Self::Active { owner }, CalendarFeedCommand::Revoke { is_manager })
                if is_manager || *owner == at.actor.id =>
            {
                Ok(vec![CalendarFeedEvent::Revoked {}])
            }
            (Self::Revoked { owner }, CalendarFeedCommand::Revoke { is_manager })
                if is_manager || *owner == at.actor.id =>
            {
                Ok(vec![])
            }
            (
                Self::Absent | Self::Active { .. } | Self::Revoked { .. },
                CalendarFeedCommand::Revoke { .. },
            ) => Err(CalendarFeedRefusal::NotFound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{AGENT, PERSON, given};

    fn open(name: &str) -> CalendarFeedCommand {
        CalendarFeedCommand::Open {
            name: name.into(),
            sha256: "5e".into(),
        }
    }

    fn opened() -> CalendarFeedEvent {
        CalendarFeedEvent::Opened {
            name: "Phone".into(),
            owner: PERSON.id,
            sha256: "5e".into(),
        }
    }

    #[test]
    fn it_is_opened_once_for_whoever_opens_it() {
        given::<CalendarFeed>([])
            .when(open("Phone"))
            .then([opened()]);
        given::<CalendarFeed>([opened()])
            .when(open("Phone"))
            .then_refused(CalendarFeedRefusal::Exists);
    }

    #[test]
    fn it_has_a_name() {
        for name in ["", "two\nlines", &"x".repeat(201)] {
            given::<CalendarFeed>([])
                .when(open(name))
                .then_invalid(&["/name"]);
        }
    }

    const fn revoke(is_manager: bool) -> CalendarFeedCommand {
        CalendarFeedCommand::Revoke { is_manager }
    }

    #[test]
    fn its_owner_or_whoever_looks_after_keys_revokes_it() {
        for (actor, is_manager) in [(PERSON, false), (AGENT, true)] {
            given::<CalendarFeed>([opened()])
                .when_by(actor, revoke(is_manager))
                .then([CalendarFeedEvent::Revoked {}]);
            given::<CalendarFeed>([opened(), CalendarFeedEvent::Revoked {}])
                .when_by(actor, revoke(is_manager))
                .then_nothing();
        }
    }

    #[test]
    fn nobody_else_learns_that_it_exists() {
        for events in [vec![], vec![opened()]] {
            given::<CalendarFeed>(events)
                .when_by(AGENT, revoke(false))
                .then_refused(CalendarFeedRefusal::NotFound);
        }
        given::<CalendarFeed>([])
            .when(revoke(true))
            .then_refused(CalendarFeedRefusal::NotFound);
    }
}
