//! The unit of work on a log in memory: what it loads, stages, guards and keeps.

use domain::Permission;
use domain::knowledge::note::Note;
use domain::knowledge::workspace::{Role, Workspace, WorkspaceCommand};
use domain::{Actor, ActorKind};
use store::EventStore as _;

use super::*;
use crate::testing::{
    COLLEAGUE, LAB, LIBRARY, NOTE, Node, PERSON, code, create, create_note, name, refused, rename,
    request, request_of, set_member, stream,
};

fn renamed(name: &str) -> WorkspaceCommand {
    rename(LAB, name).command
}

fn open<'a>(node: &'a Node, request: &'a Request) -> UnitOfWork<'a> {
    UnitOfWork::open(
        node.executor.repository(),
        request,
        "workspace.rename",
        Source::Log,
    )
}

async fn name_of(work: &mut UnitOfWork<'_>, id: Uuid) -> String {
    name(&work.load::<Workspace>(id).await.unwrap().state).to_owned()
}

#[tokio::test]
async fn a_state_includes_what_the_command_itself_has_staged() {
    let node = Node::with_lab().await;
    let request = request();
    let mut work = open(&node, &request);
    let ids = work.decide::<Workspace>(LAB, renamed("Attic")).await;

    assert_eq!(name_of(&mut work, LAB).await, "Attic");
    assert_eq!(work.load::<Workspace>(LAB).await.unwrap().version, 2);
    let before = work.before::<Workspace>(LAB).await.unwrap();
    assert_eq!((name(&before.state), before.version), ("Lab", 1));
    assert_eq!(work.base_version::<Workspace>(LAB).await.unwrap(), 1);
    assert_eq!((ids.unwrap().len(), work.staged()), (1, 1));
    assert_eq!(node.log().await.len(), 1);
}

#[tokio::test]
async fn another_products_stream_is_absent() {
    let node = Node::with_lab().await;
    let elsewhere = Request {
        product_id: Uuid::from_u128(60),
        ..request()
    };
    let mut work = open(&node, &elsewhere);

    let loaded = work.load::<Workspace>(LAB).await.unwrap();
    assert_eq!((loaded.version, &loaded.state), (0, &Workspace::Absent));
    let past = work.at_version::<Workspace>(LAB, 1).await.unwrap();
    assert_eq!(past, Workspace::Absent);
    let result = work.decide::<Workspace>(LAB, renamed("Attic")).await;
    assert_eq!(refused(result), "workspace_not_found");
}

#[tokio::test]
async fn an_event_names_its_actor_its_command_and_its_origin() {
    let node = Node::with_lab().await;
    let request = Request {
        correlation_id: Uuid::from_u128(70),
        causation_id: Some(Uuid::from_u128(71)),
        traceparent: Some("00-1-2-03".into()),
        reason: Some("it moved".into()),
        ..request().with_key("key", 1)
    };
    let done = node.run_as(&request, &rename(LAB, "Attic")).await.unwrap();

    let event = &done.events[0];
    assert_eq!(
        event.metadata,
        Metadata {
            actor: PERSON,
            credential: Some(PERSON.id),
            on_behalf_of: None,
            command: "workspace.rename".into(),
            command_key: Some("key".into()),
            reason: Some("it moved".into()),
            traceparent: Some("00-1-2-03".into()),
        }
    );
    assert_eq!(event.correlation_id, Uuid::from_u128(70));
    assert_eq!(event.causation_id, Some(Uuid::from_u128(71)));
    assert_eq!(event.workspace_id, Some(LAB));
    assert_eq!(node.log().await[1..], done.events);
}

#[tokio::test]
async fn a_note_is_in_its_workspace_from_its_first_event_on() {
    let node = Node::with_lab().await;
    let done = node.run(&create_note(NOTE, LAB)).await.unwrap();
    assert_eq!(done.events[0].workspace_id, Some(LAB));
}

