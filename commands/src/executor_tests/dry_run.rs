//! A dry run decides on the log, returns the planned events, and changes nothing.

use domain::identity::product::{Product, ProductCommand};
use serde_json::json;

use super::super::*;
use crate::testing::{
    LAB, LIBRARY, Node, PERSON, archive, create, dry_run, refused, rename, rename_all, stream,
};

#[tokio::test]
async fn a_dry_run_returns_the_planned_events_and_appends_nothing() {
    let node = Node::with_lab().await;
    node.run(&create(LIBRARY, "Library")).await.unwrap();
    node.run(&rename(LIBRARY, "Books")).await.unwrap();

    let attic = rename_all(&[LAB, LIBRARY], "Attic");
    let done = node.run_as(&dry_run(), &attic).await.unwrap();

    let planned = done.planned.unwrap();
    let planned: Vec<_> = planned
        .iter()
        .map(|event| (&event.stream, event.version, event.event_type.as_str()))
        .collect();
    assert_eq!(
        planned,
        [
            (&stream(LAB), 2, "workspace.renamed"),
            (&stream(LIBRARY), 3, "workspace.renamed"),
        ]
    );
    assert_eq!((done.version, done.position), (2, 3));
    assert_eq!(done.events, []);
    assert_eq!(node.log().await.len(), 3);
}

#[tokio::test]
async fn planned_events_have_their_payloads() {
    let node = Node::start();
    let create = On::<Product> {
        id: Uuid::from_u128(30),
        command: ProductCommand::Create {
            name: "Notes".into(),
        },
    };
    let refused = node.run_as(&dry_run(), &create).await;
    assert!(matches!(refused, Err(CommandError::OperatorOnly)));
    let operator = Request {
        is_operator: true,
        ..dry_run()
    };
    let done = node.run_as(&operator, &create).await.unwrap();
    assert_eq!(done.planned.unwrap()[0].data, json!({"name": "Notes"}));
}

#[tokio::test]
async fn a_dry_run_without_effect_plans_no_event() {
    let node = Node::with_lab().await;
    let done = node.run_as(&dry_run(), &rename(LAB, "Lab")).await.unwrap();
    assert!(done.planned.unwrap().is_empty());
    assert_eq!(done.version, 1);
}

#[tokio::test]
async fn a_dry_run_is_refused_like_the_command() {
    let node = Node::with_lab().await;
    node.run(&archive(LAB)).await.unwrap();
    let result = node.run_as(&dry_run(), &rename(LAB, "Attic")).await;
    assert_eq!(refused(result), "workspace_archived");

    let conditional = Request {
        if_match: vec![1],
        ..dry_run()
    };
    let result = node.run_as(&conditional, &archive(LAB)).await;
    assert_eq!(refused(result), "PreconditionFailed(2)");
}

#[tokio::test]
async fn a_dry_run_sees_what_another_node_has_appended() {
    let node = Node::with_lab().await;
    node.run(&rename(LAB, "Attic")).await.unwrap();
    node.another().run(&rename(LAB, "Cellar")).await.unwrap();

    let done = node.run_as(&dry_run(), &rename(LAB, "Loft")).await.unwrap();
    assert_eq!(done.planned.unwrap()[0].version, 4);
}

#[tokio::test]
async fn a_dry_run_does_not_see_an_append_in_flight() {
    let node = Node::with_lab().await;
    node.store.hold();
    let attic = rename(LAB, "Attic");

    let (done, ()) = tokio::join!(node.run(&attic), async {
        node.store.until_held(1).await;
        let preview = node.run_as(&dry_run(), &rename(LAB, "Cellar")).await;
        assert_eq!(preview.unwrap().version, 2);
        node.store.release().await;
    });
    assert_eq!(done.unwrap().version, 2);
}

#[tokio::test]
async fn a_dry_run_does_not_use_its_key() {
    let node = Node::with_lab().await;
    let attic = rename(LAB, "Attic");
    let preview = dry_run().with_key("key", 1);
    node.run_as(&preview, &attic).await.unwrap();
    assert_eq!(node.executor.written_by(PERSON.id), 1);

    let real = Request {
        dry_run: false,
        ..preview
    };
    let done = node.run_as(&real, &attic).await.unwrap();
    assert!(!done.replayed);
    assert_eq!(done.version, 2);
}
