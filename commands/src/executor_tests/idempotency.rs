//! A command that is repeated under its idempotency key has its effect once.

use domain::knowledge::note::{Note, NoteCommand};
use domain::knowledge::workspace::Role;

use super::super::*;
use crate::testing::{
    COLLEAGUE, LAB, NOTE, Node, PRODUCT, archive, create, create_note, refused, remove_member,
    rename, rename_all, request, request_of, set_member,
};

const fn on_note(command: NoteCommand) -> On<Note> {
    On { id: NOTE, command }
}

/// Asserts that a result is the given one, answered from its receipt.
#[track_caller]
fn assert_replays(again: &Done, first: &Done) {
    assert!(again.replayed && !first.replayed);
    assert_eq!(again.events, []);
    assert_eq!(
        (&again.stream, again.position, again.version),
        (&first.stream, first.position, first.version)
    );
}

#[tokio::test]
async fn a_repetition_gets_the_first_result_and_appends_nothing() {
    let node = Node::start();
    let commands = [create(LAB, "Lab"), rename(LAB, "Attic"), archive(LAB)];
    let requests = [1, 2, 3].map(|n| request().with_key(&n.to_string(), n));
    let mut firsts = vec![];
    for (request, command) in requests.iter().zip(&commands) {
        firsts.push(node.run_as(request, command).await.unwrap());
    }

    let other = node.another();
    for node in [&node, &other] {
        for ((request, command), first) in requests.iter().zip(&commands).zip(&firsts) {
            let again = node.run_as(request, command).await.unwrap();
            assert_replays(&again, first);
        }
    }
    assert_eq!(node.log().await.len(), 3);
}

#[tokio::test]
async fn a_result_without_events_is_kept_too() {
    let node = Node::with_lab().await;
    let keyed = request().with_key("key", 1);
    let first = node.run_as(&keyed, &rename(LAB, "Lab")).await.unwrap();
    assert_eq!(first.version, 1);
    node.run(&rename(LAB, "Attic")).await.unwrap();

    let again = node.run_as(&keyed, &rename(LAB, "Lab")).await.unwrap();

    assert_replays(&again, &first);
    assert_eq!(node.names(LAB).await, ["Lab", "Attic"]);
}

#[tokio::test]
async fn a_repetition_is_no_victim_of_its_own_effect() {
    let node = Node::with_lab().await;
    let conditional = Request {
        if_match: vec![1],
        ..request().with_key("key", 1)
    };
    let first = node.run_as(&conditional, &archive(LAB)).await.unwrap();
    let again = node.run_as(&conditional, &archive(LAB)).await.unwrap();
    assert_replays(&again, &first);
}

#[tokio::test]
async fn a_repetition_is_decided_on_streams_as_they_were_before_the_first_run() {
    let node = Node::with_lab().await;
    let join = set_member(LAB, COLLEAGUE, Role::Editor);
    node.run(&join).await.unwrap();
    // Nobody can remove a member, or purge a note, that is gone.
    node.run(&create_note(NOTE, LAB)).await.unwrap();
    node.run(&on_note(NoteCommand::Trash)).await.unwrap();
    let removal = remove_member(LAB, COLLEAGUE);
    let purge = on_note(NoteCommand::Purge);
    let commands: [&dyn Handler; 2] = [&removal, &purge];

    for (n, command) in (1..).zip(commands) {
        let keyed = request().with_key(&n.to_string(), n);
        let first = node.run_as(&keyed, command).await.unwrap();
        for node in [&node, &node.another()] {
            let again = node.run_as(&keyed, command).await.unwrap();
            assert_replays(&again, &first);
        }
    }
}

#[tokio::test]
async fn a_key_is_not_used_for_other_content() {
    let node = Node::start();
    let keyed = request().with_key("key", 1);
    node.run_as(&keyed, &create(LAB, "Lab")).await.unwrap();

    let other = request().with_key("key", 2);
    // Would be appended, would be refused, and would change nothing.
    for command in [
        rename(LAB, "Attic"),
        create(LAB, "Attic"),
        rename(LAB, "Lab"),
    ] {
        let result = node.run_as(&other, &command).await;
        assert_eq!(refused(result), "KeyReused");
    }
    assert_eq!(node.log().await.len(), 1);
}

#[tokio::test]
async fn a_repetition_while_the_first_command_runs_is_in_progress() {
    let node = Node::with_lab().await;
    node.store.hold();
    let (keyed, attic) = (request().with_key("key", 1), rename(LAB, "Attic"));

    let (first, ()) = tokio::join!(node.run_as(&keyed, &attic), async {
        node.store.until_held(1).await;
        tokio::select! {
            biased;
            meanwhile = node.run_as(&keyed, &attic) => assert_eq!(refused(meanwhile), "InProgress"),
            () = node.store.until_held(2) => panic!("it runs twice"),
        }
        node.store.release().await;
    });

    let again = node.run_as(&keyed, &attic).await.unwrap();
    assert_replays(&again, &first.unwrap());
}

