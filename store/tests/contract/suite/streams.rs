//! Reads of one stream.

use domain::StreamId;
use store::{Direction, EventStore};

use crate::backend::Backend;
use crate::harness::{append, event, given, new_stream};

async fn versions(
    store: &dyn EventStore,
    stream: &StreamId,
    from: i64,
    direction: Direction,
    limit: usize,
) -> Vec<i64> {
    let events = store.read_stream(stream, from, direction, limit).await;
    events.unwrap().iter().map(|event| event.version).collect()
}

pub async fn a_stream_is_read_forwards_from_a_version(backend: &impl Backend) {
    let store = backend.node().await;
    let stream = new_stream();
    given(&*store, &stream, 5).await;
    given(&*store, &new_stream(), 5).await;

    for (from, limit, expected) in [
        (0, 100, vec![1, 2, 3, 4, 5]),
        (0, 5, vec![1, 2, 3, 4, 5]),
        (0, 2, vec![1, 2]),
        (2, 2, vec![3, 4]),
        (4, 2, vec![5]),
        (5, 2, vec![]),
        (9, 2, vec![]),
        (0, 0, vec![]),
        (0, usize::MAX, vec![1, 2, 3, 4, 5]),
    ] {
        let found = versions(&*store, &stream, from, Direction::Forwards, limit).await;
        assert_eq!(found, expected, "{limit} after {from}");
    }
}

pub async fn a_stream_is_read_backwards_from_a_version(backend: &impl Backend) {
    let store = backend.node().await;
    let stream = new_stream();
    given(&*store, &stream, 5).await;
    given(&*store, &new_stream(), 5).await;

    for (from, limit, expected) in [
        (0, 100, vec![5, 4, 3, 2, 1]),
        (0, 2, vec![5, 4]),
        (4, 2, vec![3, 2]),
        (2, 2, vec![1]),
        (1, 2, vec![]),
        (9, 2, vec![5, 4]),
        (0, 0, vec![]),
    ] {
        let found = versions(&*store, &stream, from, Direction::Backwards, limit).await;
        assert_eq!(found, expected, "{limit} before {from}");
    }
}

pub async fn a_stream_that_is_not_there_is_empty(backend: &impl Backend) {
    let store = backend.node().await;
    given(&*store, &new_stream(), 1).await;
    for direction in [Direction::Forwards, Direction::Backwards] {
        assert_eq!(
            versions(&*store, &new_stream(), 0, direction, 10).await,
            [0; 0]
        );
    }
}

pub async fn categories_keep_streams_of_one_id_apart(backend: &impl Backend) {
    let store = backend.node().await;
    let note = new_stream();
    let other = StreamId::new("note.draft", note.id);

    let appended = store
        .append(append([event(&note), event(&other), event(&note)]))
        .await
        .unwrap();

    assert_eq!(appended.placed, [(1, 1), (2, 1), (3, 2)]);
    assert_eq!(
        versions(&*store, &note, 0, Direction::Forwards, 10).await,
        [1, 2]
    );
    assert_eq!(
        versions(&*store, &other, 0, Direction::Forwards, 10).await,
        [1]
    );
}

pub async fn an_event_is_found_by_its_id(backend: &impl Backend) {
    let store = backend.node().await;
    let (one, other) = (event(&new_stream()), event(&new_stream()));
    store.append(append([one.clone(), other])).await.unwrap();

    let found = store.find(one.event_id).await.unwrap().unwrap();

    assert_eq!((found.position, found.event_id), (1, one.event_id));
    assert_eq!(store.find(event(&one.stream).event_id).await.unwrap(), None);
}
