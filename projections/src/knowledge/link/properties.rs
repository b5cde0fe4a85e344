//! Whatever happens to notes: links are those of the notes as they are, and lead where they must.

use std::collections::{BTreeSet, HashMap, HashSet};

use domain::Aggregate;
use domain::knowledge::note::{Note, NoteEvent, TypedLink};
use domain::knowledge::wiki;
use proptest::collection::vec;
use proptest::prelude::*;
use store::Recorded;
use uuid::Uuid;

use super::change::Change;
use super::web::Web;
use super::{Kind, LinkRow};
use crate::knowledge::properties::recorded;

const HOME: Uuid = Uuid::from_u128(100);

fn note_id() -> impl Strategy<Value = Uuid> {
    (1..6u128).prop_map(Uuid::from_u128)
}

fn title() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "A ", "b", "c", ""]).prop_map(str::to_owned)
}

fn body() -> impl Strategy<Value = String> {
    let named =
        prop::sample::subsequence(vec!["[[a]]", "[[ A]]", "[[b|x]]", "[[c]]", "`[[c]]`"], 0..4);
    named.prop_map(|named| named.join(" "))
}

fn event() -> impl Strategy<Value = NoteEvent> {
    let relation = || prop::sample::select(vec!["cites", "blocks"]).prop_map(str::to_owned);
    prop_oneof![
        3 => (title(), body()).prop_map(|(title, body)| NoteEvent::Created {
            workspace_id: HOME,
            title,
            body,
            tags: BTreeSet::new(),
        }),
        2 => title().prop_map(|title| NoteEvent::Revised { title: Some(title), body: None, merged: None }),
        2 => body().prop_map(|body| NoteEvent::Revised { title: None, body: Some(body), merged: None }),
        2 => (note_id(), relation())
            .prop_map(|(target_id, relation)| NoteEvent::Linked { target_id, relation }),
        1 => (note_id(), relation())
            .prop_map(|(target_id, relation)| NoteEvent::Unlinked { target_id, relation }),
        1 => Just(NoteEvent::Trashed {}),
        2 => Just(NoteEvent::Purged {}),
    ]
}

/// Whether an event can come of a command: a note is created once, before anything else, and linked to what is there.
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

fn apply(web: &mut Web, events: &[Recorded]) {
    for change in Change::all(events).unwrap() {
        web.apply(change);
    }
}

fn rows(web: &Web) -> Vec<LinkRow> {
    web.links.changes().new.into_iter().cloned().collect()
}

fn check(notes: &HashMap<Uuid, Note>, links: &[LinkRow]) -> Result<(), TestCaseError> {
    let titles: HashMap<Uuid, HashSet<Uuid>> = notes
        .iter()
        .filter_map(|(id, note)| Some((*id, wiki::title_id(HOME, &note.content()?.title))))
        .fold(HashMap::new(), |mut titles, (id, title)| {
            titles.entry(title).or_default().insert(id);
            titles
        });
    let is_there = |id: &Uuid| notes.get(id).is_some_and(|note| note.content().is_some());
    for link in links {
        prop_assert_eq!(
            link.dangling,
            !link.target_id.as_ref().is_some_and(is_there)
        );
        if let Kind::Wiki { title_id, .. } = link.kind {
            prop_assert_eq!(link.dangling, link.target_id.is_none());
            prop_assert!(!link.dangling || !titles.contains_key(&title_id));
        }
    }
    for (id, note) in notes {
        let (mut typed, mut named) = (BTreeSet::new(), HashSet::new());
        for link in links.iter().filter(|link| link.source_id == *id) {
            let fresh = match &link.kind {
                Kind::Typed { relation } => typed.insert(TypedLink {
                    target_id: link.target_id.unwrap(),
                    relation: relation.clone(),
                }),
                Kind::Wiki { text, .. } => named.insert(text.clone()),
            };
            prop_assert!(fresh, "no link is there twice");
        }
        let content = note.content();
        let expected = content.map_or_else(BTreeSet::new, |content| content.links.clone());
        prop_assert_eq!(typed, expected);
        let titles = content.map_or_else(Vec::new, |content| wiki::titles(&content.body));
        prop_assert_eq!(named, titles.into_iter().collect());
    }
    Ok(())
}

proptest! {
    #[test]
    fn links_are_those_of_the_notes_and_lead_where_they_must(drawn in vec((note_id(), event()), 0..60)) {
        let mut notes: HashMap<Uuid, Note> = HashMap::new();
        let mut web = Web::default();
        for (position, (id, event)) in (1..).zip(drawn) {
            if !follows(&notes, id, &event) {
                continue;
            }
            let note = notes.entry(id).or_default();
            *note = std::mem::take(note).evolve(&event);
            let mut envelope = recorded::<Note>(position, &event);
            envelope.stream.id = id;
            envelope.event_id = Uuid::from_u128(position.unsigned_abs().into());
            apply(&mut web, &[envelope]);
            check(&notes, &rows(&web))?;
        }
    }
}
