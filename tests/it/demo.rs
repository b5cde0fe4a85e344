//! `daybook demo`, on a directory of typical files.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::harness::{DAYBOOK, OwnApp, PATIENCE, eventually};

/// Number of files that become notes.
const NOTES: usize = 10;

/// Writes a dozen Markdown files, of which one is too large and one not UTF-8, and some other files.
fn files() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    write(
        "tea.md",
        b"# Green tea\n\nTea needs water, and the water needs a Cast Iron Kettle.\n\n![The pot](deep/pot.jpg)\n\n\
          - [ ] Descale it\n- [x] Buy **water**\n",
    );
    write(
        "kettle.md",
        b"# Cast iron kettle\r\n\r\nFor green tea.\r\n\r\nTea, tea.\r\n",
    );
    write(
        "deep/er/water.md",
        b"---\ntitle: Spring water\ntags: [drink]\n---\nWater is not tea.\n",
    );
    write(
        "deep/er/code.md",
        b"# Timer\n\n```rust\nfn steep() {}\n```\n\nSpring water boils.\n",
    );
    write(
        "deep/sentence.md",
        b"Buy a kettle. Any kettle will do for tea.\n",
    );
    write(
        "deep/heading.md",
        b"Later.\n\n## Plans for the kettle\n\nA kettle for water.\n",
    );
    write("deep/latin1.md", b"# Caf\xe9\n\nNo tea, no tea.\n");
    write("deep/same-1.md", b"# Twin\n\nTea water, tea water.\n");
    write("deep/same-2.md", b"# Twin\n\nTea water, tea water.\n");
    write("empty.md", b"");
    write("upper.MD", b"# Upper case\n\nWater water.\n");
    write("huge.md", &vec![b'x'; 2 << 20]);
    write("picture.png", b"\x89PNG");
    write("deep/pot.jpg", b"\xff\xd8 a pot");
    std::os::unix::fs::symlink(root.path(), root.path().join("deep/circle")).unwrap();
    root
}

fn demo(app: &OwnApp, dir: &Path) -> Command {
    demo_at(&app.url, &app.operator.key, dir)
}

fn demo_at(server: &str, key: &str, dir: &Path) -> Command {
    let mut command = Command::new(DAYBOOK);
    command
        .args(["demo", "--server", server, "--key", key])
        .arg(dir)
        .env("NO_PROXY", "127.0.0.1")
        .kill_on_drop(true);
    command
}

async fn run(mut demo: Command) -> (Output, String) {
    let output = tokio::time::timeout(2 * PATIENCE, demo.output())
        .await
        .expect("the demonstration ends in time")
        .unwrap();
    let told = String::from_utf8(output.stdout.clone()).unwrap();
    (output, told)
}

/// Returns the word after a name at the start of a line.
#[track_caller]
fn told<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| {
            line.trim_start()
                .strip_prefix(name)?
                .split_whitespace()
                .next()
        })
        .unwrap_or_else(|| panic!("nothing is told of {name}:\n{text}"))
        .trim_end_matches(':')
}

#[track_caller]
fn number(text: &str, name: &str) -> usize {
    let numbers = text.split_once("In numbers:").expect(text).1;
    told(numbers, name).replace(',', "").parse().unwrap()
}

/// Returns the notes and proposals of the workspace in a run's output.
async fn state(app: &OwnApp, text: &str) -> (Vec<Value>, Vec<Value>) {
    let workspace_id = told(text, "workspace");
    let list = async |kind: &str| {
        let path = format!("/v1/{kind}?workspace_id={workspace_id}&limit=200");
        let list = app.operator.get(&path).await.expect(200);
        list["items"].as_array().unwrap().clone()
    };
    (list("notes").await, list("proposals").await)
}

fn words(value: &Value) -> BTreeSet<&str> {
    let words = value.as_array().into_iter().flatten();
    words.map(|word| word.as_str().unwrap()).collect()
}

/// Asserts that the changes of an applied proposal were made.
#[track_caller]
fn assert_applied(proposal: &Value, notes: &[Value]) {
    let edited = proposal["edited_actions"].as_array();
    for action in edited.or(proposal["actions"].as_array()).unwrap() {
        let note = notes.iter().find(|note| note["id"] == action["note_id"]);
        let note = note.expect("the note is there");
        assert!(
            words(&note["tags"]).is_superset(&words(&action["add"])),
            "{note}"
        );
        for field in ["title", "body"] {
            let wanted = action.get(field).filter(|wanted| !wanted.is_null());
            assert!(wanted.is_none_or(|wanted| *wanted == note[field]), "{note}");
        }
    }
}

