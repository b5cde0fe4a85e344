//! Tests of decisions in the form: given events, when a command comes, then events or a refusal follow.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Actor, ActorKind, Aggregate, Class, DecisionContext, Refusal, Rejection, fold};

mod contract_tests;
mod generate;

pub use contract_tests::{ContractTests, Payload};
pub use generate::{Generate, Values, any_of, one_of};
pub use proptest::strategy::{BoxedStrategy, Just, Strategy};

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

pub struct When<A: Aggregate>(Result<Vec<A::Event>, Rejection<A::Rule>>);

pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given(fold(events))
}

/// Records that a test has produced a refusal, in the folder `REFUSALS_FOLDER` if there is one.
///
/// `make test` sets the folder, and afterwards looks for codes that no test has produced.
pub fn record_refusal(code: &str) {
    if let Some(folder) = std::env::var_os("REFUSALS_FOLDER") {
        let file = Path::new(&folder).join(std::process::id().to_string());
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            .unwrap();
        file.write_all(format!("{code}\n").as_bytes()).unwrap();
    }
}

impl<A: Aggregate> Given<A> {
    pub fn when(self, command: A::Command) -> When<A> {
        self.when_by(PERSON, command)
    }

    pub fn when_by(self, actor: Actor, command: A::Command) -> When<A> {
        self.when_at(noon(), actor, command)
    }

    pub fn when_at(self, now: DateTime<Utc>, actor: Actor, command: A::Command) -> When<A> {
        When::of(&self.0, command, &DecisionContext::of(actor, now))
    }

    /// Decides a command of an actor whose key another actor controls.
    pub fn when_controlled(self, actor: Actor, controller: Uuid, command: A::Command) -> When<A> {
        let context = DecisionContext {
            controller,
            ..DecisionContext::of(actor, noon())
        };
        When::of(&self.0, command, &context)
    }

    /// Decides a command that is issued with the operator's key.
    pub fn when_operator(self, command: A::Command) -> When<A> {
        let context = DecisionContext {
            is_operator: true,
            ..DecisionContext::of(PERSON, noon())
        };
        When::of(&self.0, command, &context)
    }
}

impl<A: Aggregate> When<A> {
    fn of(state: &A, command: A::Command, context: &DecisionContext) -> Self {
        let decision = state.decide(command, context);
        if let Err(refusal) = &decision {
            record_refusal(&refusal.code());
        }
        Self(decision)
    }

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
    pub fn then_refused(self, expected: impl Into<Rejection<A::Rule>>)
    where
        Rejection<A::Rule>: PartialEq,
    {
        assert_eq!(self.0.unwrap_err(), expected.into());
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
