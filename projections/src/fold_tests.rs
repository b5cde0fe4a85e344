//! Tests of every read model's fold: one event at a time gives the rows of a rebuild, and a changed fold has a new version.

use std::collections::BTreeMap;
use std::{env, fs};

use domain::EventContract;
use domain::testing::{Generate, Payload, any_of};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::Recorded;

use crate::models;
use crate::read_model::{Event, ReadModel, Row, apply};
use crate::testing::{recorded, recorded_payload};

/// Digests of all folds, as committed.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema/read/folds.json");
const UPDATE: &str = "RECORD_FOLDS=1 cargo test -p daybook-projections --lib fold";
/// Number of streams, events of each, and different payloads of each event type, for the digest of a fold.
const STREAMS: usize = 32;
const EVENTS: usize = 20;
const PAYLOADS: usize = 16;

/// The fold of a read model, independent of its Rust type.
pub struct Fold {
    name: &'static str,
    /// Path of the type that implements it.
    path: &'static str,
    types: &'static [(&'static str, u16)],
    check: fn(),
    entry: fn(types: &str) -> Entry,
}

/// Digests of the events of some streams, and of the row after each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Digests {
    events: String,
    rows: String,
}

/// A fold as committed. The digests are those of events of these types, so that a new type changes none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    version: u32,
    types: String,
    golden: Digests,
    generated: Digests,
}

impl Digests {
    /// Returns true if the same events give other rows.
    fn differ(&self, other: &Self) -> bool {
        self.events == other.events && self.rows != other.rows
    }
}

impl Fold {
    pub fn of<M: ReadModel>() -> Self {
        Self {
            name: M::NAME,
            path: std::any::type_name::<M>(),
            types: Event::<M>::TYPES,
            check: check::<M>,
            entry: entry::<M>,
        }
    }

    /// Returns the names of all event types.
    fn types(&self) -> String {
        let names: Vec<&str> = self.types.iter().map(|(name, _)| *name).collect();
        names.join(" ")
    }

    /// Returns the type and the file to edit.
    fn place(&self) -> String {
        let parts: Vec<&str> = self.path.split("::").collect();
        let (model, modules) = parts.split_last().unwrap();
        format!("{model} in projections/src/{}.rs", modules[1..].join("/"))
    }
}

fn folds() -> Vec<Fold> {
    models().iter().filter_map(|model| model.fold()).collect()
}

/// Writes a row and reads it again, as between two batches.
fn stored<M: ReadModel>(row: &Row<M::Content>) -> Row<M::Content> {
    serde_json::from_str(&serde_json::to_string(row).unwrap()).unwrap()
}

fn check<M: ReadModel>() {
    let config = Config::with_cases(64);
    let folds = TestRunner::new(config).run(&vec(any_of::<Event<M>>(), 0..30), |events| {
        let (mut live, mut rebuilt) = (None, None);
        for (version, event) in (1..).zip(&events) {
            let event = recorded::<M::Of>(version, event);
            live = apply::<M>(live.as_ref().map(stored::<M>), &event).unwrap();
            rebuilt = apply::<M>(rebuilt, &event).unwrap();
            prop_assert!(live == rebuilt, "after version {}", version);
            if let Some(Row { metadata, .. }) = &live {
                prop_assert_eq!(metadata.version, version);
                prop_assert_eq!(metadata.position, event.position);
                prop_assert_eq!(metadata.updated_at, event.recorded_at);
                prop_assert!(metadata.created_at <= metadata.updated_at);
            }
        }
        Ok(())
    });
    folds.unwrap_or_else(|error| panic!("{}: {error}", std::any::type_name::<M>()));
}

