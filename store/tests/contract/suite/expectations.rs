//! An append succeeds only if its expectations of the streams hold.

use domain::StreamId;
use futures::future::join_all;
use store::{Append, AppendError, Expected, NewEvent};

use crate::backend::Backend;
use crate::harness::{
    AppendExt as _, append, append_to, event, given, log, new_stream, version_of,
};

pub async fn each_is_met_or_refused_by_how_the_stream_stands(backend: &impl Backend) {
    let store = backend.node().await;
    for (expected, met_at) in [
        (Expected::Any, [true, true, true]),
        (Expected::NoStream, [true, false, false]),
        (Expected::Existing, [false, true, true]),
        (Expected::Exact(0), [true, false, false]),
        (Expected::Exact(1), [false, true, false]),
        (Expected::Exact(2), [false, false, true]),
        (Expected::Exact(3), [false, false, false]),
        (Expected::Exact(-1), [false, false, false]),
    ] {
        for (version, met) in met_at.into_iter().enumerate() {
            let stream = new_stream();
            given(&*store, &stream, version).await;
            let outcome = store.append(append_to(&stream, expected, 1)).await;
            assert_eq!(
                outcome.is_ok(),
                met,
                "{expected:?} of a stream at {version}"
            );
        }
    }
}

pub async fn a_conflict_tells_the_version_and_leaves_nothing(backend: &impl Backend) {
    let store = backend.node().await;
    let stream = new_stream();
    given(&*store, &stream, 3).await;
    let before = log(&*store).await;

    let refused = store
        .append(append_to(&stream, Expected::Exact(2), 2))
        .await
        .unwrap_err();

    let AppendError::Conflict {
        stream: found,
        expected,
        actual,
    } = refused
    else {
        panic!("{refused}");
    };
    assert_eq!((found, expected, actual), (stream, Expected::Exact(2), 3));
    assert_eq!(log(&*store).await, before);
}

pub async fn several_streams_are_appended_to_together(backend: &impl Backend) {
    let store = backend.node().await;
    let (proposal, note) = (new_stream(), new_stream());
    given(&*store, &proposal, 1).await;

    let appended = store
        .append(
            append([event(&proposal), event(&note)])
                .expecting(&proposal, Expected::Exact(1))
                .expecting(&note, Expected::NoStream),
        )
        .await
        .unwrap();

    assert_eq!(appended.placed, [(2, 2), (3, 1)]);
    assert_eq!(appended.position, 3);
    assert_eq!(log(&*store).await.len(), 3);
}

pub async fn one_conflict_leaves_nothing_of_an_append_to_several_streams(backend: &impl Backend) {
    let store = backend.node().await;
    let (proposal, note) = (new_stream(), new_stream());
    given(&*store, &note, 1).await;

    let refused = store
        .append(
            append([event(&proposal), event(&note)])
                .expecting(&proposal, Expected::NoStream)
                .expecting(&note, Expected::NoStream),
        )
        .await
        .unwrap_err();

    assert!(
        matches!(&refused, AppendError::Conflict { stream, actual: 1, .. } if *stream == note),
        "{refused}"
    );
    assert_eq!(version_of(&*store, &proposal).await, 0);
    assert_eq!(version_of(&*store, &note).await, 1);
    assert_eq!(log(&*store).await.len(), 1);
}

pub async fn a_stream_without_an_event_is_only_guarded(backend: &impl Backend) {
    let store = backend.node().await;
    let (workspace, note) = (new_stream(), new_stream());
    given(&*store, &workspace, 2).await;
    let guarded = |expected| append_to(&note, Expected::Any, 1).expecting(&workspace, expected);

    store.append(guarded(Expected::Exact(2))).await.unwrap();
    let refused = store.append(guarded(Expected::Exact(1))).await.unwrap_err();

    assert!(
        matches!(&refused, AppendError::Conflict { stream, actual: 2, .. } if *stream == workspace),
        "{refused}"
    );
    assert_eq!(version_of(&*store, &workspace).await, 2);
    assert_eq!(version_of(&*store, &note).await, 1);
}

pub async fn a_guard_alone_appends_nothing_and_tells_the_head(backend: &impl Backend) {
    let store = backend.node().await;
    let stream = new_stream();
    given(&*store, &stream, 2).await;
    let guard = |expected| append([]).expecting(&stream, expected);

    let held = store.append(guard(Expected::Exact(2))).await.unwrap();
    let refused = store.append(guard(Expected::NoStream)).await.unwrap_err();

    assert_eq!((held.position, held.placed), (2, vec![]));
    assert!(
        matches!(refused, AppendError::Conflict { actual: 2, .. }),
        "{refused}"
    );
    assert_eq!(log(&*store).await.len(), 2);
}

/// Builds appends to a stream, each decided on the event of the one before.
fn chain(stream: &StreamId, length: usize) -> Vec<Append> {
    let events: Vec<NewEvent> = (0..length).map(|_| event(stream)).collect();
    let expected =
        std::iter::once(Expected::NoStream).chain((1..).zip(&events).map(|(version, event)| {
            Expected::After {
                version,
                event_id: event.event_id,
            }
        }));
    let appends = events.iter().cloned().zip(expected);
    appends
        .map(|(event, expected)| append([event]).expecting(stream, expected))
        .collect()
}

pub async fn an_append_may_follow_an_event_that_is_on_its_way(backend: &impl Backend) {
    let store = backend.node().await;
    let stream = new_stream();
    let appends = chain(&stream, 50).into_iter();

    let outcomes = join_all(appends.map(|append| store.append(append))).await;

    for (version, outcome) in (1..).zip(outcomes) {
        assert_eq!(outcome.unwrap().placed, [(version, version)]);
    }
}

pub async fn what_follows_an_event_that_did_not_arrive_is_refused(backend: &impl Backend) {
    let nodes = [backend.node().await, backend.node().await];
    let stream = new_stream();
    // Both begin the stream; the later one fails, and so does everything decided on its event.
    given(&*nodes[0], &stream, 1).await;
    let appends = chain(&stream, 3);

    for node in nodes {
        for append in appends.clone() {
            let refused = node.append(append).await.unwrap_err();
            assert!(
                matches!(refused, AppendError::Conflict { actual: 1, .. }),
                "{refused}"
            );
        }
    }
}
