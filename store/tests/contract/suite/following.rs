//! Subscriptions to the log: first the recorded events, then new ones.

use std::pin::pin;

use domain::StreamId;
use futures::{StreamExt as _, TryStreamExt as _};
use store::{Expected, Filter, Position, subscribe};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::{append, append_to, event, given, log, new_stream, until_head};

/// Enough events for several pages of catching up.
const EARLIER: usize = 1200;
const LATER: usize = 300;

pub async fn first_comes_what_is_there_then_what_is_appended(backend: &impl Backend) {
    let (writer, reader) = (backend.node().await, backend.node().await);
    given(&*writer, &new_stream(), EARLIER).await;
    let total = EARLIER + LATER;

    let appending = async {
        for _ in 0..LATER {
            given(&*writer, &new_stream(), 1).await;
        }
    };
    let follow = |after: Position| {
        let store = reader.clone();
        let count = total - usize::try_from(after).unwrap();
        async move {
            let following = subscribe(store, after, Filter::default());
            following.take(count).try_collect::<Vec<_>>().await.unwrap()
        }
    };
    let ((), all, late) = tokio::join!(appending, follow(0), follow(700));

    let expected = log(&*writer).await;
    assert_eq!(expected.len(), total);
    assert_eq!(all, expected);
    assert_eq!(late, expected[700..]);
}

pub async fn only_what_the_filter_lets_through_comes(backend: &impl Backend) {
    let store = backend.node().await;
    let webhook = StreamId::new("webhook", Uuid::now_v7());
    let mixed = || append([event(&new_stream()), event(&webhook), event(&new_stream())]);
    store.append(mixed()).await.unwrap();
    let mut following = pin!(subscribe(store.clone(), 0, Filter::categories(["webhook"])));

    let mut came = vec![following.next().await.unwrap().unwrap()];
    store.append(mixed()).await.unwrap();
    came.push(following.next().await.unwrap().unwrap());

    assert!(came.iter().map(|event| event.position).eq([2, 5]));
}

/// Alternates between nodes so often that polling, once a second, would take too long.
pub async fn an_append_wakes_the_other_node(backend: &impl Backend) {
    let (one, other) = (backend.node().await, backend.node().await);
    let stream = new_stream();
    let mut on_one = pin!(subscribe(one.clone(), 0, Filter::default()));
    let mut on_other = pin!(subscribe(other.clone(), 0, Filter::default()));

    for version in 0..200 {
        let writer = if version % 2 == 0 { &one } else { &other };
        let append = append_to(&stream, Expected::Exact(version), 1);
        writer.append(append).await.unwrap();
        for following in [&mut on_one, &mut on_other] {
            let came = following.next().await.unwrap().unwrap();
            assert_eq!(came.version, version + 1);
        }
    }
}

pub async fn a_follower_ahead_of_the_log_waits_for_it(backend: &impl Backend) {
    let store = backend.node().await;
    given(&*store, &new_stream(), 2).await;
    let mut following = pin!(subscribe(store.clone(), 4, Filter::default()));

    let three_more = async {
        for _ in 0..3 {
            given(&*store, &new_stream(), 1).await;
        }
        until_head(&*store, 5).await;
    };
    let (came, ()) = tokio::join!(following.next(), three_more);

    assert_eq!(came.unwrap().unwrap().position, 5);
}