#[tokio::test]
async fn of_one_command_on_two_nodes_one_has_an_effect() {
    let node = Node::with_lab().await;
    let other = node.another();
    node.store.hold();
    let (keyed, attic) = (request().with_key("key", 1), rename(LAB, "Attic"));

    let (slow, quick) = tokio::join!(node.run_as(&keyed, &attic), async {
        node.store.until_held(1).await;
        let done = other.run_as(&keyed, &attic).await.unwrap();
        node.store.release().await;
        done
    });

    assert_replays(&slow.unwrap(), &quick);
    assert_eq!(node.names(LAB).await, ["Lab", "Attic"]);
}

#[tokio::test]
async fn a_caller_who_hangs_up_and_repeats_the_command_gets_its_result() {
    let node = Node::with_lab().await;
    node.store.hold();
    let (keyed, attic) = (request().with_key("key", 1), rename(LAB, "Attic"));
    node.begin_and_drop(&keyed, &attic).await;
    node.store.release().await;

    let again = node.run_as(&keyed, &attic).await.unwrap();

    assert!(again.replayed);
    assert_eq!((again.position, again.version), (2, 2));
    assert_eq!(node.log().await.len(), 2);
}

#[tokio::test]
async fn a_command_whose_answer_was_lost_can_be_repeated() {
    let node = Node::with_lab().await;
    node.store.hold();
    let (keyed, attic) = (request().with_key("key", 1), rename(LAB, "Attic"));

    let (lost, ()) = tokio::join!(node.run_as(&keyed, &attic), async {
        node.store.until_held(1).await;
        node.store.lose_answer().await;
        node.store.release().await;
    });
    let again = node.run_as(&keyed, &attic).await.unwrap();

    assert!(refused(lost).starts_with("Unavailable"));
    assert!(again.replayed);
    assert_eq!((again.position, again.version), (2, 2));
    assert_eq!(node.names(LAB).await, ["Lab", "Attic"]);
}

#[tokio::test]
async fn a_refused_command_leaves_its_key_unused() {
    let node = Node::with_lab().await;
    let keyed = request_of(COLLEAGUE).with_key("key", 1);
    let result = node.run_as(&keyed, &rename(LAB, "Attic")).await;
    assert_eq!(refused(result), "workspace_not_found");
    let join = set_member(LAB, COLLEAGUE, Role::Owner);
    node.run(&join).await.unwrap();

    let done = node.run_as(&keyed, &rename(LAB, "Attic")).await.unwrap();
    assert!(!done.replayed);
}

#[tokio::test]
async fn the_same_key_under_another_credential_is_another_command() {
    let node = Node::start();
    let keyed = request().with_key("key", 1);
    node.run_as(&keyed, &create(LAB, "Lab")).await.unwrap();

    // The same actor with another key, and somebody else.
    let second_key = Request {
        credential: Some(Uuid::from_u128(40)),
        ..keyed
    };
    for (other, code) in [
        (second_key, "workspace_exists"),
        (request_of(COLLEAGUE).with_key("key", 1), "workspace_exists"),
    ] {
        let result = node.run_as(&other, &create(LAB, "Lab")).await;
        assert_eq!(refused(result), code);
    }
}

#[tokio::test]
async fn a_repetition_by_somebody_who_has_lost_access_gets_no_result() {
    let node = Node::with_lab().await;
    let join = set_member(LAB, COLLEAGUE, Role::Owner);
    node.run(&join).await.unwrap();
    let keyed = request_of(COLLEAGUE).with_key("key", 1);
    let attic = rename(LAB, "Attic");
    node.run_as(&keyed, &attic).await.unwrap();
    node.run(&remove_member(LAB, COLLEAGUE)).await.unwrap();

    for node in [&node, &node.another()] {
        let result = node.run_as(&keyed, &attic).await;
        assert_eq!(refused(result), "workspace_not_found");
    }
}

#[tokio::test]
async fn a_reaction_that_is_repeated_changes_nothing() {
    let node = Node::start();
    let cause = Uuid::from_u128(50);
    let reaction = || Request::reaction(PRODUCT, cause, cause, format!("lab:{cause}"));
    let first = node.run_as(&reaction(), &create(LAB, "Lab")).await.unwrap();

    let again = node.run_as(&reaction(), &create(LAB, "Lab")).await.unwrap();

    assert_replays(&again, &first);
    assert_eq!(first.events[0].causation_id, Some(cause));
}

#[tokio::test]
async fn a_repetition_after_a_conflict_is_decided_once() {
    let node = Node::with_lab().await;
    let other = node.another();
    node.store.hold();
    let (keyed, attic) = (request().with_key("key", 1), rename_all(&[LAB], "Attic"));

    let (first, ()) = tokio::join!(node.run_as(&keyed, &attic), async {
        node.store.until_held(1).await;
        other.run(&rename(LAB, "Cellar")).await.unwrap();
        node.store.release().await;
    });
    let again = node.run_as(&keyed, &attic).await.unwrap();

    assert_replays(&again, &first.unwrap());
    assert_eq!(node.names(LAB).await, ["Lab", "Cellar", "Attic"]);
}
