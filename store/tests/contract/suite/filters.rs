//! Reads of the whole log with filters.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use domain::identity::product::OPERATOR;
use domain::{Actor, ActorKind, StreamId};
use store::{Append, EventStore, Filter, NewEvent, Position, Reader, Recorded};
use uuid::Uuid;

use crate::backend::Backend;
use crate::harness::{PRODUCT, append, event, event_with_data, given, new_stream, read};

const OTHER_PRODUCT: Uuid = Uuid::from_u128(0xda1c);
const WORKSPACE: Uuid = Uuid::from_u128(0xda1d);
const AGENT: Actor = Actor {
    kind: ActorKind::Agent,
    id: Uuid::from_u128(2),
};

/// Returns the events that a filter matches, and asserts that a node that did not append finds the same.
async fn find(backend: &impl Backend, store: &dyn EventStore, filter: &Filter) -> Vec<Recorded> {
    let found = read(store, filter, 100).await;
    let late = read(&*backend.node().await, filter, 100).await;
    assert_eq!(found, late, "{filter:?}");
    found
}

async fn positions(
    backend: &impl Backend,
    store: &dyn EventStore,
    filter: &Filter,
) -> Vec<Position> {
    let events = find(backend, store, filter).await;
    events.iter().map(|event| event.position).collect()
}

fn types(types: &[&str]) -> Filter {
    Filter {
        types: types.iter().map(ToString::to_string).collect(),
        ..Filter::default()
    }
}

fn of_type(event_type: &str) -> NewEvent {
    NewEvent {
        event_type: event_type.into(),
        ..event(&new_stream())
    }
}

/// Appends four events that differ in every field, each in its own append and so at a different time.
async fn four(store: &dyn EventStore) -> Vec<NewEvent> {
    let webhook = StreamId::new("webhook", Uuid::now_v7());
    let mut by_agent = event(&webhook);
    by_agent.metadata.actor = AGENT;
    let mut on_behalf = of_type("note.created");
    on_behalf.metadata.on_behalf_of = Some(AGENT);
    let mut in_workspace = event(&new_stream());
    in_workspace.workspace_id = Some(WORKSPACE);
    let events = vec![in_workspace, by_agent, on_behalf, event(&webhook)];
    for (event, product_id) in events
        .iter()
        .zip([PRODUCT, PRODUCT, OTHER_PRODUCT, OTHER_PRODUCT])
    {
        let append = Append {
            product_id,
            ..append([event.clone()])
        };
        store.append(append).await.unwrap();
    }
    events
}

pub async fn each_field_lets_through_what_it_names(backend: &impl Backend) {
    let store = backend.node().await;
    let events = four(&*store).await;
    let log = read(&*store, &Filter::default(), 100).await;
    let all = Filter::default;

    for (filter, expected) in [
        (all(), vec![1, 2, 3, 4]),
        (
            Filter {
                products: vec![PRODUCT],
                ..all()
            },
            vec![1, 2],
        ),
        (
            Filter {
                products: vec![PRODUCT, OTHER_PRODUCT],
                ..all()
            },
            vec![1, 2, 3, 4],
        ),
        (
            Filter {
                products: vec![Uuid::nil()],
                ..all()
            },
            vec![],
        ),
        (Filter::categories(["note"]), vec![1, 3]),
        (Filter::categories(["webhook", "workspace"]), vec![2, 4]),
        (Filter::categories(["not"]), vec![]),
        (types(&["note.created"]), vec![3]),
        (types(&["note.*"]), vec![1, 2, 3, 4]),
        (
            Filter {
                stream: Some(events[1].stream.clone()),
                ..all()
            },
            vec![2, 4],
        ),
        (
            Filter {
                stream: Some(StreamId::new("note", events[1].stream.id)),
                ..all()
            },
            vec![],
        ),
        (
            Filter {
                actor_id: Some(AGENT.id),
                ..all()
            },
            vec![2],
        ),
        (
            Filter {
                correlation_id: Some(events[2].correlation_id),
                ..all()
            },
            vec![3],
        ),
        (
            Filter {
                workspace_id: Some(WORKSPACE),
                ..all()
            },
            vec![1],
        ),
        (
            Filter {
                since: Some(log[1].recorded_at),
                ..all()
            },
            vec![2, 3, 4],
        ),
        (
            Filter {
                until: Some(log[1].recorded_at),
                ..all()
            },
            vec![1],
        ),
    ] {
        assert_eq!(
            positions(backend, &*store, &filter).await,
            expected,
            "{filter:?}"
        );
    }
}

