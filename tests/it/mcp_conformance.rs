//! The official conformance suite, in the version that `scripts/ensure-clients.sh mcp` names: the results of the server for the
//! requirements
//! of each version, compared with the known ones; and the same for a server of fixtures on the same transport, because most
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
const ATTEMPTS: u32 = 3;

/// The failed checks of every requirement.
type Outcomes = BTreeMap<String, Vec<String>>;

async fn run(url: &str, version: &str) -> Outcomes {
    let results = TempDir::new().unwrap();
    let mut suite = node();
    suite
        .arg(installed().join(SUITE))
        .args(["server", "--url", url, "--requirements", version])
        .arg("--output-dir")
        .arg(results.path())
        .stdin(Stdio::null());
    // The suite's own verdict includes features that the product does not have.
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

/// Returns the name of a scenario, `server-<name>-<time>`, and its failed checks.
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

/// Returns the known result of every requirement: that it holds, or the failing checks with the reason.
fn expected(version: &str) -> BTreeMap<String, Value> {
    let path = format!(
        "{}/tests/it/mcp_conformance/{version}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Compares both runs with the known results, requirement by requirement.
async fn check(version: &str) {
    let app = TestApp::start_with(&[("DAYBOOK_MCP_CALLS_PER_MINUTE", "100000")]).await;
    let agent = register(&app).await;
    let workspace_id = app.alice.workspace().await;
    app.alice.admit(workspace_id, &agent, "agent").await;
    app.alice.note(workspace_id, "Tea", "Steep it.").await;
    app.alice.get("/v1/notes").await.expect(200);
    let gate = Gate::open(&agent).await;
    let fixture = Fixture::start().await;
    let urls = [&gate.url, &fixture.url].map(|url| format!("{url}/mcp"));

    let expected = expected(version);
    let mut faults = vec![];
    // Some checks allow a server half a second, which a busy machine may exceed.
    for _ in 0..ATTEMPTS {
        let product = run(&urls[0], version).await;
        let fixture = run(&urls[1], version).await;
        faults = departures(&expected, &[("product", product), ("fixture", fixture)]);
        if faults.is_empty() {
            return;
        }
    }
    panic!("{faults:#?}");
}

/// Lists requirements with results other than the known ones.
fn departures(expected: &BTreeMap<String, Value>, servers: &[(&str, Outcomes)]) -> Vec<String> {
    let mut faults = vec![];
    for (server, outcomes) in servers {
        for (scenario, known) in expected {
            let known = &known[server];
            match outcomes.get(scenario) {
                None => faults.push(format!("{scenario} was not run on the {server}")),
                Some(failed) if failed.is_empty() && *known == "holds" => {}
                Some(failed) if json!(failed) == known["fails"] => {}
                Some(failed) => {
                    faults.push(format!(
                        "{scenario} on the {server}: {failed:?}, known as {known}"
                    ));
                }
            }
        }
        let unknown = outcomes
            .iter()
            .filter(|(name, _)| !expected.contains_key(*name));
        faults.extend(
            unknown.map(|(name, failed)| format!("{name} on the {server}: {failed:?}, not known")),
        );
    }
    faults
}

#[tokio::test]
async fn what_2025_11_25_requires_holds_as_known() {
    check(WITH_HANDSHAKE).await;
}

#[tokio::test]
async fn what_2026_07_28_requires_holds_as_known() {
    check(STATELESS).await;
}