/// Asserts that pictures are attached to the notes that show them or lie beside them, and that lines are tasks.
async fn assert_beside_the_notes(app: &OwnApp, text: &str, notes: &[Value]) {
    let workspace_id = told(text, "workspace");
    let list = async |kind: &str| {
        let path = format!("/v1/{kind}?workspace_id={workspace_id}");
        let list = app.operator.get(&path).await.expect(200);
        list["items"].as_array().unwrap().clone()
    };
    let artifacts = list("artifacts").await;
    let pot = artifacts.iter().find(|a| a["name"] == "pot.jpg").unwrap();
    let tea = notes.iter().find(|note| note["file"]["path"] == "tea.md");
    assert_eq!(pot["note_id"], tea.unwrap()["id"]);
    assert_eq!(
        (&pot["media_type"], &pot["size"]),
        (&"image/jpeg".into(), &8.into())
    );
    let tasks = list("tasks").await;
    let status =
        |title: &str| tasks.iter().find(|t| t["title"] == title).unwrap()["status"].clone();
    assert_eq!(
        (status("Descale it"), status("Buy water")),
        ("open".into(), "done".into())
    );
}

#[tokio::test]
async fn files_become_notes_and_proposals_are_decided_and_webhooks_are_verified() {
    let app = OwnApp::start().await;
    let dir = files();
    let (output, text) = run(demo(&app, dir.path())).await;
    let warnings = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}\n{warnings}");

    let (notes, proposals) = state(&app, &text).await;
    assert_eq!(notes.len(), NOTES);
    assert_eq!(number(&text, "files"), NOTES + 5);
    assert_eq!(number(&text, "notes"), NOTES);
    assert_eq!((number(&text, "artifacts"), number(&text, "tasks")), (2, 2));
    for warning in [
        "huge.md is left out: it has 2.00 MiB",
        "deep/circle is left out: it is a symbolic link",
        "deep/latin1.md is left out: it is not UTF-8 from byte 5 on",
    ] {
        assert!(warnings.contains(warning), "{warnings}");
    }
    let titles: BTreeSet<&str> = notes
        .iter()
        .map(|note| note["title"].as_str().unwrap())
        .collect();
    assert!(titles.contains("Spring water"), "{titles:?}");
    // Each was proposed, and at most one was rejected.
    let headings = ["Green tea", "Cast iron kettle", "Timer", "Upper case"];
    let given = headings.iter().filter(|heading| titles.contains(*heading));
    assert!(given.count() >= headings.len() - 1, "{titles:?}");

    let status = |wanted: &str| proposals.iter().filter(|p| p["status"] == wanted).count();
    assert!(proposals.len() >= 5, "{proposals:#?}");
    assert_eq!(number(&text, "proposals made"), proposals.len());
    assert_eq!((status("rejected"), number(&text, "rejected")), (1, 1));
    assert_eq!(status("applied"), proposals.len() - 1);
    let edited = proposals.iter().filter(|p| !p["edited_actions"].is_null());
    assert_eq!(
        (edited.count(), number(&text, "edited, then approved")),
        (1, 1)
    );
    assert_eq!(number(&text, "approved"), proposals.len() - 2);
    for proposal in proposals.iter().filter(|p| p["status"] == "applied") {
        assert_applied(proposal, &notes);
        assert_eq!(proposal["proposer"]["kind"], "agent");
    }
    assert_beside_the_notes(&app, &text, &notes).await;
    let linked = notes
        .iter()
        .filter(|note| note["body"].as_str().unwrap().contains("## See also"));
    assert!(linked.count() > 0);

    assert_eq!(number(&text, "approvals refused"), 2);
    assert!(text.contains("403 agent_not_allowed"), "{text}");
    assert!(text.contains("409 proposal_hash_mismatch"), "{text}");
    for event in [
        "propose_changes through MCP",
        "proposal.submitted",
        "proposal.applied",
        "webhook.delivery_attempted",
    ] {
        assert!(text.contains(event), "{text}");
    }
}

#[tokio::test]
async fn every_event_of_a_note_or_proposal_arrives_genuine_and_the_endpoint_is_closed_behind_it() {
    let app = OwnApp::start().await;
    let dir = files();
    let (output, text) = run(demo(&app, dir.path())).await;
    assert!(output.status.success(), "{text}");

    let path = format!(
        "/v1/events?product={}&type=note.*,proposal.*&limit=1000",
        told(&text, "product")
    );
    let events = app.operator.get(&path).await.expect(200);
    let events = events["items"].as_array().unwrap().len();
    assert!(events > 2 * NOTES, "{events}");
    // The example counts as well.
    assert!(number(&text, "webhooks received") > events, "{text}");
    assert_eq!(
        number(&text, "signatures verified"),
        number(&text, "webhooks received")
    );

    let path = format!("/v1/webhooks/{}", told(&text, "webhook "));
    let endpoint = app.operator.get(&path).await.expect(200);
    assert_eq!(endpoint["status"], "disabled");
    let path = format!("{path}/deliveries?status=succeeded&limit=200");
    let deliveries = app.operator.get(&path).await.expect(200);
    assert_eq!(deliveries["items"].as_array().unwrap().len(), events + 1);
}

