//! Callers repeat an append if they do not know that it happened.

use store::{AppendError, Expected};

use crate::backend::Backend;
use crate::harness::{
    AppendExt as _, append, append_at_once, append_to, event, given, log, new_stream, receipt_key,
};

const EACH: [Expected; 3] = [Expected::NoStream, Expected::Exact(0), Expected::Any];

pub async fn an_append_that_is_repeated_is_told_where_it_is(backend: &impl Backend) {
    let store = backend.node().await;
    for expected in EACH {
        let (one, other) = (new_stream(), new_stream());
        let append = append([event(&one), event(&other), event(&one)])
            .expecting(&one, expected)
            .expecting(&other, expected);

        let first = store.append(append.clone()).await.unwrap();
        let before = log(&*store).await;
        let again = store.append(append).await.unwrap();

        assert_eq!(again, first, "{expected:?}");
        assert_eq!(log(&*store).await, before);
    }
}

pub async fn it_is_told_so_under_its_key(backend: &impl Backend) {
    let store = backend.node().await;
    for (key, expected) in (0..).zip(EACH) {
        let stream = new_stream();
        let append = append_to(&stream, expected, 2).with_receipt(receipt_key(key, &stream));

        let first = store.append(append.clone()).await.unwrap();
        let again = store.append(append).await.unwrap();

        assert_eq!(again, first, "{expected:?}");
    }
}

pub async fn it_is_told_so_after_the_stream_moved_on(backend: &impl Backend) {
    let store = backend.node().await;
    for expected in EACH {
        let stream = new_stream();
        let append = append_to(&stream, expected, 2);

        let first = store.append(append.clone()).await.unwrap();
        given(&*store, &stream, 3).await;
        let again = store.append(append).await.unwrap();

        assert_eq!(again, first, "{expected:?}");
    }
}

pub async fn it_is_told_so_by_another_node(backend: &impl Backend) {
    let (one, other) = (backend.node().await, backend.node().await);
    for expected in EACH {
        let append = append_to(&new_stream(), expected, 2);

        let first = one.append(append.clone()).await.unwrap();
        let again = other.append(append).await.unwrap();

        assert_eq!(again, first, "{expected:?}");
        assert!(
            *other.head().borrow() >= again.position,
            "what a node acknowledges can be read on it"
        );
    }
}

pub async fn an_append_that_is_partly_new_is_refused(backend: &impl Backend) {
    let store = backend.node().await;
    for expected in EACH {
        let stream = new_stream();
        let first = append_to(&stream, expected, 1);
        store.append(first.clone()).await.unwrap();
        let before = log(&*store).await;
        let mut more = first;
        more.events.push(event(&stream));

        let refused = store.append(more).await.unwrap_err();

        assert!(
            match expected {
                Expected::Any => matches!(refused, AppendError::Rejected(_)),
                Expected::NoStream
                | Expected::Existing
                | Expected::Exact(_)
                | Expected::After { .. } =>
                    matches!(refused, AppendError::Conflict { actual: 1, .. }),
            },
            "{expected:?}: {refused}"
        );
        assert_eq!(log(&*store).await, before);
    }
}

pub async fn an_event_twice_in_one_append_is_refused(backend: &impl Backend) {
    let store = backend.node().await;
    let event = event(&new_stream());

    let refused = store
        .append(append([event.clone(), event]))
        .await
        .unwrap_err();

    assert!(matches!(refused, AppendError::Rejected(_)), "{refused}");
    assert_eq!(log(&*store).await, []);
}

pub async fn the_same_append_from_many_tasks_lands_once(backend: &impl Backend) {
    let nodes = [backend.node().await, backend.node().await];
    for expected in EACH {
        let append = append_to(&new_stream(), expected, 2);

        let outcomes = append_at_once(&nodes, vec![append; 12]).await;

        let mut places: Vec<_> = outcomes
            .into_iter()
            .map(|(_, outcome)| outcome.unwrap())
            .collect();
        places.dedup();
        assert_eq!(places.len(), 1, "{expected:?}");
    }
    assert_eq!(log(&*nodes[0]).await.len(), 2 * EACH.len());
}
