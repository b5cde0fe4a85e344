//! Tests of decisions in the form: given events, when a command comes, then events or a refusal follow.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Actor, ActorKind, Aggregate, Class, DecisionContext, Refusal, fold};

pub mod strategies;

pub const PERSON: Actor = Actor {
    kind: ActorKind::Person,
    id: Uuid::from_u128(1),
};
pub const AGENT: Actor = Actor {
    kind: ActorKind::Agent,
    id: Uuid::from_u128(2),
};

/// Returns the time at which all tests take place.
pub fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_355_200, 0).unwrap()
}

pub struct Given<A>(A);

pub struct When<A: Aggregate>(Result<Vec<A::Event>, A::Refusal>);

pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given(fold(events))
}

impl<A: Aggregate> Given<A> {
    pub fn when(self, command: A::Command) -> When<A> {
        self.when_by(PERSON, command)
    }

    pub fn when_by(self, actor: Actor, command: A::Command) -> When<A> {
        self.when_at(noon(), actor, command)
    }

    pub fn when_at(self, now: DateTime<Utc>, actor: Actor, command: A::Command) -> When<A> {
        When(self.0.decide(command, &DecisionContext::of(actor, now)))
    }

    /// Decides a command of an actor whose key another actor controls.
    pub fn when_controlled(self, actor: Actor, controller: Uuid, command: A::Command) -> When<A> {
        let context = DecisionContext {
            controller,
            ..DecisionContext::of(actor, noon())
        };
        When(self.0.decide(command, &context))
    }
}

impl<A: Aggregate> When<A> {
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) {
        assert_eq!(self.0.unwrap(), expected.into_iter().collect::<Vec<_>>());
    }

    /// Returns true if the command was not refused.
    pub const fn is_accepted(&self) -> bool {
        self.0.is_ok()
    }

    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    #[track_caller]
    pub fn then_refused(self, expected: A::Refusal)
    where
        A::Refusal: PartialEq,
    {
        assert_eq!(self.0.unwrap_err(), expected);
    }

    /// Asserts the invalid fields that a refusal names.
    #[track_caller]
    pub fn then_invalid(self, pointers: &[&str]) {
        let refusal = self.0.unwrap_err();
        let Class::Invalid(violations) = refusal.class() else {
            panic!("refused for another reason: {refusal}");
        };
        let found: Vec<_> = violations.0.iter().map(|v| v.pointer.as_str()).collect();
        assert_eq!(found, pointers);
    }
}
