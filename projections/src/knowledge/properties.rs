//! A row after any events of a stream shows what the aggregate makes of the same events.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta};
use domain::knowledge::note::{Note, NoteEvent};
use domain::knowledge::workspace::{Role, Workspace, WorkspaceEvent};
use domain::{Actor, Aggregate, EventContract, StreamId};
use proptest::collection::{btree_set, vec};
use proptest::option::of as maybe;
use proptest::prelude::*;
use store::{Metadata, Recorded};
use uuid::Uuid;

use super::note::{NoteContent, Notes};
use super::workspace::{WorkspaceContent, Workspaces};
use crate::{ReadModel, Row, post};

fn recorded<A: Aggregate>(version: i64, event: &A::Event) -> Recorded {
    Recorded {
        position: 10 * version,
        product_id: Uuid::from_u128(9),
        stream: StreamId::of::<A>(Uuid::from_u128(8)),
        version,
        event_id: Uuid::from_u128(7),
        event_type: event.event_type().into(),
        contract_version: event.version(),
        data: serde_json::to_string(event).unwrap(),
        metadata: Metadata {
            actor: Actor::SYSTEM,
            on_behalf_of: None,
            command: String::new(),
            command_key: None,
            reason: None,
            traceparent: None,
        },
        correlation_id: Uuid::nil(),
        causation_id: None,
        recorded_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(version),
    }
}

/// After every event, the row must show what `shown` tells of the state.
fn agree<A, M>(
    events: Vec<A::Event>,
    shown: impl Fn(&A) -> Option<M::Content>,
) -> Result<(), TestCaseError>
where
    A: Aggregate,
    M: ReadModel<Event = A::Event>,
    M::Content: std::fmt::Debug,
{
    let mut state = A::default();
    let mut row: Option<Row<M::Content>> = None;
    for (version, event) in (1..).zip(events) {
        let envelope = recorded::<A>(version, &event);
        state = state.evolve(&event);
        row = post::<M>(row, &envelope).unwrap();
        if let Some(row) = &row {
            prop_assert_eq!(row.facts.version, version);
            prop_assert_eq!(row.facts.position, envelope.position);
            prop_assert_eq!(row.facts.updated_at, envelope.recorded_at);
            prop_assert!(row.facts.created_at <= row.facts.updated_at);
        }
        let content = row.as_ref().map(|row| row.content.clone());
        prop_assert_eq!(content, shown(&state));
    }
    Ok(())
}

fn id() -> impl Strategy<Value = Uuid> {
    (0..4u128).prop_map(Uuid::from_u128)
}

fn text() -> impl Strategy<Value = String> {
    "[a-c]{0,2}"
}

fn tags() -> impl Strategy<Value = BTreeSet<String>> {
    btree_set(text(), 0..4)
}

fn note_event() -> impl Strategy<Value = NoteEvent> {
    prop_oneof![
        (id(), text(), text(), tags()).prop_map(|(workspace_id, title, body, tags)| {
            NoteEvent::Created {
                workspace_id,
                title,
                body,
                tags,
            }
        }),
        (maybe(text()), maybe(text())).prop_map(|(title, body)| NoteEvent::Revised { title, body }),
        (tags(), tags()).prop_map(|(added, removed)| NoteEvent::Tagged { added, removed }),
        Just(NoteEvent::Archived {}),
        Just(NoteEvent::Trashed {}),
        Just(NoteEvent::Restored {}),
        Just(NoteEvent::Purged {}),
    ]
}

fn workspace_event() -> impl Strategy<Value = WorkspaceEvent> {
    let roles = vec![Role::Owner, Role::Editor, Role::Viewer, Role::Agent];
    prop_oneof![
        (text(), id()).prop_map(|(name, owner)| WorkspaceEvent::Created { name, owner }),
        text().prop_map(|name| WorkspaceEvent::Renamed { name }),
        Just(WorkspaceEvent::Archived {}),
        (id(), prop::sample::select(roles))
            .prop_map(|(actor_id, role)| WorkspaceEvent::MemberSet { actor_id, role }),
        id().prop_map(|actor_id| WorkspaceEvent::MemberRemoved { actor_id }),
    ]
}

fn shown_note(note: &Note) -> Option<NoteContent> {
    let content = note.content()?.clone();
    Some(NoteContent {
        workspace_id: content.workspace_id,
        title: content.title,
        body: content.body,
        tags: content.tags,
        status: note.status()?.into(),
    })
}

fn shown_workspace(workspace: &Workspace) -> Option<WorkspaceContent> {
    let status = match workspace {
        Workspace::Absent => return None,
        Workspace::Active(_) => "active",
        Workspace::Archived(_) => "archived",
    };
    let details = workspace.details()?.clone();
    Some(WorkspaceContent {
        name: details.name,
        status: status.into(),
        members: details.members,
    })
}

proptest! {
    #[test]
    fn a_row_of_a_note_is_what_the_note_is(events in vec(note_event(), 0..30)) {
        agree::<Note, Notes>(events, shown_note)?;
    }

    #[test]
    fn a_row_of_a_workspace_is_what_the_workspace_is(events in vec(workspace_event(), 0..30)) {
        agree::<Workspace, Workspaces>(events, shown_workspace)?;
    }
}
