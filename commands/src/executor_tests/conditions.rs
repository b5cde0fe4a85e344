//! `If-Match` compares the version of the command's stream before the command.

use crate::testing::{LAB, Node, create, if_match, refused, rename, unavailable};

#[tokio::test]
async fn a_command_runs_on_a_version_that_the_caller_expects() {
    let node = Node::with_lab().await;
    for (expected, version) in [(&[1][..], 2), (&[1, 2], 3)] {
        let renamed = rename(LAB, &version.to_string());
        let done = node.run_as(&if_match(expected), &renamed).await;
        assert_eq!(done.unwrap().version, version);
    }
}

#[tokio::test]
async fn another_version_is_named_and_nothing_is_appended() {
    let node = Node::with_lab().await;
    for expected in [&[2][..], &[0, 3]] {
        let result = node
            .run_as(&if_match(expected), &rename(LAB, "Attic"))
            .await;
        assert_eq!(refused(result), "PreconditionFailed(1)");
    }
    assert_eq!(node.names(LAB).await, ["Lab"]);
}

#[tokio::test]
async fn a_stream_without_events_is_at_version_0() {
    let node = Node::start();
    let result = node.run_as(&if_match(&[1]), &create(LAB, "Lab")).await;
    assert_eq!(refused(result), "PreconditionFailed(0)");
    let created = node.run_as(&if_match(&[0]), &create(LAB, "Lab")).await;
    assert_eq!(created.unwrap().version, 1);
}

#[tokio::test]
async fn a_version_that_another_node_has_written_is_met() {
    let node = Node::with_lab().await;
    node.run(&rename(LAB, "Attic")).await.unwrap();
    let other = node.another();
    other.run(&rename(LAB, "Cellar")).await.unwrap();

    // This node remembers version 2.
    let done = node.run_as(&if_match(&[3]), &rename(LAB, "Loft")).await;
    assert_eq!(done.unwrap().version, 4);
}

#[tokio::test]
async fn a_change_that_comes_first_fails_the_condition() {
    let node = Node::with_lab().await;
    let other = node.another();
    node.store.hold();
    let conditional = if_match(&[1]);
    let attic = rename(LAB, "Attic");

    let (result, ()) = tokio::join!(node.run_as(&conditional, &attic), async {
        node.store.until_held(1).await;
        other.run(&rename(LAB, "Cellar")).await.unwrap();
        node.store.release().await;
    });

    assert_eq!(refused(result), "PreconditionFailed(2)");
    assert_eq!(node.names(LAB).await, ["Lab", "Cellar"]);
}

#[tokio::test]
async fn an_append_in_flight_counts_only_once_it_is_in_the_log() {
    let node = Node::with_lab().await;
    node.store.hold();
    let conditional = if_match(&[1]);
    let (attic, cellar) = (rename(LAB, "Attic"), rename(LAB, "Cellar"));

    // At version 2 if the first append arrives; it does not.
    let (first, second, ()) = tokio::join!(
        node.run(&attic),
        node.run_as(&conditional, &cellar),
        async {
            node.store.until_held(2).await;
            node.store.fail_held(unavailable());
            node.store.release().await;
        }
    );

    assert!(refused(first).starts_with("Unavailable"));
    assert_eq!(second.unwrap().version, 2);
    assert_eq!(node.names(LAB).await, ["Lab", "Cellar"]);
}