#[tokio::test]
async fn an_event_has_the_cause_that_the_command_names() {
    let node = Node::with_lab().await;
    let request = Request {
        causation_id: Some(Uuid::from_u128(71)),
        ..request()
    };
    let mut work = open(&node, &request);
    let cause = Uuid::from_u128(72);
    for (cause, name) in [(Some(cause), "Attic"), (None, "Cellar")] {
        work.caused_by(cause);
        work.decide::<Workspace>(LAB, renamed(name)).await.unwrap();
    }
    let causes = work.append(None).events.into_iter();
    let causes: Vec<_> = causes.map(|event| event.causation_id).collect();
    assert_eq!(causes, [Some(cause), request.causation_id]);
}

#[tokio::test]
async fn an_event_on_behalf_of_another_actor_has_their_reason() {
    let node = Node::with_lab().await;
    let request = request();
    let mut work = open(&node, &request);
    work.on_behalf_of(COLLEAGUE, "they asked".into());
    work.decide::<Workspace>(LAB, renamed("Attic"))
        .await
        .unwrap();

    let metadata = &work.append(None).events[0].metadata;
    assert_eq!(metadata.actor, PERSON);
    assert_eq!(metadata.on_behalf_of, Some(COLLEAGUE));
    assert_eq!(metadata.reason.as_deref(), Some("they asked"));
}

#[tokio::test]
async fn a_decision_on_the_authority_of_another_actor_needs_their_role() {
    let node = Node::with_lab().await;
    let request = request_of(COLLEAGUE);
    let mut work = open(&node, &request);
    let own = work.decide::<Workspace>(LAB, renamed("Attic")).await;
    assert_eq!(refused(own), "workspace_not_found");

    work.on_authority_of(PERSON);
    let lent = work.decide::<Workspace>(LAB, renamed("Attic")).await;
    assert_eq!(lent.unwrap().len(), 1);

    work.on_own_authority();
    let own = work.decide::<Workspace>(LAB, renamed("Cellar")).await;
    assert_eq!(refused(own), "workspace_not_found");
    assert_eq!(work.append(None).events[0].metadata.actor, COLLEAGUE);
}

#[tokio::test]
async fn a_permission_is_checked_by_the_role_in_the_workspace() {
    let node = Node::with_lab().await;
    let join = set_member(LAB, COLLEAGUE, Role::Viewer);
    node.run(&join).await.unwrap();
    let stranger = Actor {
        kind: ActorKind::Person,
        id: Uuid::from_u128(90),
    };

    for (actor, permission, expected) in [
        (PERSON, Permission::Manage, Ok(())),
        (COLLEAGUE, Permission::Read, Ok(())),
        (
            COLLEAGUE,
            Permission::Write,
            Err("workspace_role_insufficient"),
        ),
        (stranger, Permission::Read, Err("workspace_not_found")),
    ] {
        let request = request_of(actor);
        let mut work = open(&node, &request);
        let result = work.permit::<Workspace>(LAB, permission).await;
        let result = result.map_err(|error| code(&error));
        assert_eq!(result, expected.map_err(str::to_owned));
    }
}

#[tokio::test]
async fn discarded_events_leave_the_state_before_them() {
    let node = Node::with_lab().await;
    node.run(&create(LIBRARY, "Library")).await.unwrap();
    let request = request();
    let mut work = open(&node, &request);
    work.decide::<Workspace>(LAB, renamed("Attic"))
        .await
        .unwrap();
    let kept = work.staged();
    for (id, name) in [(LAB, "Cellar"), (LIBRARY, "Books"), (LAB, "Loft")] {
        let command = rename(id, name).command;
        work.decide::<Workspace>(id, command).await.unwrap();
    }

    work.discard(kept).unwrap();

    assert_eq!(name_of(&mut work, LAB).await, "Attic");
    assert_eq!(name_of(&mut work, LIBRARY).await, "Library");
    let planned: Vec<_> = work.planned().iter().map(|p| p.version).collect();
    assert_eq!(planned, [2]);
    assert_eq!(work.version_of(&stream(LAB)), 2);
    // What comes next builds on what was kept.
    work.decide::<Workspace>(LAB, renamed("Loft"))
        .await
        .unwrap();
    assert_eq!(work.version_of(&stream(LAB)), 3);
}