pub async fn fields_together_let_through_what_all_of_them_do(backend: &impl Backend) {
    let store = backend.node().await;
    let events = four(&*store).await;
    let log = read(&*store, &Filter::default(), 100).await;
    let second = Filter {
        products: vec![OTHER_PRODUCT, PRODUCT],
        categories: vec!["webhook".into()],
        types: vec!["note.rev*".into(), "note.created".into()],
        stream: Some(events[1].stream.clone()),
        workspace_id: None,
        actor_id: Some(AGENT.id),
        correlation_id: Some(events[1].correlation_id),
        since: Some(log[1].recorded_at),
        until: Some(log[2].recorded_at),
        visibility: None,
    };
    let but = |change: fn(&mut Filter)| {
        let mut filter = second.clone();
        change(&mut filter);
        filter
    };

    assert_eq!(positions(backend, &*store, &second).await, [2]);
    for filter in [
        but(|filter| filter.products = vec![OTHER_PRODUCT]),
        but(|filter| filter.categories = vec!["note".into()]),
        but(|filter| filter.types = vec!["note.created".into()]),
        but(|filter| filter.stream = Some(new_stream())),
        but(|filter| filter.workspace_id = Some(WORKSPACE)),
        but(|filter| filter.actor_id = Some(Uuid::nil())),
        but(|filter| filter.correlation_id = Some(Uuid::nil())),
        but(|filter| filter.since = filter.until),
        but(|filter| filter.until = filter.since),
    ] {
        assert_eq!(
            positions(backend, &*store, &filter).await,
            [0; 0],
            "{filter:?}"
        );
    }
}

/// Checks that the database and memory show the same events.
pub async fn a_reader_is_shown_what_they_may_see(backend: &impl Backend) {
    let store = backend.node().await;
    let reader_id = Uuid::from_u128(7);
    let of = |category: &str, workspace_id, actor_id| {
        let mut event = event(&StreamId::new(category, Uuid::now_v7()));
        event.workspace_id = workspace_id;
        event.metadata.actor.id = actor_id;
        event
    };
    let (here, elsewhere) = (Some(WORKSPACE), Some(Uuid::nil()));
    let others = AGENT.id;
    let said = [
        of("note", here, others),
        of("note", elsewhere, reader_id),
        of("note", None, reader_id),
        of("task", here, others),
        of("file", here, others),
        of("file", elsewhere, others),
        of("file", None, others),
        of("agent", None, others),
        of("calendar_feed", None, reader_id),
        of("calendar_feed", None, others),
        of("blob", None, reader_id),
        of("unheard_of", None, reader_id),
    ];
    store.append(append(said)).await.unwrap();
    let foreign = Append {
        product_id: OTHER_PRODUCT,
        ..append([of("agent", None, reader_id), of("note", here, reader_id)])
    };
    store.append(foreign).await.unwrap();

    let here = || HashSet::from([WORKSPACE]);
    let everything: Vec<Position> = (1..=12).collect();
    for (scopes, workspaces, expected) in [
        (&["*"][..], here(), vec![1, 4, 5, 7, 8, 9]),
        (&["*"], HashSet::new(), vec![7, 8, 9]),
        (&["notes:read"], here(), vec![1]),
        (&["files:read", "notes:write"], here(), vec![5, 7]),
        (&["tasks:read"], HashSet::new(), vec![9]),
        (&["events:read"], here(), vec![]),
        (&["audit:read"], HashSet::new(), everything),
    ] {
        let scopes: BTreeSet<String> = scopes.iter().map(ToString::to_string).collect();
        let reader = |product_id| Reader {
            actor_id: reader_id,
            product_id,
            scopes: &scopes,
        };
        let workspaces = Arc::new(workspaces);
        let filter = reader(PRODUCT).narrow(Filter::default(), Arc::clone(&workspaces));
        let found = positions(backend, &*store, &filter).await;
        assert_eq!(found, expected, "{scopes:?}");
        let operators = reader(OPERATOR).narrow(Filter::default(), workspaces);
        let found = positions(backend, &*store, &operators).await.len();
        let audits = scopes.contains("audit:read");
        assert_eq!(found, if audits { 14 } else { 0 }, "{scopes:?}");
    }
}

