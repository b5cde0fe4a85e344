//! Whatever a log holds, in whatever order: folding it never panics, and every payload is read as it was written.

use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::agents::agent::Agent;
use crate::agents::policy::Policy;
use crate::agents::proposal::Proposal;
use crate::delivery::webhook::Webhook;
use crate::delivery::webhook_delivery::Delivery;
use crate::identity::actor::KnownActor;
use crate::identity::api_key::ApiKey;
use crate::identity::avatar::Avatar;
use crate::identity::product::Product;
use crate::knowledge::artifact::Artifact;
use crate::knowledge::calendar_feed::CalendarFeed;
use crate::knowledge::checklist::Checklist;
use crate::knowledge::note::Note;
use crate::knowledge::task::Task;
use crate::knowledge::workspace::Workspace;
use crate::operations::blob::Blob;
use crate::operations::file::File;
use crate::operations::storage::Storage;
use crate::testing::strategies::{
    agent, api_key, artifact, avatar, blob, calendar_feed, checklist, file, known_actor, note,
    policy, product, proposal, storage, task, webhook, webhook_delivery, workspace,
};
use crate::{Aggregate, EventContract, contracts};

/// An aggregate's category, and its check.
const CHECKS: [(&str, fn()); 18] = [
    (Product::CATEGORY, || folding_is_total::<Product>(product())),
    (KnownActor::CATEGORY, || {
        folding_is_total::<KnownActor>(known_actor());
    }),
    (ApiKey::CATEGORY, || folding_is_total::<ApiKey>(api_key())),
    (Avatar::CATEGORY, || folding_is_total::<Avatar>(avatar())),
    (Workspace::CATEGORY, || {
        folding_is_total::<Workspace>(workspace());
    }),
    (Note::CATEGORY, || folding_is_total::<Note>(note())),
    (Task::CATEGORY, || folding_is_total::<Task>(task())),
    (Checklist::CATEGORY, || {
        folding_is_total::<Checklist>(checklist());
    }),
    (CalendarFeed::CATEGORY, || {
        folding_is_total::<CalendarFeed>(calendar_feed());
    }),
    (Artifact::CATEGORY, || {
        folding_is_total::<Artifact>(artifact());
    }),
    (Agent::CATEGORY, || folding_is_total::<Agent>(agent())),
    (Proposal::CATEGORY, || {
        folding_is_total::<Proposal>(proposal());
    }),
    (Policy::CATEGORY, || folding_is_total::<Policy>(policy())),
    (Webhook::CATEGORY, || folding_is_total::<Webhook>(webhook())),
    (Delivery::CATEGORY, || {
        folding_is_total::<Delivery>(webhook_delivery());
    }),
    (File::CATEGORY, || folding_is_total::<File>(file())),
    (Blob::CATEGORY, || folding_is_total::<Blob>(blob())),
    (Storage::CATEGORY, || folding_is_total::<Storage>(storage())),
];

#[test]
fn any_events_of_any_aggregate_fold() {
    let known: Vec<&str> = contracts().iter().map(|c| c.category).collect();
    assert_eq!(CHECKS.map(|(category, _)| category), *known);
    for (_, check) in CHECKS {
        check();
    }
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