#[tokio::test]
async fn every_stream_that_was_read_is_expected_at_its_version() {
    let node = Node::with_lab().await;
    node.run(&rename(LAB, "Attic")).await.unwrap();
    let request = request();
    let mut work = open(&node, &request);
    work.load::<Workspace>(LAB).await.unwrap();
    work.load::<Note>(NOTE).await.unwrap();
    work.decide::<Workspace>(LIBRARY, create(LIBRARY, "Library").command)
        .await
        .unwrap();

    let append = work.append(None);
    let expected: HashMap<_, _> = append.expectations.into_iter().collect();
    assert_eq!(
        expected,
        HashMap::from([
            (stream(LAB), Expected::Exact(2)),
            (stream(LIBRARY), Expected::NoStream),
            (StreamId::of::<Note>(NOTE), Expected::NoStream),
        ])
    );
    assert_eq!(append.events.len(), 1);
}

#[tokio::test]
async fn a_state_at_a_version_is_the_past_and_is_not_guarded() {
    let node = Node::with_lab().await;
    node.run(&rename(LAB, "Attic")).await.unwrap();
    let request = request();
    let mut work = open(&node, &request);

    for (version, expected) in [
        (1, "Lab"),
        (2, "Attic"),
        (2, "Attic"),
        (1, "Lab"),
        (9, "Attic"),
    ] {
        let past = work.at_version::<Workspace>(LAB, version).await.unwrap();
        assert_eq!(name(&past), expected);
    }
    assert_eq!(work.append(None).expectations, []);
}

#[tokio::test]
async fn a_unit_of_work_in_the_past_reads_streams_as_they_were_and_permissions_as_they_are() {
    let node = Node::with_lab().await;
    node.run(&create_note(NOTE, LAB)).await.unwrap();
    node.run(&rename(LAB, "Attic")).await.unwrap();
    let request = request();
    let repository = node.executor.repository();
    let mut work = UnitOfWork::open(repository, &request, "", Source::Past(1));

    let note = work.load::<Note>(NOTE).await.unwrap();
    assert_eq!((note.version, &note.state), (0, &Note::Absent));
    assert_eq!(name_of(&mut work, LAB).await, "Attic");
}

#[tokio::test]
async fn a_stream_is_changed_by_one_command_only_if_all_changes_since_are() {
    let node = Node::with_lab().await;
    for name in ["Attic", "Cellar"] {
        node.run(&rename(LAB, name)).await.unwrap();
    }
    let request = request();
    let mut work = open(&node, &request);
    // Its own events do not count.
    work.decide::<Workspace>(LAB, renamed("Loft"))
        .await
        .unwrap();

    for (since, command, expected) in [
        (1, "workspace.rename", true),
        (0, "workspace.rename", false),
        (1, "workspace.archive", false),
        (3, "workspace.archive", true),
    ] {
        let changed = work.is_changed_by::<Workspace>(LAB, since, command).await;
        assert_eq!(changed.unwrap(), expected, "{command} since {since}");
    }
}

#[tokio::test]
async fn a_scratch_decides_on_the_log_and_appends_nothing() {
    let node = Node::with_lab().await;
    node.run(&rename(LAB, "Attic")).await.unwrap();
    node.another().run(&rename(LAB, "Cellar")).await.unwrap();
    let request = request();
    let mut scratch = node.executor.scratch(&request);

    assert_eq!(name_of(&mut scratch, LAB).await, "Cellar");
    scratch
        .decide::<Workspace>(LAB, renamed("Loft"))
        .await
        .unwrap();

    assert_eq!(scratch.planned()[0].version, 4);
    assert_eq!(node.store.read_head().await.unwrap(), 3);
}

#[test]
fn an_id_that_is_old_or_has_no_time_is_not_taken_for_new() {
    let old = uuid::Timestamp::from_unix(uuid::NoContext, 1_767_355_200, 0);
    assert!(!is_new(Uuid::new_v7(old)));
    assert!(!is_new(LAB));
}
