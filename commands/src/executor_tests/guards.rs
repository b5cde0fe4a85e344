//! Every stream that a command has read is guarded, and all of its events are appended together.

use domain::knowledge::workspace::Role;

use crate::testing::{
    COLLEAGUE, CopyName, LAB, LIBRARY, NOTE, Node, archive, create, create_note, refused,
    remove_member, rename, rename_all, request_of, set_member, stream,
};

/// Starts a node on the log of two workspaces.
async fn with_two() -> Node {
    let node = Node::with_lab().await;
    node.run(&create(LIBRARY, "Library")).await.unwrap();
    node
}

#[tokio::test]
async fn a_command_runs_again_if_a_stream_that_it_only_read_has_changed() {
    let node = with_two().await;
    let other = node.another();
    node.store.hold();
    let copy = CopyName {
        from: LAB,
        to: LIBRARY,
    };

    let (done, ()) = tokio::join!(node.run(&copy), async {
        node.store.until_held(1).await;
        other.run(&rename(LAB, "Attic")).await.unwrap();
        node.store.release().await;
    });

    assert_eq!(done.unwrap().version, 2);
    assert_eq!(node.names(LIBRARY).await, ["Library", "Attic"]);
}

#[tokio::test]
async fn a_stream_that_was_only_read_keeps_its_version() {
    let node = with_two().await;
    let copy = CopyName {
        from: LAB,
        to: LIBRARY,
    };
    let done = node.run(&copy).await.unwrap();
    assert_eq!((done.stream, done.version), (stream(LIBRARY), 2));
    assert_eq!(node.names(LAB).await, ["Lab"]);
}

#[tokio::test]
async fn a_member_who_is_removed_meanwhile_writes_nothing() {
    let node = Node::with_lab().await;
    let other = node.another();
    let join = set_member(LAB, COLLEAGUE, Role::Editor);
    node.run(&join).await.unwrap();
    node.store.hold();
    let (colleague, note) = (request_of(COLLEAGUE), create_note(NOTE, LAB));

    let (result, ()) = tokio::join!(node.run_as(&colleague, &note), async {
        node.store.until_held(1).await;
        other.run(&remove_member(LAB, COLLEAGUE)).await.unwrap();
        node.store.release().await;
    });

    assert_eq!(refused(result), "workspace_not_found");
    assert_eq!(node.log().await.len(), 3);
}

#[tokio::test]
async fn events_of_several_streams_are_appended_together() {
    let node = with_two().await;
    let done = node.run(&rename_all(&[LAB, LIBRARY], "Attic")).await;

    let done = done.unwrap();
    let placed: Vec<_> = done
        .events
        .iter()
        .map(|e| (e.position, e.version))
        .collect();
    assert_eq!(placed, [(3, 2), (4, 2)]);
    assert_eq!(done.events, node.log().await[2..]);
}

#[tokio::test]
async fn a_refusal_on_one_of_several_streams_leaves_nothing() {
    let node = with_two().await;
    node.run(&archive(LIBRARY)).await.unwrap();

    let result = node.run(&rename_all(&[LAB, LIBRARY], "Attic")).await;

    assert_eq!(refused(result), "workspace_archived");
    assert_eq!(node.names(LAB).await, ["Lab"]);
    // Nor does the node remember what it staged.
    let done = node.run(&rename(LAB, "Cellar")).await.unwrap();
    assert_eq!(done.version, 2);
}

#[tokio::test]
async fn a_conflict_on_one_of_several_streams_decides_all_of_them_again() {
    let node = with_two().await;
    let other = node.another();
    node.store.hold();
    let attic = rename_all(&[LAB, LIBRARY], "Attic");

    let (done, ()) = tokio::join!(node.run(&attic), async {
        node.store.until_held(1).await;
        other.run(&rename(LIBRARY, "Books")).await.unwrap();
        node.store.release().await;
    });

    assert_eq!(done.unwrap().events.len(), 2);
    assert_eq!(attic.runs.into_inner(), 2);
    assert_eq!(node.names(LAB).await, ["Lab", "Attic"]);
    assert_eq!(node.names(LIBRARY).await, ["Library", "Books", "Attic"]);
}
