//! Commands are decided on appends that are not in the log yet, and decided again if these fail.

use futures::future::join_all;
use std::sync::atomic::Ordering;

use crate::testing::{
    LAB, NOTE, Node, archive, code, create, create_note, refused, rename, rename_all, request,
    unavailable,
};

#[tokio::test]
async fn a_command_is_decided_on_an_append_in_flight() {
    let node = Node::with_lab().await;
    node.store.hold();
    let (attic, cellar) = (rename_all(&[LAB], "Attic"), rename_all(&[LAB], "Cellar"));

    let (first, second, ()) = tokio::join!(node.run(&attic), node.run(&cellar), async {
        node.store.until_held(2).await;
        node.store.release().await;
    });

    assert_eq!((first.unwrap().version, second.unwrap().version), (2, 3));
    assert_eq!(node.names(LAB).await, ["Lab", "Attic", "Cellar"]);
    let runs = [attic, cellar].map(|command| command.runs.into_inner());
    assert_eq!(runs, [1, 1], "neither is decided again");
}

#[tokio::test]
async fn commands_on_one_stream_keep_their_order() {
    let node = Node::with_lab().await;
    node.run(&rename(LAB, "Attic")).await.unwrap();
    let commands: Vec<_> = (0..50)
        .map(|n| rename_all(&[LAB], &n.to_string()))
        .collect();

    let results = join_all(commands.iter().map(|command| node.run(command))).await;

    let versions = results.into_iter().map(|result| result.unwrap().version);
    assert!(versions.eq(3..53));
    let runs = commands.iter().map(|c| c.runs.load(Ordering::Relaxed));
    assert!(runs.eq([1; 50]));
}

#[tokio::test]
async fn a_command_is_decided_on_streams_that_are_all_in_flight() {
    let node = Node::start();
    node.store.hold();
    let (lab, note) = (create(LAB, "Lab"), create_note(NOTE, LAB));

    let on_lab = async {
        node.store.until_held(1).await;
        node.run(&note).await
    };
    let (first, second, ()) = tokio::join!(node.run(&lab), on_lab, async {
        node.store.until_held(2).await;
        node.store.release().await;
    });

    assert_eq!((first.unwrap().position, second.unwrap().position), (1, 2));
}

#[tokio::test]
async fn a_command_decided_on_an_append_that_fails_is_decided_again() {
    let node = Node::with_lab().await;
    node.store.hold();
    let (attic, cellar) = (rename(LAB, "Attic"), rename_all(&[LAB], "Cellar"));

    let (first, second, ()) = tokio::join!(node.run(&attic), node.run(&cellar), async {
        node.store.until_held(2).await;
        node.store.fail_held(unavailable());
        node.store.release().await;
    });

    assert!(refused(first).starts_with("Unavailable"));
    assert_eq!(second.unwrap().version, 2);
    assert_eq!(cellar.runs.into_inner(), 2);
    assert_eq!(node.names(LAB).await, ["Lab", "Cellar"]);
}

#[tokio::test]
async fn a_command_that_needs_the_append_that_fails_is_refused() {
    let node = Node::start();
    node.store.hold();
    let (lab, note) = (create(LAB, "Lab"), create_note(NOTE, LAB));

    let on_lab = async {
        node.store.until_held(1).await;
        node.run(&note).await
    };
    let (first, second, ()) = tokio::join!(node.run(&lab), on_lab, async {
        node.store.until_held(2).await;
        node.store.fail_held(unavailable());
        node.store.release().await;
    });

    assert!(refused(first).starts_with("Unavailable"));
    assert_eq!(refused(second), "workspace_not_found");
    assert_eq!(node.log().await, []);
}

/// Archives the workspace and renames it before the first append is in the log.
async fn rename_behind_an_archiving(node: &Node, fails: bool) -> Result<i64, String> {
    node.store.hold();
    let (archive, attic) = (archive(LAB), rename(LAB, "Attic"));
    let (_, second, ()) = tokio::join!(node.run(&archive), node.run(&attic), async {
        node.store.until_held(2).await;
        if fails {
            node.store.fail_held(unavailable());
        }
        node.store.release().await;
    });
    match second {
        Ok(done) => Ok(done.version),
        Err(error) => Err(code(&error)),
    }
}

#[tokio::test]
async fn a_refusal_by_an_append_in_flight_counts_once_it_is_in_the_log() {
    let node = Node::with_lab().await;
    let result = rename_behind_an_archiving(&node, false).await;
    assert_eq!(result, Err("workspace_archived".into()));
}

#[tokio::test]
async fn a_refusal_by_an_append_that_fails_does_not_count() {
    let node = Node::with_lab().await;
    let result = rename_behind_an_archiving(&node, true).await;
    assert_eq!(result, Ok(2));
    assert_eq!(node.names(LAB).await, ["Lab", "Attic"]);
}

#[tokio::test]
async fn an_append_in_flight_is_not_seen_by_other_nodes() {
    let node = Node::with_lab().await;
    let other = node.another();
    node.store.hold();
    let attic = rename(LAB, "Attic");

    let (first, second) = tokio::join!(node.run(&attic), async {
        node.store.until_held(1).await;
        let done = other.run(&rename(LAB, "Cellar")).await;
        node.store.release().await;
        done
    });

    assert_eq!((first.unwrap().version, second.unwrap().version), (3, 2));
}

#[tokio::test]
async fn a_caller_who_hangs_up_has_an_effect_once_the_append_is_in_the_log() {
    let node = Node::with_lab().await;
    node.store.hold();
    node.begin_and_drop(&request(), &rename(LAB, "Attic")).await;
    node.store.release().await;

    let done = node.run(&rename(LAB, "Cellar")).await;

    assert_eq!(done.unwrap().version, 3);
    assert_eq!(node.names(LAB).await, ["Lab", "Attic", "Cellar"]);
}

#[tokio::test]
async fn a_caller_who_hangs_up_before_the_append_fails_is_in_nobodys_way() {
    let node = Node::with_lab().await;
    node.store.hold();
    node.begin_and_drop(&request(), &rename(LAB, "Attic")).await;
    node.store.fail_held(unavailable());
    node.store.release().await;

    // Reads the workspace, but does not write it.
    node.run(&create_note(NOTE, LAB)).await.unwrap();

    let done = node.run(&rename(LAB, "Cellar")).await;
    assert_eq!(done.unwrap().version, 2);
}

#[tokio::test]
async fn a_caller_who_hangs_up_before_another_node_writes_is_in_nobodys_way() {
    let node = Node::with_lab().await;
    node.store.hold();
    node.begin_and_drop(&request(), &rename(LAB, "Attic")).await;
    node.store.release().await;
    node.another().run(&rename(LAB, "Cellar")).await.unwrap();

    node.run(&create_note(NOTE, LAB)).await.unwrap();

    let done = node.run(&rename(LAB, "Loft")).await;
    assert_eq!(done.unwrap().version, 4);
}
