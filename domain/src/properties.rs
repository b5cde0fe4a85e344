//! Properties of all events in any order: folding them never panics, and every payload is read as it was written.

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::testing::strategies::{Recipient, give_all};
use crate::{Aggregate, EventContract, contracts};

/// Checks every aggregate, and records its category.
#[derive(Default)]
struct Folding(Vec<&'static str>);

impl Recipient for Folding {
    fn take<A: Aggregate>(&mut self, event: BoxedStrategy<A::Event>) {
        folding_is_total::<A>(event);
        self.0.push(A::CATEGORY);
    }
}

#[test]
fn any_events_of_any_aggregate_fold() {
    let mut folding = Folding::default();
    give_all(&mut folding);
    let known: Vec<&str> = contracts().iter().map(|c| c.category).collect();
    assert_eq!(folding.0, known);
}

fn folding_is_total<A: Aggregate>(event: impl Strategy<Value = A::Event>) {
    let seen = RefCell::new(BTreeSet::new());
    TestRunner::default()
        .run(&vec(event, 0..20), |events| {
            let mut state = A::default();
            for event in events {
                let data = serde_json::to_string(&event).unwrap();
                let read = A::Event::decode(event.event_type(), event.version(), &data);
                prop_assert_eq!(read.unwrap(), event.clone());
                state = state.evolve(&event);
                seen.borrow_mut().insert(event.event_type());
            }
            Ok(())
        })
        .unwrap();
    let known: BTreeSet<&str> = A::Event::TYPES.iter().map(|(name, _)| *name).collect();
    assert_eq!(seen.into_inner(), known, "no type of event is left out");
}
