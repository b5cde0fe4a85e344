//! An actor as Daybook knows them: an id stands for one actor of one kind, in one product, for good.

use crate::{ActorKind, Aggregate, Audience, Class, Moment, Refusal, events};

events! {
    /// Everything that happens to an actor.
    pub enum ActorEvent {
        /// Their first key was issued. Whose product it is, the envelope says.
        Registered("actor.registered", 1) { kind: ActorKind },
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "actor.", serialize_all = "snake_case")]
pub enum ActorCommand {
    Register { kind: ActorKind },
}

/// Why an actor cannot be who they are said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(prefix = "actor_", serialize_all = "snake_case")]
pub enum ActorRefusal {
    /// The id stands for an actor of another kind.
    #[error("the actor with this id is of the kind {}, for good", .0.as_ref())]
    KindMismatch(ActorKind),
    /// The id stands for an actor of another product.
    #[error("the actor with this id belongs to another product; leave the id out for a new actor")]
    Elsewhere,
}

impl Refusal for ActorRefusal {
    fn class(&self) -> Class<'_> {
        match self {
            Self::KindMismatch(_) | Self::Elsewhere => Class::Rule,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KnownActor {
    #[default]
    Unknown,
    Known(ActorKind),
}

impl Aggregate for KnownActor {
    const CATEGORY: &'static str = "actor";
    const CONTEXT: &'static str = "api_keys";
    const AUDIENCE: Audience = Audience::Product;
    type Command = ActorCommand;
    type Event = ActorEvent;
    type Refusal = ActorRefusal;

    fn evolve(self, event: &ActorEvent) -> Self {
        match event {
            ActorEvent::Registered { kind } => Self::Known(*kind),
        }
    }

    fn decide(&self, command: ActorCommand, _: &Moment) -> Result<Vec<ActorEvent>, ActorRefusal> {
        let ActorCommand::Register { kind } = command;
        match self {
            Self::Unknown => Ok(vec![ActorEvent::Registered { kind }]),
            Self::Known(known) if *known == kind => Ok(vec![]),
            Self::Known(known) => Err(ActorRefusal::KindMismatch(*known)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    const fn register(kind: ActorKind) -> ActorCommand {
        ActorCommand::Register { kind }
    }

    fn registered() -> ActorEvent {
        ActorEvent::Registered {
            kind: ActorKind::Agent,
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
    fn they_stay_of_their_kind() {
        given::<KnownActor>([registered()])
            .when(register(ActorKind::Person))
            .then_refused(ActorRefusal::KindMismatch(ActorKind::Agent));
    }
}
