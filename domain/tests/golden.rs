//! Golden payloads: one for every version of every event type ever released, as existing logs contain it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use domain::contracts;
use serde_json::Value;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema/events")
}

fn name(event_type: &str, version: u16) -> String {
    format!("{event_type}.v{version}.json")
}

/// Returns the recorded payload.
fn golden(event_type: &str, version: u16) -> String {
    let name = name(event_type, version);
    fs::read_to_string(directory().join(&name))
        .unwrap_or_else(|error| panic!("add an example, schema/events/{name}: {error}"))
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn every_payload_ever_shipped_is_lifted_folded_and_written_again_as_the_newest() {
    for contract in contracts() {
        for &(event_type, current) in contract.types {
            let newest = parsed(&golden(event_type, current));
            for version in 1..=current {
                let upcast = (contract.upcast)(event_type, version, &golden(event_type, version))
                    .unwrap_or_else(|error| {
                        panic!("schema/events/{}: {error}", name(event_type, version))
                    });
                assert_eq!(
                    upcast,
                    newest,
                    "schema/events/{} is read as another event than version {current}: restore it, or lift it in `events!`",
                    name(event_type, version)
                );
            }
        }
    }
}

#[test]
fn a_payload_of_a_build_yet_to_come_is_refused() {
    for contract in contracts() {
        for &(event_type, current) in contract.types {
            let newer = (contract.upcast)(event_type, current + 1, &golden(event_type, current));
            assert!(
                newer.is_err(),
                "{event_type}: version {} was read",
                current + 1
            );
        }
    }
}

#[test]
fn every_file_is_the_payload_of_a_contract() {
    let expected: BTreeSet<String> = contracts()
        .iter()
        .flat_map(|contract| contract.types)
        .flat_map(|&(event_type, current)| (1..=current).map(move |v| name(event_type, v)))
        .collect();
    let found: BTreeSet<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let unknown: Vec<_> = found.difference(&expected).collect();
    assert!(
        unknown.is_empty(),
        "no contract has {unknown:?} in schema/events: register the aggregate in the mod.rs of its group in domain/src, or restore the event type"
    );
    let missing: Vec<_> = expected.difference(&found).collect();
    assert!(
        missing.is_empty(),
        "add examples of events to schema/events: {missing:?}"
    );
}
