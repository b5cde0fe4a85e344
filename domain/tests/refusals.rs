//! Every code of a refusal is described in `docs/errors.md`, and produced by a test.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use domain::contracts;

/// Returns the codes of all aggregates' own rules.
fn codes() -> BTreeSet<String> {
    let codes = contracts()
        .into_iter()
        .flat_map(|contract| (contract.codes)());
    codes.collect()
}

#[test]
fn every_code_is_described() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md");
    let page = fs::read_to_string(page).unwrap();
    let missing: Vec<String> = codes()
        .into_iter()
        .filter(|code| !page.contains(&format!("| `{code}` |")))
        .collect();
    assert!(
        missing.is_empty(),
        "add to docs/errors.md: {}",
        missing.join(", ")
    );
}

/// Reads the codes that all tests have recorded in a folder. `make test` runs this after all other tests.
#[test]
#[ignore = "needs the records of all other tests"]
fn a_test_produces_every_code() {
    let folder = std::env::var("REFUSALS_FOLDER").unwrap();
    let files = fs::read_dir(folder).unwrap();
    let recorded: String = files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let produced: BTreeSet<String> = recorded.lines().map(str::to_owned).collect();
    let missing: Vec<String> = codes().difference(&produced).cloned().collect();
    assert!(
        missing.is_empty(),
        "no test produces {}: add `then_refused` beside the rule",
        missing.join(", ")
    );
}
