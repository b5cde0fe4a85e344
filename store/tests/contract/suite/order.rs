//! Every event has a position in the whole log and a version in its stream.

use store::{AppendError, Expected};

use crate::backend::Backend;
use crate::harness::{
    append, append_at_once, append_to, assert_holds_exactly, event, event_with_data, given, log,
    new_stream, until_head,
};

const TASKS: usize = 300;

pub async fn versions_and_positions_are_contiguous(backend: &impl Backend) {
    let store = backend.node().await;
    let (one, other) = (new_stream(), new_stream());

    let first = given(&*store, &one, 2).await;
    let second = given(&*store, &other, 1).await;
    let third = given(&*store, &one, 3).await;

    assert_eq!(first.placed, [(1, 1), (2, 2)]);
    assert_eq!(second.placed, [(3, 1)]);
    assert_eq!(third.placed, [(4, 3), (5, 4), (6, 5)]);
    assert_eq!(third.position, 6);
    assert_eq!(*store.head().borrow(), 6);
    assert_eq!(log(&*store).await.len(), 6);
}

pub async fn events_of_several_streams_keep_their_order(backend: &impl Backend) {
    let store = backend.node().await;
    let (one, other) = (new_stream(), new_stream());
    let mixed = append([event(&one), event(&other), event(&one), event(&other)]);

    let appended = store.append(mixed.clone()).await.unwrap();

    assert_eq!(appended.placed, [(1, 1), (2, 1), (3, 2), (4, 2)]);
    assert_holds_exactly(&log(&*store).await, &[(mixed, appended)]);
}

pub async fn appends_arrive_in_the_order_of_their_calls(backend: &impl Backend) {
    let store = backend.node().await;
    let stream = new_stream();
    let called =
        (0..50).map(|version| store.append(append_to(&stream, Expected::Exact(version), 1)));
    let called: Vec<_> = called.collect();
    // Awaited in reverse order.
    let mut versions = Vec::new();
    for appending in called.into_iter().rev() {
        versions.push(appending.await.unwrap().placed[0].1);
    }
    assert_eq!(versions, (1..=50).rev().collect::<Vec<_>>());
}

pub async fn appends_of_many_tasks_are_there_once_and_without_gap(backend: &impl Backend) {
    race(backend, 1).await;
}

pub async fn appends_of_two_nodes_are_there_once_and_without_gap(backend: &impl Backend) {
    race(backend, 2).await;
}

/// Makes many tasks append one to three events each to a few streams, with conflicts.
async fn race(backend: &impl Backend, nodes: usize) {
    let mut stores = vec![];
    for _ in 0..nodes {
        stores.push(backend.node().await);
    }
    let streams: Vec<_> = (0..7).map(|_| new_stream()).collect();
    let appends = (0..TASKS)
        .map(|task| append_to(&streams[task % streams.len()], Expected::Any, 1 + task % 3));

    let outcomes = append_at_once(&stores, appends).await;

    let acknowledged: Vec<_> = outcomes
        .into_iter()
        .map(|(append, outcome)| (append, outcome.unwrap()))
        .collect();
    let last = acknowledged
        .iter()
        .map(|(_, appended)| appended.position)
        .max();
    for store in stores {
        until_head(&*store, last.unwrap()).await;
        assert_holds_exactly(&log(&*store).await, &acknowledged);
    }
}

pub async fn of_many_that_race_for_a_version_one_wins(backend: &impl Backend) {
    let nodes = [backend.node().await, backend.node().await];
    let stream = new_stream();
    for version in 0..5 {
        let racing = (0..20).map(|_| append_to(&stream, Expected::Exact(version), 1));

        let outcomes = append_at_once(&nodes, racing).await;

        let (won, lost): (Vec<_>, Vec<_>) = outcomes
            .into_iter()
            .partition(|(_, outcome)| outcome.is_ok());
        assert_eq!(won.len(), 1);
        for (_, outcome) in lost {
            let refused = outcome.unwrap_err();
            assert!(
                matches!(refused, AppendError::Conflict { actual, .. } if actual == version + 1),
                "{refused}"
            );
        }
    }
}

pub async fn a_conflict_fails_alone_among_its_neighbours(backend: &impl Backend) {
    let store = backend.node().await;
    let appends = (0..60).map(|n| match n % 10 {
        0 => append_to(&new_stream(), Expected::Existing, 1),
        _ => append_to(&new_stream(), Expected::NoStream, 1),
    });

    let outcomes = append_at_once(std::slice::from_ref(&store), appends).await;

    let (kept, refused): (Vec<_>, Vec<_>) = outcomes
        .into_iter()
        .partition(|(_, outcome)| outcome.is_ok());
    assert!(refused.iter().all(|(append, outcome)| {
        matches!(outcome, Err(AppendError::Conflict { actual: 0, .. }))
            && append.expectations[0].1 == Expected::Existing
    }));
    assert_eq!(refused.len(), 6);
    let kept: Vec<_> = kept
        .into_iter()
        .map(|(append, ok)| (append, ok.unwrap()))
        .collect();
    assert_holds_exactly(&log(&*store).await, &kept);
}

pub async fn invalid_json_fails_alone_among_its_neighbours(backend: &impl Backend) {
    let store = backend.node().await;
    let appends = (0..60).map(|n| match n % 20 {
        0 => append([
            event(&new_stream()),
            event_with_data(&new_stream(), r#"{"title":"#),
        ]),
        _ => append([event(&new_stream())]),
    });

    let outcomes = append_at_once(std::slice::from_ref(&store), appends).await;

    let (kept, refused): (Vec<_>, Vec<_>) = outcomes
        .into_iter()
        .partition(|(_, outcome)| outcome.is_ok());
    assert!(refused.iter().all(|(append, outcome)| {
        matches!(outcome, Err(AppendError::Rejected(_))) && append.events.len() == 2
    }));
    assert_eq!(refused.len(), 3);
    let kept: Vec<_> = kept
        .into_iter()
        .map(|(append, ok)| (append, ok.unwrap()))
        .collect();
    assert_holds_exactly(&log(&*store).await, &kept);
}
