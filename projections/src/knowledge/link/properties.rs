//! Property tests: after any events, links are those of the current notes and have the right targets.

use std::collections::{BTreeSet, HashMap, HashSet};

use domain::Aggregate;
use domain::knowledge::names;
use domain::knowledge::note::{Content, Note, NoteEvent, SourceFile, TypedLink};
use domain::knowledge::wiki::{self, Reference};
use proptest::collection::vec;
use proptest::prelude::*;
use store::Recorded;
use uuid::Uuid;

use super::link_change::LinkChange;
use super::link_graph::LinkGraph;
use super::{Kind, LinkRow};
use crate::testing::recorded;

const HOME: Uuid = Uuid::from_u128(100);

fn note_id() -> impl Strategy<Value = Uuid> {
    (1..6u128).prop_map(Uuid::from_u128)
}

fn source_file() -> impl Strategy<Value = Option<SourceFile>> {
    let path = prop::sample::select(vec!["a.md", "x/a.md", "x/b.md", "c.md"]);
    prop::option::of(path.prop_map(|path| SourceFile {
        path: path.into(),
        sha256: "5e".repeat(32),
        byte_order_mark: false,
        created_at: None,
        modified_at: None,
    }))
}

fn aliases() -> impl Strategy<Value = BTreeSet<String>> {
    let aliases = prop::sample::subsequence(vec!["a", "C"], 0..2);
    aliases.prop_map(|aliases| aliases.into_iter().map(str::to_owned).collect())
}

fn title() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "A ", "b", "c", "a#b", "A#b # c", ""]).prop_map(str::to_owned)
}

fn body() -> impl Strategy<Value = String> {
    let named = prop::sample::subsequence(
        vec![
            "[[a]]",
            "[[ A]]",
            "[[b|x]]",
            "[[c]]",
            "`[[c]]`",
            "[[x/a]]",
            "[[a#b]]",
            "[[a#b#c]]",
            "[[x/a#b]]",
            "[a](a.md)",
            "[b](../x/b.md)",
        ],
        0..7,
    );
    named.prop_map(|named| named.join(" "))
}

fn event() -> impl Strategy<Value = NoteEvent> {
    let relation = || prop::sample::select(vec!["cites", "blocks"]).prop_map(str::to_owned);
    prop_oneof![
        3 => (title(), body(), aliases(), source_file()).prop_map(|(title, body, aliases, file)| NoteEvent::Created {
            workspace_id: HOME,
            title,
            body,
            tags: BTreeSet::new(),
            aliases,
            file,
        }),
        2 => title().prop_map(|title| revised(Some(title), None, None, None)),
        2 => body().prop_map(|body| revised(None, Some(body), None, None)),
        1 => aliases().prop_map(|aliases| revised(None, None, Some(aliases), None)),
        1 => (body(), source_file()).prop_map(|(body, file)| revised(None, Some(body), None, file)),
        2 => (note_id(), relation())
            .prop_map(|(target_id, relation)| NoteEvent::Linked { target_id, relation }),
        1 => (note_id(), relation())
            .prop_map(|(target_id, relation)| NoteEvent::Unlinked { target_id, relation }),
        1 => Just(NoteEvent::Trashed {}),
        2 => Just(NoteEvent::Purged {}),
    ]
}

fn revised(
    title: Option<String>,
    body: Option<String>,
    aliases: Option<BTreeSet<String>>,
    file: Option<SourceFile>,
) -> NoteEvent {
    NoteEvent::Revised {
        title,
        body,
        merged: None,
        aliases,
        file,
    }
}

/// Returns true if a command can cause the event: a note is created once, before anything else, and linked to existing notes.
fn follows(notes: &HashMap<Uuid, Note>, id: Uuid, event: &NoteEvent) -> bool {
    let is_there = |id: &Uuid| notes.get(id).is_some_and(|note| note.content().is_some());
    match event {
        NoteEvent::Created { .. } => !notes.contains_key(&id),
        NoteEvent::Linked { target_id, .. } => is_there(&id) && is_there(target_id),
        NoteEvent::Revised { .. }
        | NoteEvent::Tagged { .. }
        | NoteEvent::Unlinked { .. }
        | NoteEvent::Archived {}
        | NoteEvent::Trashed {}
        | NoteEvent::Restored {}
        | NoteEvent::Purged {} => is_there(&id),
    }
}

