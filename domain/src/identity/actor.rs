//! Actors in the log: an id belongs to one actor of one kind, in one product, for good.

use crate::{ActorKind, Aggregate, Audience, DecisionContext, Rejection, Rule, Violations, events};

events! {
    /// Events of an actor.
    pub enum ActorEvent {
        /// The actor got their first key. The envelope names the product.
        Registered("actor.registered", 1) {
            kind: ActorKind,
            /// Display name.
            #[serde(default)]
            name: String,
        },
        /// The actor got another display name.
        Renamed("actor.renamed", 1) { name: String },
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "actor.", serialize_all = "snake_case")]
pub enum ActorCommand {
    /// Registers the actor, unless they are registered already.
    Register {
        kind: ActorKind,
        name: String,
    },
    Rename {
        name: String,
    },
}

/// Rules of actors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ActorRule {
    /// The id belongs to an actor of another kind.
    #[error("the actor with this id is of the kind {}, for good", .0.as_ref())]
    KindMismatch(ActorKind),
    /// The id belongs to an actor of another product.
    #[error("the actor with this id belongs to another product; leave the id out for a new actor")]
    Elsewhere,
}

impl Rule for ActorRule {
    type Of = KnownActor;
}

/// Reasons to refuse a command.
pub type ActorRefusal = Rejection<ActorRule>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KnownActor {
    #[default]
    Unknown,
    Known {
        kind: ActorKind,
        name: String,
    },
}

impl KnownActor {
    /// Returns the kind; none if the actor is unknown.
    #[must_use]
    pub const fn kind(&self) -> Option<ActorKind> {
        match self {
            Self::Unknown => None,
            Self::Known { kind, .. } => Some(*kind),
        }
    }
}

impl Aggregate for KnownActor {
    const CATEGORY: &'static str = "actor";
    const SCOPE: &'static str = "api_keys";
    const AUDIENCE: Audience = Audience::Product;
    type Command = ActorCommand;
    type Event = ActorEvent;
    type Rule = ActorRule;

    fn evolve(self, event: &ActorEvent) -> Self {
        match (self, event) {
            (_, ActorEvent::Registered { kind, name }) => Self::Known {
                kind: *kind,
                name: name.clone(),
            },
            (Self::Unknown, ActorEvent::Renamed { .. }) => Self::Unknown,
            (Self::Known { kind, .. }, ActorEvent::Renamed { name }) => Self::Known {
                kind,
                name: name.clone(),
            },
        }
    }

    fn decide(
        &self,
        command: ActorCommand,
        _: &DecisionContext,
    ) -> Result<Vec<ActorEvent>, ActorRefusal> {
        match (self, command) {
            (Self::Unknown, ActorCommand::Register { kind, name }) => {
                let mut violations = Violations::default();
                violations.require_line(&name, 1, 200, "/actor/name");
                violations.into_result()?;
                Ok(vec![ActorEvent::Registered { kind, name }])
            }
            (Self::Known { kind: known, .. }, ActorCommand::Register { kind, .. })
                if *known != kind =>
            {
                Err(ActorRule::KindMismatch(*known).into())
            }
            (Self::Known { name: known, .. }, ActorCommand::Rename { name }) if *known != name => {
                Ok(vec![ActorEvent::Renamed { name }])
            }
            (Self::Known { .. }, ActorCommand::Register { .. })
            | (Self::Unknown | Self::Known { .. }, ActorCommand::Rename { .. }) => Ok(vec![]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn register(kind: ActorKind) -> ActorCommand {
        ActorCommand::Register {
            kind,
            name: "Scribe".into(),
        }
    }

    fn rename(name: &str) -> ActorCommand {
        ActorCommand::Rename { name: name.into() }
    }

    fn registered() -> ActorEvent {
        ActorEvent::Registered {
            kind: ActorKind::Agent,
            name: "Scribe".into(),
        }
    }

    #[test]
    fn they_are_registered_once() {
        given::<KnownActor>([])
            .when(register(ActorKind::Agent))
            .then([registered()]);
        given::<KnownActor>([registered()])
            .when(register(ActorKind::Agent))
            .then_nothing();
    }

    #[test]
    fn they_have_a_name_of_some_length() {
        for name in [String::new(), "x".repeat(201)] {
            let kind = ActorKind::Person;
            given::<KnownActor>([])
                .when(ActorCommand::Register { kind, name })
                .then_invalid(&["/actor/name"]);
        }
    }

    #[test]
    fn they_stay_of_their_kind() {
        given::<KnownActor>([registered()])
            .when(register(ActorKind::Person))
            .then_refused(ActorRule::KindMismatch(ActorKind::Agent));
    }

    #[test]
    fn they_get_another_name_if_it_is_another() {
        given::<KnownActor>([registered()])
            .when(rename("Librarian"))
            .then([ActorEvent::Renamed {
                name: "Librarian".into(),
            }]);
        given::<KnownActor>([registered()])
            .when(rename("Scribe"))
            .then_nothing();
        given::<KnownActor>([])
            .when(rename("Nobody"))
            .then_nothing();
    }
}
