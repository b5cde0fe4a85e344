//! Compares two nodes that append at random with a list.

use std::sync::Arc;

use domain::StreamId;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use store::{Append, AppendError, Appended, EventStore, Expected, Position};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::backend::{Backend, InMemory, Postgres};
use crate::harness::{
    AppendExt as _, append, append_at_once, event, in_time, log, new_stream, until_head,
};

const STREAMS: usize = 3;
const CASES: u32 = 40;

/// One append: the versions that it expects of streams, and the streams that it adds events to.
#[derive(Debug, Clone)]
struct Attempt {
    expectations: Vec<(usize, Expected)>,
    events: Vec<usize>,
}

/// Attempts of one round run concurrently, on both nodes; rounds run one after another.
type Rounds = Vec<Vec<Attempt>>;

fn rounds() -> impl Strategy<Value = Rounds> {
    let expected = prop_oneof![
        Just(Expected::Any),
        Just(Expected::NoStream),
        Just(Expected::Existing),
        (0_i64..6).prop_map(Expected::Exact),
    ];
    let attempt = (
        prop::collection::vec((0..STREAMS, expected), 0..3),
        prop::collection::vec(0..STREAMS, 0..4),
    )
        .prop_map(|(expectations, events)| Attempt {
            expectations,
            events,
        });
    prop::collection::vec(prop::collection::vec(attempt, 1..9), 1..9)
}

/// The log as a list of streams; an event's position is its place in it.
struct Model {
    log: Vec<(StreamId, Uuid)>,
}

impl Model {
    fn version_at(&self, stream: &StreamId, position: usize) -> i64 {
        let events = self.log[..position].iter();
        i64::try_from(events.filter(|(found, _)| found == stream).count()).unwrap()
    }

    fn holds_at(&self, append: &Append, position: usize) -> bool {
        append
            .expectations
            .iter()
            .all(|(stream, expected)| meets(*expected, self.version_at(stream, position)))
    }

    /// Applies the outcomes of a round of appends in the order of positions, and asserts that they are possible.
    fn take(&mut self, mut outcomes: Vec<(Append, Result<Appended, AppendError>)>) {
        let before = self.log.len();
        outcomes.sort_by_key(|(_, outcome)| outcome.as_ref().map_or(Position::MAX, first_position));
        for (append, outcome) in outcomes {
            match outcome {
                Ok(appended) if append.events.is_empty() => {
                    let at = usize::try_from(appended.position).unwrap();
                    assert!((before..=self.log.len()).contains(&at));
                    assert!(self.holds_at(&append, at));
                }
                Ok(appended) => self.push(&append, &appended),
                Err(AppendError::Conflict {
                    stream,
                    expected,
                    actual,
                }) => {
                    assert!(append.expectations.contains(&(stream.clone(), expected)));
                    assert!(!meets(expected, actual));
                    let possible = (before..=self.log.len())
                        .any(|position| self.version_at(&stream, position) == actual);
                    assert!(possible, "{stream} was never at {actual} in this round");
                }
                Err(refused) => panic!("{refused}"),
            }
        }
    }

    fn push(&mut self, append: &Append, appended: &Appended) {
        assert!(self.holds_at(append, self.log.len()), "{append:?}");
        let placed: Vec<_> = append
            .events
            .iter()
            .map(|event| {
                self.log.push((event.stream.clone(), event.event_id));
                let position = self.log.len();
                let version = self.version_at(&event.stream, position);
                (i64::try_from(position).unwrap(), version)
            })
            .collect();
        assert_eq!(appended.placed, placed);
    }
}

/// Implements the check independently, so that the store is not compared with itself.
fn meets(expected: Expected, version: i64) -> bool {
    match expected {
        Expected::Any => true,
        Expected::NoStream => version < 1,
        Expected::Existing => version >= 1,
        Expected::Exact(exact) => version == exact,
        Expected::After { .. } => unreachable!("the model has no event ids"),
    }
}

/// Sorts appends without events after those with events that they may have been decided on.
fn first_position(appended: &Appended) -> Position {
    appended
        .placed
        .first()
        .map_or(Position::MAX - 1, |placed| placed.0)
}

async fn play(nodes: &[Arc<dyn EventStore>], rounds: Rounds) {
    let before = log(&*nodes[0]).await;
    let mut model = Model {
        log: before
            .into_iter()
            .map(|event| (event.stream, event.event_id))
            .collect(),
    };
    let streams: Vec<_> = (0..STREAMS).map(|_| new_stream()).collect();
    for round in rounds {
        let appends = round.into_iter().map(|attempt| {
            let events = attempt.events.iter().map(|&stream| event(&streams[stream]));
            let expectations = attempt.expectations.iter();
            expectations.fold(append(events), |append, &(stream, expected)| {
                append.expecting(&streams[stream], expected)
            })
        });
        model.take(append_at_once(nodes, appends).await);
    }
    for node in nodes {
        until_head(&**node, i64::try_from(model.log.len()).unwrap()).await;
        let found = log(&**node).await;
        assert!(
            found
                .into_iter()
                .map(|event| (event.stream, event.event_id))
                .eq(model.log.iter().cloned())
        );
    }
}

#[test]
fn two_nodes_on_postgres_behave_like_one_list() {
    compare_with_a_list::<Postgres>();
}

#[test]
fn two_nodes_in_memory_behave_like_one_list() {
    compare_with_a_list::<InMemory>();
}

fn compare_with_a_list<B: Backend>() {
    let runtime = Runtime::new().unwrap();
    let nodes = runtime.block_on(in_time(async {
        let backend = B::start().await;
        [backend.node().await, backend.node().await]
    }));
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&rounds(), |rounds| {
            runtime.block_on(in_time(play(&nodes, rounds)));
            Ok(())
        })
        .unwrap();
}
