//! The tests of an aggregate's contract, independent of the aggregate's Rust type.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use super::any_of;
use crate::{Aggregate, EventContract, encode_payload};

/// An event as the log stores it.
#[derive(Debug, Clone)]
pub struct Payload {
    pub event_type: &'static str,
    pub version: u16,
    pub data: String,
}

/// The part of a [`Contract`](crate::Contract) that only tests need.
pub struct ContractTests {
    /// Returns the strategy of all events that the log accepts.
    pub events: fn() -> BoxedStrategy<Payload>,
    /// Checks that any events in any order fold, and that every payload is read as it was written.
    pub check_fold: fn(),
    /// Returns the workspace of a stream that begins with this event.
    pub workspace: fn(id: Uuid, event_type: &str, version: u16, data: &str) -> Option<Uuid>,
}

impl ContractTests {
    pub(crate) const fn of<A: Aggregate>() -> Self {
        Self {
            events: events::<A>,
            check_fold: check_fold::<A>,
            workspace: workspace::<A>,
        }
    }
}

fn events<A: Aggregate>() -> BoxedStrategy<Payload> {
    any_of::<A::Event>()
        .prop_filter_map("the log refuses it", |event| {
            Some(Payload {
                event_type: event.event_type(),
                version: event.version(),
                data: encode_payload(&event).ok()?,
            })
        })
        .boxed()
}

fn check_fold<A: Aggregate>() {
    let folds = TestRunner::default().run(&vec(any_of::<A::Event>(), 0..20), |events| {
        let mut state = A::default();
        for event in events {
            let data = serde_json::to_string(&event).unwrap();
            let read = A::Event::decode(event.event_type(), event.version(), &data).unwrap();
            state = state.evolve(&read);
            prop_assert_eq!(read, event);
        }
        Ok(())
    });
    folds.unwrap_or_else(|error| panic!("{}: {error}", std::any::type_name::<A>()));
}

fn workspace<A: Aggregate>(id: Uuid, event_type: &str, version: u16, data: &str) -> Option<Uuid> {
    let event = A::Event::decode(event_type, version, data).ok()?;
    A::default().evolve(&event).workspace(id)
}
