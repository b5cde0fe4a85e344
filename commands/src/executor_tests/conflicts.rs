//! A command that meets a concurrent change is decided again, on the state in the log.

use domain::knowledge::workspace::Role;
use futures::future::join_all;
use store::AppendError;

use super::super::*;
use crate::testing::{
    COLLEAGUE, LAB, Node, archive, create, refused, rename, rename_all, request_of, set_member,
    unavailable,
};

#[tokio::test]
async fn a_conflict_is_decided_again_and_both_commands_succeed() {
    let node = Node::with_lab().await;
    let other = node.another();
    node.store.hold();
    let attic = rename_all(&[LAB], "Attic");

    let (done, ()) = tokio::join!(node.run(&attic), async {
        node.store.until_held(1).await;
        other.run(&rename(LAB, "Cellar")).await.unwrap();
        node.store.release().await;
    });

    assert_eq!(done.unwrap().version, 3);
    assert_eq!(node.names(LAB).await, ["Lab", "Cellar", "Attic"]);
    assert_eq!(attic.runs.into_inner(), 2);
}

#[tokio::test]
async fn commands_of_two_nodes_on_one_stream_all_succeed() {
    let node = Node::with_lab().await;
    let nodes = [&node, &node.another()];
    let renames: Vec<_> = (0..40).map(|n| rename(LAB, &n.to_string())).collect();

    let commands = renames.iter().zip(nodes.into_iter().cycle());
    let results = join_all(commands.map(|(rename, node)| node.run(rename))).await;

    let mut versions: Vec<_> = results.into_iter().map(|r| r.unwrap().version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=41).collect::<Vec<_>>());
}

#[tokio::test]
async fn conflicts_without_end_are_given_up_as_contention() {
    let node = Node::with_lab().await;
    node.store.send_rival(Some(LAB));
    let attic = rename_all(&[LAB], "Attic");

    let result = node.run(&attic).await;

    assert!(matches!(result, Err(CommandError::Contention(_))));
    let attempts = attic.runs.into_inner();
    assert_eq!(u32::try_from(attempts), Ok(ATTEMPTS));
    assert_eq!(node.names(LAB).await.len(), 1 + attempts);
    node.store.send_rival(None);
    node.run(&rename(LAB, "Attic")).await.unwrap();
}

#[tokio::test]
async fn a_refusal_counts_only_on_the_state_in_the_log() {
    let node = Node::with_lab().await;
    let colleague = request_of(COLLEAGUE);
    let attic = rename(LAB, "Attic");
    let result = node.run_as(&colleague, &attic).await;
    assert_eq!(refused(result), "workspace_not_found");

    let join = set_member(LAB, COLLEAGUE, Role::Owner);
    node.another().run(&join).await.unwrap();

    // The node still remembers a workspace without the colleague.
    let done = node.run_as(&colleague, &attic).await;
    assert_eq!(done.unwrap().version, 3);
}

#[tokio::test]
async fn a_refusal_on_the_state_in_the_log_is_final() {
    let node = Node::with_lab().await;
    node.run(&archive(LAB)).await.unwrap();
    let attic = rename_all(&[LAB], "Attic");

    for runs in [2, 3] {
        let node = if runs == 2 { &node } else { &node.another() };
        let result = node.run(&attic).await;
        assert_eq!(refused(result), "workspace_archived");
        // On what is remembered, and on the log. A node that remembers nothing decides once.
        assert_eq!(attic.runs.load(std::sync::atomic::Ordering::Relaxed), runs);
    }
    assert_eq!(node.log().await.len(), 2);
}

#[tokio::test]
async fn a_command_without_effect_counts_only_on_the_state_in_the_log() {
    let node = Node::with_lab().await;
    node.run(&rename(LAB, "Attic")).await.unwrap();
    node.another().run(&rename(LAB, "Cellar")).await.unwrap();

    let done = node.run(&rename(LAB, "Attic")).await.unwrap();
    assert_eq!((done.version, done.events.len()), (4, 1));

    let nothing = node.run(&rename(LAB, "Attic")).await.unwrap();
    assert_eq!((nothing.version, nothing.events.len()), (4, 0));
    assert_eq!(nothing.position, 4);
}

#[tokio::test]
async fn a_stream_with_a_new_id_may_have_events_already() {
    let node = Node::start();
    let fresh = Uuid::now_v7();
    node.run(&create(fresh, "Lab")).await.unwrap();

    let done = node.another().run(&rename(fresh, "Attic")).await;
    assert_eq!(done.unwrap().version, 2);
    let again = node.another().run(&create(fresh, "Lab")).await;
    assert_eq!(refused(again), "workspace_exists");
}

#[tokio::test]
async fn an_error_of_the_log_is_reported_and_leaves_the_state_of_the_log() {
    let node = Node::with_lab().await;
    for (error, expected) in [
        (unavailable(), "Unavailable"),
        (AppendError::Full("no room".into()), "Full"),
        (AppendError::Rejected("not JSON".into()), "Rejected"),
    ] {
        node.store.fail_next(error);
        let attic = rename_all(&[LAB], "Attic");
        let result = node.run(&attic).await;
        assert!(refused(result).starts_with(expected), "{expected}");
        assert_eq!(attic.runs.into_inner(), 1, "it is not tried again");
    }
    let done = node.run(&rename(LAB, "Attic")).await;
    assert_eq!(done.unwrap().version, 2);
}
