//! The receipt of a command is stored with its events, under the command's idempotency key.

use store::{AppendError, Expected, Receipt};

use crate::backend::Backend;
use crate::harness::{
    AppendExt as _, append, append_at_once, append_to, event_with_data, given, log, new_stream,
    receipt_key,
};

pub async fn a_receipt_is_kept_with_the_append(backend: &impl Backend) {
    let store = backend.node().await;
    let (proposal, note) = (new_stream(), new_stream());
    given(&*store, &proposal, 4).await;
    let key = receipt_key(7, &proposal);
    let append = append([
        crate::harness::event(&proposal),
        crate::harness::event(&note),
    ])
    .with_receipt(key.clone());
    assert_eq!(store.receipt(&key.key).await.unwrap(), None);

    store.append(append.clone()).await.unwrap();

    let kept = Receipt {
        fingerprint: key.fingerprint.to_vec(),
        position: 6,
        stream: proposal,
        version: 5,
        event_ids: append.event_ids(),
    };
    assert_eq!(store.receipt(&key.key).await.unwrap(), Some(kept.clone()));
    let other = backend.node().await;
    assert_eq!(other.receipt(&key.key).await.unwrap(), Some(kept));
}

pub async fn a_key_that_was_used_is_answered_with_its_receipt(backend: &impl Backend) {
    let store = backend.node().await;
    let stream = new_stream();
    let key = receipt_key(1, &stream);
    let decided = || append_to(&stream, Expected::Any, 1).with_receipt(key.clone());
    store.append(decided()).await.unwrap();
    let kept = store.receipt(&key.key).await.unwrap().unwrap();
    given(&*store, &stream, 1).await;

    let mut otherwise = decided().expecting(&stream, Expected::NoStream);
    otherwise.receipt.as_mut().unwrap().fingerprint = [9; 32];
    for again in [decided(), otherwise] {
        let refused = store.append(again).await.unwrap_err();
        assert!(
            matches!(&refused, AppendError::Repeated(receipt) if **receipt == kept),
            "{refused:?}"
        );
    }

    assert_eq!(store.receipt(&key.key).await.unwrap(), Some(kept));
    assert_eq!(log(&*store).await.len(), 2);
}

pub async fn an_append_that_fails_leaves_no_receipt(backend: &impl Backend) {
    let store = backend.node().await;
    let stream = new_stream();
    let key = receipt_key(1, &stream);
    let conflicting = append_to(&stream, Expected::Existing, 1).with_receipt(key.clone());
    let rejected = append([event_with_data(&stream, "nonsense")]).with_receipt(key.clone());

    store.append(conflicting).await.unwrap_err();
    store.append(rejected).await.unwrap_err();
    assert_eq!(store.receipt(&key.key).await.unwrap(), None);

    let decided = append_to(&stream, Expected::NoStream, 1).with_receipt(key.clone());
    store.append(decided).await.unwrap();
    assert!(store.receipt(&key.key).await.unwrap().is_some());
}

pub async fn an_append_without_events_can_have_a_receipt(backend: &impl Backend) {
    let store = backend.node().await;
    let stream = new_stream();
    given(&*store, &stream, 3).await;
    let key = receipt_key(1, &stream);

    let nothing = store
        .append(append([]).with_receipt(key.clone()))
        .await
        .unwrap();

    assert_eq!((nothing.position, nothing.placed), (3, vec![]));
    let kept = store.receipt(&key.key).await.unwrap().unwrap();
    assert_eq!((kept.position, kept.version), (3, 3));
    assert!(kept.event_ids.is_empty());
    let refused = store
        .append(append([]).with_receipt(key))
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, AppendError::Repeated(receipt) if **receipt == kept),
        "{refused:?}"
    );
}

pub async fn of_many_that_race_for_a_key_one_wins(backend: &impl Backend) {
    let nodes = [backend.node().await, backend.node().await];
    let stream = new_stream();
    let racing =
        (0..20).map(|_| append_to(&stream, Expected::Any, 1).with_receipt(receipt_key(1, &stream)));

    let outcomes = append_at_once(&nodes, racing).await;

    let kept = nodes[0].receipt(&[1; 32]).await.unwrap().unwrap();
    let mut won = 0;
    for (append, outcome) in outcomes {
        match outcome {
            Ok(_) => {
                won += 1;
                assert_eq!(append.event_ids(), kept.event_ids);
            }
            Err(AppendError::Repeated(receipt)) => assert_eq!(*receipt, kept),
            Err(refused) => panic!("{refused:?}"),
        }
    }
    assert_eq!(won, 1);
}

pub async fn many_receipts_are_kept_in_one_group(backend: &impl Backend) {
    let store = backend.node().await;
    let appends = (0..100).map(|n| {
        let stream = new_stream();
        append_to(&stream, Expected::NoStream, usize::from(n % 4))
            .with_receipt(receipt_key(n, &stream))
    });

    let outcomes = append_at_once(std::slice::from_ref(&store), appends).await;

    for (append, outcome) in outcomes {
        let kept = store.receipt(&append.receipt.as_ref().unwrap().key).await;
        let kept = kept.unwrap().unwrap();
        assert_eq!(kept.event_ids, append.event_ids());
        assert_eq!(kept.position, outcome.unwrap().position);
        assert_eq!(kept.version, i64::try_from(append.events.len()).unwrap());
    }
}
