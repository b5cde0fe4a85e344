//! The repository on a log in memory: what it reads, remembers and forgets.

use domain::knowledge::note::Note;
use domain::knowledge::workspace::Workspace;
use store::{Append, AppendError};

use super::*;
use crate::testing::{
    LAB, NOTE, Node, PRODUCT, create, create_note, name, rename, rename_event, stream,
};

fn repository(node: &Node) -> &Repository {
    node.executor.repository()
}

async fn append(node: &Node, data: &str, contract_version: u16) {
    let mut event = rename_event(LAB, data);
    event.contract_version = contract_version;
    append_all(node, vec![event]).await.unwrap();
}

async fn append_all(node: &Node, events: Vec<store::NewEvent>) -> Result<(), AppendError> {
    let append = Append {
        product_id: PRODUCT,
        expectations: vec![],
        events,
        receipt: None,
    };
    node.store.append(append).await.map(drop)
}

/// Returns the name and version of the workspace's latest state.
async fn latest(repository: &Repository) -> (String, i64) {
    let loaded = repository.latest::<Workspace>(LAB).await.unwrap();
    (name(&loaded.state).to_owned(), loaded.version)
}

async fn recent(repository: &Repository) -> (String, i64) {
    let loaded = repository.recent::<Workspace>(LAB).await.unwrap();
    (name(&loaded.state).to_owned(), loaded.version)
}

fn named(name: &str, version: i64) -> (String, i64) {
    (name.to_owned(), version)
}

/// Makes a state as it would be loaded.
fn state(version: i64) -> Loaded<Workspace> {
    Loaded {
        version,
        last_event: Some(Uuid::from_u128(version.unsigned_abs().into())),
        ..Loaded::empty(LAB)
    }
}

#[tokio::test]
async fn a_stream_without_events_is_empty_and_not_remembered() {
    let node = Node::start();
    let loaded = repository(&node).latest::<Workspace>(LAB).await.unwrap();
    assert_eq!((loaded.version, loaded.product_id), (0, None));
    assert_eq!(loaded.state, Workspace::Absent);
    assert!(repository(&node).kept::<Workspace>(LAB).is_none());
}

#[tokio::test]
async fn a_state_is_folded_from_its_stream() {
    let node = Node::with_lab().await;
    node.run(&create_note(NOTE, LAB)).await.unwrap();
    node.run(&rename(LAB, "Attic")).await.unwrap();

    let other = node.another();
    let loaded = repository(&other).latest::<Workspace>(LAB).await.unwrap();

    assert_eq!((name(&loaded.state), loaded.version), ("Attic", 2));
    assert_eq!(loaded.product_id, Some(PRODUCT));
    assert_eq!(loaded.workspace_id, Some(LAB));
    assert_eq!(loaded.last_event(), Some(node.log().await[2].event_id));
    assert_eq!(loaded.as_of, 3);
}

#[tokio::test]
async fn only_events_after_the_remembered_state_are_read() {
    let node = Node::with_lab().await.another();
    assert_eq!(latest(repository(&node)).await, named("Lab", 1));
    assert_eq!(node.store.events_read(), 1);

    assert_eq!(latest(repository(&node)).await, named("Lab", 1));
    assert_eq!(recent(repository(&node)).await, named("Lab", 1));
    assert_eq!(node.store.events_read(), 1);

    node.another().run(&rename(LAB, "Attic")).await.unwrap();
    assert_eq!(latest(repository(&node)).await, named("Attic", 2));
    assert_eq!(node.store.events_read(), 2);
}

#[tokio::test]
async fn appends_of_another_node_are_noticed() {
    let node = Node::with_lab().await;
    let other = node.another();
    for (name, version) in [("Attic", 2), ("Cellar", 3)] {
        other.run(&rename(LAB, name)).await.unwrap();
        assert_eq!(recent(repository(&node)).await, named(name, version));
    }
    other.run(&rename(LAB, "Loft")).await.unwrap();
    assert_eq!(latest(repository(&node)).await, named("Loft", 4));
}