/// Returns the entry of a fold over events of these types. A type's payloads do not depend on the other types.
fn entry<M: ReadModel>(types: &str) -> Entry {
    let strategies = Event::<M>::TYPES.iter().zip(Event::<M>::variants());
    let known = strategies.filter(|((name, _), _)| types.split(' ').any(|one| one == *name));
    let (mut golden, mut generated) = (vec![], vec![]);
    for (&(event_type, current), strategy) in known {
        golden.extend((1..=current).map(|version| read_golden(event_type, version)));
        let mut runner = TestRunner::deterministic();
        let payloads = (0..PAYLOADS).map(|_| {
            let event = strategy.new_tree(&mut runner).unwrap().current();
            Payload {
                event_type,
                version: current,
                data: serde_json::to_string(&event).unwrap(),
            }
        });
        generated.push(payloads.collect::<Vec<_>>());
    }
    // Each golden payload follows each other one, in a stream that the first one begins.
    let pairs = golden
        .iter()
        .flat_map(|one| golden.iter().map(move |other| (one, other)));
    let golden_streams = pairs.map(|(one, other)| vec![&golden[0], one, other]);
    let chosen = |stream, event| {
        let digest = Sha256::digest(format!("{stream} {event}"));
        let payloads = &generated[usize::from(digest[0]) % generated.len()];
        &payloads[usize::from(digest[1]) % PAYLOADS]
    };
    let streams = (0..STREAMS).map(|stream| (0..EVENTS).map(|n| chosen(stream, n)).collect());
    Entry {
        version: M::VERSION,
        types: types.into(),
        golden: digests::<M>(golden_streams),
        generated: digests::<M>(streams),
    }
}

fn digests<'a, M: ReadModel>(streams: impl Iterator<Item = Vec<&'a Payload>>) -> Digests {
    let (mut events, mut rows) = (Sha256::new(), Sha256::new());
    for stream in streams {
        let mut row = None;
        for (version, payload) in (1..).zip(stream) {
            let event: Recorded = recorded_payload::<M::Of>(version, payload.clone());
            row = apply::<M>(row, &event).unwrap();
            events.update(format!(
                "{} {} {}\n",
                event.event_type, event.contract_version, event.data
            ));
            // A `Value` has its keys in order.
            rows.update(format!("{}\n", serde_json::to_value(&row).unwrap()));
        }
    }
    let short = |digest: Sha256| hex::encode(&digest.finalize()[..8]);
    Digests {
        events: short(events),
        rows: short(rows),
    }
}

/// Returns the golden payload, compact.
fn read_golden(event_type: &'static str, version: u16) -> Payload {
    let file = format!("schema/events/{event_type}.v{version}.json");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
    let data = fs::read_to_string(format!("{path}{file}"));
    let data: Value =
        serde_json::from_str(&data.unwrap_or_else(|error| panic!("{file}: {error}"))).unwrap();
    Payload {
        event_type,
        version,
        data: data.to_string(),
    }
}

#[test]
fn one_event_at_a_time_gives_the_rows_of_a_rebuild() {
    for fold in folds() {
        (fold.check)();
    }
}

#[test]
fn a_changed_fold_has_a_new_version() {
    let file = fs::read_to_string(FILE).unwrap_or_else(|_| "{}".into());
    let committed: BTreeMap<String, Entry> = serde_json::from_str(&file).unwrap();
    let mut current = BTreeMap::new();
    for fold in folds() {
        let mut now = (fold.entry)(&fold.types());
        current.insert(fold.name.to_owned(), now.clone());
        let Some(then) = committed.get(fold.name) else {
            continue;
        };
        if then.types != now.types {
            now = (fold.entry)(&then.types);
        }
        let changed = then.golden.differ(&now.golden) || then.generated.differ(&now.generated);
        assert!(
            !changed || now.version > then.version,
            "`apply` gives other rows for the same events: raise VERSION of {} to {}, then run {UPDATE}",
            fold.place(),
            then.version + 1,
        );
    }
    if env::var_os("RECORD_FOLDS").is_some() {
        fs::write(FILE, serde_json::to_string_pretty(&current).unwrap() + "\n").unwrap();
        return;
    }
    let names = committed.keys().chain(current.keys());
    let outdated: Vec<&String> = names
        .filter(|name| committed.get(*name) != current.get(*name))
        .collect();
    assert!(
        outdated.is_empty(),
        "schema/read/folds.json is outdated for {outdated:?}: run {UPDATE}"
    );
}
