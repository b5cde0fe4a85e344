//! The official conformance suite, in the version that scripts/ensure-mcp-clients.sh names: what the server holds of the requirements of
//! each version, compared with what it is known to hold; and the same for a server of fixtures on the same transport, as most
//! requirements are about tools, resources and prompts that no product has.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::TestApp;
use crate::mcp::register;
use crate::mcp_clients::{installed, node};
use crate::mcp_fixture::Fixture;
use crate::mcp_gate::Gate;
use crate::mcp_wire::{STATELESS, WITH_HANDSHAKE};

const SUITE: &str = "node_modules/@modelcontextprotocol/conformance/dist/index.js";
const FAILED: &str = "FAILURE";

/// What became of every requirement: its failed checks, if any.
async fn run(url: &str, version: &str) -> BTreeMap<String, Vec<String>> {
    let results = TempDir::new().unwrap();
    let mut suite = node();
    suite
        .arg(installed().join(SUITE))
        .args(["server", "--url", url, "--requirements", version])
        .arg("--output-dir")
        .arg(results.path())
        .stdin(Stdio::null());
    // Its own verdict counts what a product does not have.
    let said = suite.output().await.unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let mut outcomes = BTreeMap::new();
    for entry in std::fs::read_dir(results.path()).unwrap() {
        let path = entry.unwrap().path();
        let (scenario, checks) = read(&path);
        outcomes.insert(scenario, checks);
    }
    assert!(outcomes.len() > 20, "{said}");
    outcomes
}

/// The name of a scenario, `server-<name>-<time>`, and its failed checks.
fn read(directory: &Path) -> (String, Vec<String>) {
    let name = directory.file_name().unwrap().to_str().unwrap();
    let name = name.strip_prefix("server-").unwrap();
    let (name, _) = name.split_at(name.len() - "-2026-07-28T00-00-00-000Z".len());
    let checks = std::fs::read_to_string(directory.join("checks.json")).unwrap();
    let checks: Vec<Value> = serde_json::from_str(&checks).unwrap();
    let failed = checks.iter().filter(|check| check["status"] == FAILED);
    let ids = failed.map(|check| check["id"].as_str().unwrap().to_owned());
    (name.to_owned(), ids.collect())
}

/// What is known of every requirement: that it holds, or which of its checks fail, and why.
fn expected(version: &str) -> BTreeMap<String, Value> {
    let path = format!(
        "{}/tests/it/mcp_conformance/{version}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Compares both runs with what is known, requirement by requirement.
async fn check(version: &str) {
    let app = TestApp::start().await;
    let agent = register(&app).await;
    let workspace_id = app.alice.workspace().await;
    app.alice.admit(workspace_id, &agent, "agent").await;
    app.alice.note(workspace_id, "Tea", "Steep it.").await;
    app.alice.get("/v1/notes").await.expect(200);
    let gate = Gate::open(&agent).await;
    let fixture = Fixture::start().await;
    let product = run(&format!("{}/mcp", gate.url), version).await;
    let fixture = run(&format!("{}/mcp", fixture.url), version).await;

    let expected = expected(version);
    let mut faults = vec![];
    for (scenario, known) in &expected {
        for (server, outcomes) in [("product", &product), ("fixture", &fixture)] {
            let Some(failed) = outcomes.get(scenario) else {
                faults.push(format!("{scenario} was not run on the {server}"));
                continue;
            };
            let known = &known[server];
            if json!(failed) != known["fails"] && (*known != "holds" || !failed.is_empty()) {
                faults.push(format!(
                    "{scenario} on the {server}: {failed:?}, known as {known}"
                ));
            }
        }
    }
    for (scenario, failed) in &product {
        if !expected.contains_key(scenario) {
            let on_fixture = fixture.get(scenario);
            faults.push(format!(
                "{scenario} is not known: {failed:?} on the product, {on_fixture:?} on the fixture"
            ));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn what_2025_11_25_requires_holds_as_known() {
    check(WITH_HANDSHAKE).await;
}

#[tokio::test]
async fn what_2026_07_28_requires_holds_as_known() {
    check(STATELESS).await;
}