#[tokio::test]
async fn a_state_far_behind_the_log_is_brought_up_to_date() {
    let node = Node::with_lab().await;
    let other = node.another();
    // More events than one read of the log examines; the stream's own event is the last one.
    let elsewhere = (0..1_500).map(|n| rename_event(Uuid::from_u128(1_000 + n), "{}"));
    append_all(&other, elsewhere.collect()).await.unwrap();
    other.run(&rename(LAB, "Attic")).await.unwrap();

    assert_eq!(recent(repository(&node)).await, named("Attic", 2));
    let read = node.store.events_read();
    assert_eq!(recent(repository(&node)).await, named("Attic", 2));
    assert_eq!(node.store.events_read(), read);
}

#[tokio::test]
async fn a_stream_of_many_pages_is_folded_completely() {
    let node = Node::with_lab().await;
    let count = 2 * i64::try_from(PAGE).unwrap() + 1;
    let events = (2..=count).map(|n| rename_event(LAB, &format!(r#"{{"name":"{n}"}}"#)));
    append_all(&node, events.collect()).await.unwrap();

    let other = node.another();
    let expected = named(&count.to_string(), count);
    assert_eq!(latest(repository(&other)).await, expected);
    let past = repository(&other).at_version::<Workspace>(LAB, 700).await;
    assert_eq!(name(&past.unwrap().state), "700");
}

#[tokio::test]
async fn a_past_state_is_read_at_a_version_or_a_position() {
    let node = Node::with_lab().await;
    node.run(&create_note(NOTE, LAB)).await.unwrap();
    node.run(&rename(LAB, "Attic")).await.unwrap();

    for (version, expected) in [(0, ""), (1, "Lab"), (2, "Attic"), (3, "Attic")] {
        let past = repository(&node).at_version::<Workspace>(LAB, version);
        assert_eq!(name(&past.await.unwrap().state), expected);
    }
    for (position, expected) in [(0, ""), (1, "Lab"), (2, "Lab"), (3, "Attic"), (9, "Attic")] {
        let past = repository(&node).at_position::<Workspace>(LAB, position);
        assert_eq!(name(&past.await.unwrap().state), expected);
    }
    // The past does not replace what is remembered.
    let kept = repository(&node).kept::<Workspace>(LAB).unwrap();
    assert_eq!(kept.version, 2);
}

#[tokio::test]
async fn an_event_of_a_newer_build_is_an_error() {
    let node = Node::with_lab().await;
    append(&node, r#"{"name":"Attic"}"#, u16::MAX).await;
    let result = repository(&node).latest::<Workspace>(LAB).await;
    assert!(matches!(result, Err(CommandError::Contract(_))));
    // The past before it can be read.
    let past = repository(&node).at_version::<Workspace>(LAB, 1).await;
    assert_eq!(past.unwrap().version, 1);
}

#[tokio::test]
async fn the_commands_of_a_stream_are_named_in_order() {
    let node = Node::with_lab().await;
    node.run(&rename(LAB, "Attic")).await.unwrap();
    for (version, expected) in [
        (0, &["workspace.create", "workspace.rename"][..]),
        (1, &["workspace.rename"]),
        (2, &[]),
    ] {
        let commands = repository(&node).commands_after::<Workspace>(LAB, version);
        assert_eq!(commands.await.unwrap(), expected);
    }
}

#[tokio::test]
async fn the_cache_keeps_within_its_memory_budget() {
    let node = Node::start();
    let bytes = 20 * (ENTRY_BYTES + 1_000);
    let repository = Repository {
        cache: by_bytes(bytes),
        ..Repository::new(node.store.clone())
    };
    let ids: Vec<_> = (1_000..1_200).map(Uuid::from_u128).collect();
    for id in &ids {
        node.run(&create(*id, "x".repeat(200).as_str()))
            .await
            .unwrap();
        repository.latest::<Workspace>(*id).await.unwrap();
        assert!(repository.cache.weight() <= bytes);
    }
    assert!(repository.cache.len() < ids.len());

    // A forgotten state is read again.
    for id in ids {
        let loaded = repository.latest::<Workspace>(id).await.unwrap();
        assert_eq!(loaded.version, 1);
    }
}

#[tokio::test]
async fn a_state_does_not_replace_a_later_one() {
    let node = Node::start();
    let repository = repository(&node);
    repository.keep(state(3));
    repository.keep(state(2));
    assert_eq!(repository.kept::<Workspace>(LAB).unwrap().version, 3);
    repository.keep(state(4));
    assert_eq!(repository.kept::<Workspace>(LAB).unwrap().version, 4);
}

#[tokio::test]
async fn a_state_in_flight_lasts_until_the_log_has_it() {
    let node = Node::start();
    let repository = repository(&node);
    let in_flight = || repository.in_flight::<Workspace>(LAB).map(|l| l.version);
    repository.keep(state(1));
    repository.announce(state(2));
    repository.announce(state(3));
    assert_eq!(in_flight(), Some(3));

    repository.keep(state(2));
    assert_eq!(in_flight(), Some(3), "the later event is still in flight");
    repository.keep(state(3));
    assert_eq!(in_flight(), None);
    let kept = repository.kept::<Workspace>(LAB).unwrap();
    assert_eq!((kept.version, kept.in_flight), (3, false));

    repository.announce(state(4));
    repository.withdraw(&stream(LAB));
    assert_eq!(in_flight(), None);
    assert_eq!(repository.kept::<Workspace>(LAB).unwrap().version, 3);
}

#[tokio::test]
async fn a_state_is_current_if_the_node_knows_no_later_one() {
    let node = Node::start();
    let repository = repository(&node);
    assert!(repository.is_current(&state(0)));
    repository.keep(state(2));
    assert!(!repository.is_current(&state(1)));
    assert!(repository.is_current(&state(2)));
    assert!(repository.is_current(&state(3)));

    let in_flight = |version| Loaded {
        in_flight: true,
        ..state(version)
    };
    repository.announce(state(3));
    assert!(!repository.is_current(&state(2)));
    assert!(repository.is_current(&in_flight(3)));
    repository.announce(state(4));
    assert!(!repository.is_current(&in_flight(3)));
    repository.withdraw(&stream(LAB));
    assert!(!repository.is_current(&in_flight(4)));
}

#[tokio::test]
async fn a_stream_that_is_expected_to_be_new_is_not_looked_up() {
    let node = Node::with_lab().await.another();
    for id in [LAB, NOTE] {
        repository(&node).expect_new::<Workspace>(id);
    }
    node.run(&create(NOTE, "Library")).await.unwrap();
    assert_eq!(node.store.events_read(), 0);

    // The assumption is wrong, and costs one more decision.
    let done = node.run(&rename(LAB, "Attic")).await.unwrap();
    assert_eq!(done.version, 2);
}

#[tokio::test]
async fn expecting_a_new_stream_forgets_nothing() {
    let node = Node::with_lab().await;
    repository(&node).expect_new::<Workspace>(LAB);
    assert_eq!(recent(repository(&node)).await, named("Lab", 1));
}

#[test]
fn a_state_of_another_product_is_absent_but_says_whose_it_is() {
    let owned = Loaded {
        product_id: Some(PRODUCT),
        ..state(3)
    };
    assert_eq!(owned.clone().seen_by(PRODUCT).version, 3);
    let absent = owned.seen_by(Uuid::nil());
    assert_eq!((absent.version, absent.product_id), (0, Some(PRODUCT)));
}

#[test]
fn a_long_history_weighs_no_more_than_a_state_can_be() {
    let mut loaded = Loaded::<Note>::empty(Uuid::nil());
    loaded.weigh(&"x".repeat(1_000));
    assert_eq!(loaded.bytes, ENTRY_BYTES + 1_000);
    for _ in 0..100_000 {
        loaded.weigh(&"x".repeat(1_000));
    }
    assert_eq!(loaded.bytes, LONG_HISTORY_BYTES);
    loaded.weigh(&"x".repeat(1 << 20));
    assert_eq!(loaded.bytes, LONG_HISTORY_BYTES + (1 << 20));
}