fn apply_batch(graph: &mut LinkGraph, events: &[Recorded]) {
    for change in LinkChange::all(events).unwrap() {
        graph.apply_batch(change);
    }
}

fn rows(graph: &LinkGraph) -> Vec<LinkRow> {
    graph.links.changes().new.into_iter().cloned().collect()
}

fn check(notes: &HashMap<Uuid, Note>, links: &[LinkRow]) -> Result<(), TestCaseError> {
    let path = |content: &Content| content.file.as_ref().map(|file| file.path.clone());
    let contents = notes.values().filter_map(Note::content);
    let named: HashSet<Uuid> = contents
        .flat_map(|c| names::name_ids(HOME, &c.title, &c.aliases, path(c).as_deref()))
        .collect();
    let is_there = |id: &Uuid| notes.get(id).is_some_and(|note| note.content().is_some());
    for link in links {
        prop_assert_eq!(
            link.dangling,
            !link.target_id.as_ref().is_some_and(is_there)
        );
        if let Kind::Wiki {
            name_ids,
            anchors,
            text,
            ..
        } = &link.kind
        {
            let anchors = anchors.as_ref().map(Vec::len);
            prop_assert_eq!(anchors, text.contains('#').then_some(name_ids.len()));
            prop_assert_eq!(link.dangling, link.target_id.is_none());
            prop_assert!(name_ids.starts_with(&link.awaits));
            prop_assert!(!link.dangling || name_ids == &link.awaits);
            prop_assert!(!link.awaits.iter().any(|name| named.contains(name)));
        }
    }
    for (id, note) in notes {
        let (mut typed, mut wiki_links) = (BTreeSet::new(), HashSet::new());
        for link in links.iter().filter(|link| link.source_id == *id) {
            let fresh = match &link.kind {
                Kind::Typed { relation } => typed.insert(TypedLink {
                    target_id: link.target_id.unwrap(),
                    relation: relation.clone(),
                }),
                Kind::Wiki { text, name_ids, .. } => {
                    wiki_links.insert((text.clone(), name_ids.clone()))
                }
            };
            prop_assert!(fresh, "no link is there twice");
        }
        let content = note.content();
        let expected = content.map_or_else(BTreeSet::new, |content| content.links.clone());
        prop_assert_eq!(typed, expected);
        let expected = content.map_or_else(Vec::new, |content| {
            let path = path(content);
            wiki::references(&content.body)
                .into_iter()
                .filter(|found| path.is_some() || matches!(found, Reference::Title(_)))
                .map(|found| {
                    (
                        found.text().to_owned(),
                        names::candidates(HOME, &found, path.as_deref())
                            .into_iter()
                            .map(|name| name.id)
                            .collect::<Vec<_>>(),
                    )
                })
                .collect()
        });
        prop_assert_eq!(wiki_links, expected.into_iter().collect());
    }
    Ok(())
}

proptest! {
    #[test]
    fn links_are_those_of_the_notes_and_lead_where_they_must(drawn in vec((note_id(), event()), 0..60)) {
        let mut notes: HashMap<Uuid, Note> = HashMap::new();
        let mut graph = LinkGraph::default();
        for (position, (id, event)) in (1..).zip(drawn) {
            if !follows(&notes, id, &event) {
                continue;
            }
            let note = notes.entry(id).or_default();
            *note = std::mem::take(note).evolve(&event);
            let mut envelope = recorded::<Note>(position, &event);
            envelope.stream.id = id;
            envelope.event_id = Uuid::from_u128(position.unsigned_abs().into());
            apply_batch(&mut graph, &[envelope]);
            check(&notes, &rows(&graph))?;
        }
    }
}