#[tokio::test]
async fn a_run_that_was_killed_goes_on_and_doubles_nothing() {
    let app = OwnApp::start().await;
    let dir = files();
    let mut first = demo(&app, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    let mut text = String::new();
    // The import starts after this line.
    while !text.contains("webhook ") {
        text += &lines
            .next_line()
            .await
            .unwrap()
            .expect("it does not end before");
        text += "\n";
    }
    eventually(async || (!state(&app, &text).await.0.is_empty()).then_some(())).await;
    first.kill().await.unwrap();

    let mut last = String::new();
    for _ in 0..2 {
        let mut again = demo(&app, dir.path());
        again.args(["--product", told(&text, "product")]);
        let (output, told) = run(again).await;
        assert!(output.status.success(), "{told}");
        last = told;
    }

    assert_eq!(told(&last, "workspace"), told(&text, "workspace"));
    let (notes, proposals) = state(&app, &text).await;
    assert_eq!(notes.len(), NOTES);
    let about: Vec<&Value> = proposals
        .iter()
        .map(|p| &p["actions"][0]["note_id"])
        .collect();
    let distinct: BTreeSet<String> = about.iter().map(ToString::to_string).collect();
    assert_eq!(about.len(), distinct.len(), "one proposal per note");
    assert!(
        proposals.iter().all(|p| p["status"] != "pending"),
        "{proposals:#?}"
    );
}

#[tokio::test]
async fn where_the_server_may_not_call_this_machine_the_run_says_so_and_goes_on() {
    let app = OwnApp::start_with(&[("DAYBOOK_WEBHOOKS_ALLOW_PRIVATE", "false")]).await;
    let dir = files();
    let (output, text) = run(demo(&app, dir.path())).await;
    let warnings = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}\n{warnings}");
    assert!(
        warnings.contains("the host has no public address"),
        "{warnings}"
    );
    assert!(
        warnings.contains("run it here with DAYBOOK_WEBHOOKS_ALLOW_PRIVATE=true"),
        "{warnings}"
    );
    assert_eq!(number(&text, "webhooks received"), 0);
    assert_eq!(number(&text, "notes"), NOTES);
    let (_, proposals) = state(&app, &text).await;
    assert!(
        proposals.iter().all(|p| p["status"] != "pending"),
        "{proposals:#?}"
    );
}

#[tokio::test]
async fn what_cannot_be_shown_is_an_error_that_says_why() {
    let app = OwnApp::start().await;
    let (empty, huge) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(empty.path().join("note.txt"), "text").unwrap();
    std::fs::write(huge.path().join("huge.md"), vec![b'x'; 2 << 20]).unwrap();
    let files = files();
    let no_operator = demo_at(&app.url, &app.alice.key, files.path());
    let nobody = demo_at("http://127.0.0.1:1", &app.operator.key, files.path());
    for (demo, reason) in [
        (
            demo(&app, empty.path()),
            "there are no Markdown files (*.md) below",
        ),
        (
            demo(&app, huge.path()),
            "could be imported; the warnings say why",
        ),
        (
            demo(&app, &empty.path().join("nowhere")),
            "No such file or directory",
        ),
        (
            no_operator,
            "403 operator_only: only the operator does this",
        ),
        (nobody, "no answer from http://127.0.0.1:1"),
    ] {
        let (output, _) = run(demo).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(reason), "{reason} is missing in: {error}");
    }
}

#[tokio::test]
async fn whoever_stops_reading_does_not_stop_the_demonstration() {
    let app = OwnApp::start().await;
    let dir = files();
    let mut demo = demo(&app, dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut text = String::new();
    while !text.contains("workspace ") {
        text += &lines.next_line().await.unwrap().expect("it says more");
        text += "\n";
    }
    // Closes the pipe as `head` does.
    drop(lines);
    let ended = tokio::time::timeout(2 * PATIENCE, demo.wait()).await;
    assert!(ended.expect("it ends in time").unwrap().success());
    let (notes, proposals) = state(&app, &text).await;
    assert_eq!(notes.len(), NOTES);
    assert!(
        proposals.iter().all(|p| p["status"] != "pending"),
        "{proposals:#?}"
    );
}