pub async fn a_type_is_meant_literally_up_to_its_star(backend: &impl Backend) {
    let store = backend.node().await;
    let said = [
        "a_b", "axb", "a%b", "a\\b", "a\\_b", "a*b", "a.b", "a.b.c", "A_B",
    ];
    store.append(append(said.map(of_type))).await.unwrap();

    for (wanted, expected) in [
        (&["a_b"][..], vec!["a_b"]),
        (&["a%b"], vec!["a%b"]),
        (&["a\\b"], vec!["a\\b"]),
        (&["a\\_b"], vec!["a\\_b"]),
        (&["a*b"], vec!["a*b"]),
        (&["a_*"], vec!["a_b"]),
        (&["a%*"], vec!["a%b"]),
        (&["a\\*"], vec!["a\\b", "a\\_b"]),
        (&["a.b"], vec!["a.b"]),
        (&["a.*"], vec!["a.b", "a.b.c"]),
        (&["a.b*"], vec!["a.b", "a.b.c"]),
        (&["%"], vec![]),
        (&["a"], vec![]),
        (&["a_b", "A*"], vec!["a_b", "A_B"]),
        (&["*"], said.to_vec()),
    ] {
        let found = find(backend, &*store, &types(wanted)).await;
        let found: Vec<_> = found
            .iter()
            .map(|event| event.event_type.as_str())
            .collect();
        assert_eq!(found, expected, "{wanted:?}");
    }
}

pub async fn pages_follow_each_other_without_gap_or_double(backend: &impl Backend) {
    let store = backend.node().await;
    let said = (0..100).map(|n| of_type(if n % 3 == 0 { "rare" } else { "common" }));
    store.append(append(said)).await.unwrap();

    for (filter, expected) in [
        (Filter::default(), (1..=100).collect::<Vec<_>>()),
        (types(&["rare"]), (1..=100).step_by(3).collect()),
    ] {
        for page in [1, 2, 7, 33, 34, 35, 100, 1000] {
            let found = read(&*store, &filter, page).await;
            assert!(
                found
                    .iter()
                    .map(|event| event.position)
                    .eq(expected.iter().copied())
            );
        }
    }
}

pub async fn a_page_of_nothing_does_not_move(backend: &impl Backend) {
    let store = backend.node().await;
    given(&*store, &new_stream(), 3).await;

    let none_wanted = store.read_all(1, &Filter::default(), 0).await.unwrap();
    let at_the_end = store.read_all(3, &Filter::default(), 10).await.unwrap();
    let beyond = store.read_all(9, &types(&["*"]), 10).await.unwrap();

    assert_eq!((none_wanted.events.len(), none_wanted.scanned_to), (0, 1));
    assert_eq!((at_the_end.events.len(), at_the_end.scanned_to), (0, 3));
    assert_eq!((beyond.events.len(), beyond.scanned_to), (0, 9));
}

/// Checks that nothing users write into events breaks a filter.
pub async fn no_event_spoils_a_filter(backend: &impl Backend) {
    let store = backend.node().await;
    let mut odd = event(&new_stream());
    odd.metadata.reason = Some("nul \u{0}, surrogate \\ud800".into());
    odd.metadata.command_key =
        Some(r#"{"actor":{"id":"00000000-0000-0000-0000-000000000002"}}"#.into());
    odd.data = r#"{"\u0000":"\ud800"}"#.into();
    store.append(append([odd.clone()])).await.unwrap();

    let by_its_actor = Filter {
        actor_id: Some(odd.metadata.actor.id),
        ..Filter::default()
    };
    let by_another = Filter {
        actor_id: Some(AGENT.id),
        ..Filter::default()
    };

    assert_eq!(positions(backend, &*store, &by_its_actor).await, [1]);
    assert_eq!(positions(backend, &*store, &by_another).await, [0; 0]);
}

pub async fn a_page_of_large_events_ends_early_and_is_read_on(backend: &impl Backend) {
    let store = backend.node().await;
    let large = format!(r#"{{"body":"{}"}}"#, "x".repeat(1 << 20));
    for _ in 0..4 {
        let events = (0..5).map(|_| event_with_data(&new_stream(), large.clone()));
        store.append(append(events)).await.unwrap();
    }

    let page = store.read_all(0, &Filter::default(), 100).await.unwrap();
    let last = page.events.last().unwrap().position;

    assert!(page.events.len() < 20);
    assert_eq!(page.scanned_to, last);
    assert_eq!(
        positions(backend, &*store, &Filter::default()).await,
        (1..=20).collect::<Vec<_>>()
    );
}
