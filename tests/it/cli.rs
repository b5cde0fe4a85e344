//! The command line, used next to a running server.

use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::watch;
use uuid::Uuid;

use crate::event::{history, text};
use crate::harness::{Client, OwnApp, PATIENCE, command, eventually, id, items, operator_key_file};

async fn daybook(app: &OwnApp, arguments: &[&str]) -> Output {
    command(&app.database_url, &[])
        .args(arguments)
        .output()
        .await
        .unwrap()
}

#[track_caller]
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", complaint(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn complaint(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Writes and reads until told to stop, and fails on any error. Returns the number of notes written.
async fn work(alice: Client, workspace_id: Uuid, stop: watch::Receiver<bool>) -> usize {
    let mut written = 0;
    while !*stop.borrow() {
        let note = alice.note(workspace_id, "Tea", "Steep it.").await;
        let path = format!("/v1/notes/{}", id(&note));
        let revised = alice
            .patch(&path, json!({"body": "Steep it long."}))
            .await
            .expect(200);
        let read = alice
            .get_at(&path, revised["position"].as_i64().unwrap())
            .await
            .expect(200);
        assert_eq!(read, revised);
        alice
            .get(&format!("/v1/notes?workspace_id={workspace_id}"))
            .await
            .expect(200);
        written += 1;
    }
    written
}

fn assert_each_line_ends(said: &str, end: &str) {
    assert!(said.lines().all(|line| line.ends_with(end)), "{said}");
}

#[tokio::test]
async fn read_models_are_compared_and_rebuilt_under_writes_and_reads() {
    let app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let (stop, stopping) = watch::channel(false);
    let workers: Vec<_> = (0..3)
        .map(|_| tokio::spawn(work(app.alice.clone(), workspace_id, stopping.clone())))
        .collect();
    // With memory for all rows, and with none.
    for memory in ["512", "0"] {
        let compared = ["projections", "diff", "all", "--memory", memory];
        let compared = printed(&daybook(&app, &compared).await);
        assert!(compared.lines().count() >= 6, "{compared}");
        assert_each_line_ends(&compared, "equal to the live one");
        let rebuilt = ["projections", "rebuild", "all", "--memory", memory];
        let rebuilt = printed(&daybook(&app, &rebuilt).await);
        assert_eq!(rebuilt.lines().count(), compared.lines().count());
        assert_each_line_ends(&rebuilt, "equal to the live one; swapped");
    }
    stop.send(true).unwrap();
    let mut written = 0;
    for worker in workers {
        written += worker.await.unwrap();
    }
    assert!(written > 0);
    app.settle().await;
    let compared = printed(&daybook(&app, &["projections", "diff", "all"]).await);
    assert_each_line_ends(&compared, "equal to the live one");
    let rows = app
        .sql()
        .await
        .query_one("select count(*) from read.notes", &[])
        .await
        .unwrap();
    assert_eq!(usize::try_from(rows.get::<_, i64>(0)).unwrap(), written);
}

#[tokio::test]
async fn many_new_rows_are_copied_as_single_ones_are_inserted() {
    let app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    for n in 0..40 {
        let title = format!(r#"\N {n} "{{,}}" \t\\"#);
        let body = format!("\\N\tone\r\n\\.\n{n} [[Nowhere \\ {n}]] ☕\u{1}\n- [ ] a \\ line\n");
        let note = app.alice.note(workspace_id, &title, &body).await;
        assert_eq!(note["title"], *title);
        assert_eq!(note["body"], *body);
        app.settle().await;
    }
    let rebuilt = printed(&daybook(&app, &["projections", "rebuild", "all"]).await);
    assert_each_line_ends(&rebuilt, "equal to the live one; swapped");
}

#[tokio::test]
async fn a_read_model_that_differs_from_the_log_is_shown_and_mended() {
    let app = OwnApp::start().await;
    let note = app.alice.note(app.alice.workspace().await, "Tea", "").await;
    // Listed, because the view of a single note is cached for some seconds.
    let listed = async || app.alice.pages("/v1/notes").await.concat().remove(0);
    assert_eq!(listed().await, note);
    app.sql()
        .await
        .batch_execute("update read.notes set title = 'Coffee'")
        .await
        .unwrap();
    assert_eq!(listed().await["title"], "Coffee");

    let compared = daybook(&app, &["projections", "diff", "note"]).await;
    assert!(!compared.status.success());
    assert!(complaint(&compared).contains("2 row(s) differ"));
    let shown = String::from_utf8(compared.stdout).unwrap();
    let only_in = |model: &str| {
        shown
            .lines()
            .find(|line| line.contains(&format!("only in {model}")))
            .unwrap()
    };
    assert!(
        only_in("live").contains("Coffee") && only_in("rebuilt").contains("Tea"),
        "{shown}"
    );

    let rebuilt = printed(&daybook(&app, &["projections", "rebuild", "note"]).await);
    assert!(
        rebuilt.contains("2 row(s) differ from the live one; swapped"),
        "{rebuilt}"
    );
    assert_eq!(listed().await, note);
    printed(&daybook(&app, &["projections", "diff", "note"]).await);
}

#[tokio::test]
async fn projections_are_listed_with_how_far_they_are() {
    let app = OwnApp::start().await;
    app.alice.workspace().await;
    app.settle().await;
    let head = app.alice.head().await;
    let listed = eventually(async || {
        let listed = printed(&daybook(&app, &["projections", "list"]).await);
        let up_to_date = listed.lines().skip(1).all(|line| line.contains(" 0 "));
        up_to_date.then_some(listed)
    })
    .await;
    let columns = |name: &str| {
        let line = listed
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")))
            .unwrap();
        line.split_whitespace()
            .skip(1)
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(columns("workspace"), format!("{head} 0 read model"));
    assert_eq!(columns("webhook_fanout"), format!("{head} 0 reaction"));

    let unknown = daybook(&app, &["projections", "rebuild", "nothing"]).await;
    assert!(!unknown.status.success());
    assert!(complaint(&unknown).contains("there is no read model nothing; there are"));
}

#[tokio::test]
async fn an_operator_who_lost_the_key_makes_another() {
    let app = OwnApp::start().await;
    let file = operator_key_file(&app.database_url);
    let refused = daybook(&app, &["operator-key"]).await;
    assert!(!refused.status.success());
    let advice = format!("{} exists: move it away", file.display());
    assert!(
        complaint(&refused).contains(&advice),
        "{}",
        complaint(&refused)
    );

    std::fs::remove_file(&file).unwrap();
    let answer = printed(&daybook(&app, &["operator-key"]).await);
    let expected = format!("operator API key written to {}\n", file.display());
    assert_eq!(answer, expected);
    let key = std::fs::read_to_string(&file).unwrap();
    assert_ne!(key.trim_end(), app.operator.key);
    let operator = Client::new(&app.url, key.trim_end());
    // The server notices it within a second.
    let answer = eventually(async || {
        let answer = operator.get("/v1/products").await;
        (answer.status != 401).then_some(answer)
    })
    .await;
    assert_eq!(items(answer.expect(200)).len(), 1);
    app.operator.get("/v1/products").await.expect(200);
}

#[tokio::test]
async fn a_configuration_is_checked_and_every_fault_named_at_once() {
    let check = async |variables: &[(&str, &str)]| {
        let mut check = command("postgresql://daybook@localhost/daybook", variables);
        check.args(["config", "check"]).output().await.unwrap()
    };
    let shown = printed(&check(&[("DAYBOOK_WEBHOOKS_TIMEOUT", "29")]).await);
    assert!(shown.ends_with("the configuration is fine\n"), "{shown}");
    let line = |variable: &str| {
        let line = shown.lines().find(|line| line.starts_with(variable));
        let words = line.unwrap().split_whitespace();
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let given = "DAYBOOK_WEBHOOKS_TIMEOUT";
    assert_eq!(line(given), [given, "29", given]);
    let default = "DAYBOOK_REQUEST_TIMEOUT";
    assert_eq!(line(default), [default, "30", "default"]);
    let secret = "DAYBOOK_SECRET_KEY";
    assert_eq!(line(secret), [secret, "***", secret]);

    let file = store::testing::directory().join("daybook.toml");
    std::fs::write(
        &file,
        "body_limit = 'much'\ncolour = 'red'\n[webhooks]\nallow_private = 'perhaps'\n",
    )
    .unwrap();
    let bad = check(&[
        ("DATABASE_URL", "mysql://root@localhost"),
        ("DAYBOOK_CONFIG", file.to_str().unwrap()),
        ("DAYBOOK_LISTEN", "everywhere"),
        ("DAYBOOK_WEBHOOKS_ALLOW_PRIVATE", ""),
        ("DAYBOOK_WEBHOOKS_SCHEDULE", "now and then"),
        ("DAYBOOK_WEBHOOKS_TIMEOUT", "0"),
        ("DAYBOOK_SECRET_KEY", "c2hvcnQ="),
        ("DAYBOOK_LISTEM", "127.0.0.1:1"),
    ])
    .await;
    assert!(!bad.status.success());
    let said = complaint(&bad);
    for fault in [
        "DATABASE_URL expects",
        "DAYBOOK_LISTEN expects",
        "DAYBOOK_WEBHOOKS_SCHEDULE expects",
        "DAYBOOK_WEBHOOKS_TIMEOUT expects",
        "DAYBOOK_SECRET_KEY expects",
        "DAYBOOK_LISTEM is not a setting",
        "body_limit in the configuration file expects",
        "webhooks_allow_private in the configuration file expects",
        "colour in the configuration file is not a setting",
    ] {
        assert!(said.contains(fault), "{fault} is missing in:\n{said}");
    }
    assert!(said.contains("9 problem(s)"), "{said}");
    // An invalid secret is still a secret.
    assert!(!said.contains("c2hvcnQ="));
    assert!(bad.stdout.is_empty());
}

#[tokio::test]
async fn replay_prints_the_log_beside_the_running_server() {
    let app = OwnApp::start().await;
    history(&app).await;
    let replay = async |arguments: &[&str]| {
        let lines = printed(&daybook(&app, &[&["replay"], arguments].concat()).await);
        let events = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        events.collect::<Vec<Value>>()
    };
    let all = app.operator.events("").await;
    assert_eq!(replay(&[]).await, all);
    let after = all[4]["position"].to_string();
    assert_eq!(replay(&["--after", &after]).await, all[5..]);
    let stream = text(&all.last().unwrap()["stream"]);
    assert_eq!(
        replay(&["--stream", &stream]).await,
        app.operator.events(&format!("stream={stream}")).await
    );
    assert_eq!(
        replay(&["--type", "note.created", "--type", "workspace.*"]).await,
        app.operator.events("type=note.created,workspace.*").await
    );
    let product = app.product_id.to_string();
    assert_eq!(
        replay(&["--product", &product, "--type", "note.*", "--after", &after]).await,
        app.alice
            .events(&format!("type=note.*&after={after}"))
            .await
    );
    // Every filter of the API.
    let event = all
        .iter()
        .rev()
        .find(|e| e["type"] == "note.revised")
        .unwrap();
    let (actor, correlation) = (
        &event["metadata"]["actor"]["id"],
        &event["metadata"]["correlation_id"],
    );
    let filters = [
        ("--category", "category", "note,workspace".to_owned()),
        ("--workspace", "workspace_id", text(&event["workspace_id"])),
        ("--actor", "actor", text(actor)),
        ("--correlation-id", "correlation_id", text(correlation)),
        ("--since", "since", text(&event["recorded_at"])),
        ("--until", "until", text(&event["recorded_at"])),
    ];
    for (flag, name, value) in &filters {
        let expected = app.operator.events(&format!("{name}={value}")).await;
        assert!(!expected.is_empty() && expected.len() < all.len(), "{flag}");
        assert_eq!(replay(&[flag, value]).await, expected, "{flag}");
    }
    assert_eq!(
        replay(&["--limit", "3", "--after", &after]).await,
        all[5..8]
    );
    for (arguments, said) in [
        (&["--stream", "note"][..], "category-uuid"),
        (&["--type", "note.craeted"], "note.created"),
        (&["--category", "notes"], "did you mean note"),
        (&["--after", "1000000"], "the log ends at position"),
    ] {
        let refused = daybook(&app, &[&["replay"], arguments].concat()).await;
        assert!(!refused.status.success());
        assert!(
            complaint(&refused).contains(said),
            "{}",
            complaint(&refused)
        );
    }
}

#[tokio::test]
async fn no_command_minds_that_nobody_reads_its_answer() {
    let app = OwnApp::start().await;
    history(&app).await;
    let workspace_id = app.alice.workspace().await;
    let expires_at = chrono::Utc::now() + chrono::TimeDelta::days(1);
    let action = json!({"type": "note.create", "title": "Tea", "body": ""});
    let proposal = json!({"workspace_id": workspace_id, "actions": [action], "rationale": "thirst", "expires_at": expires_at});
    app.alice.post("/v1/proposals", proposal).await.expect(201);
    app.settle().await;
    let listed = printed(&daybook(&app, &["jobs", "list"]).await);
    assert!(listed.contains("proposal.expire"), "{listed}");
    let another = operator_key_file(&app.database_url).with_extension("another");
    let another = ("DAYBOOK_OPERATOR_KEY_FILE", another.to_str().unwrap());
    for arguments in [
        &["jobs", "list"][..],
        &["jobs", "redrive"],
        &["projections", "list"],
        &["projections", "diff", "all"],
        &["replay"],
        &["config", "check"],
        &["operator-key"],
        &["health", "--server", &app.url],
    ] {
        let mut running = command(&app.database_url, &[another])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(running.stdout.take());
        let ended = running.wait_with_output().await.unwrap();
        assert!(
            ended.status.success(),
            "{arguments:?}: {}",
            complaint(&ended)
        );
        assert_eq!(complaint(&ended), "", "{arguments:?}");
    }
    let nowhere = daybook(&app, &["health", "--server", "http://127.0.0.1:9"]).await;
    assert!(!nowhere.status.success());
    assert!(
        complaint(&nowhere).contains("--server"),
        "{}",
        complaint(&nowhere)
    );
}

#[tokio::test]
async fn replay_follows_the_log_as_another_process_writes_it() {
    let app = OwnApp::start().await;
    let mut following = command(&app.database_url, &[])
        .args(["replay", "--follow", "--type", "note.*"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let workspace_id = app.alice.workspace().await;
    for _ in 0..3 {
        let note = app.alice.note(workspace_id, "Tea", "").await;
        let line = tokio::time::timeout(PATIENCE, lines.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["stream"], format!("note-{}", id(&note)));
    }
    let interrupted = following.id().unwrap().to_string();
    tokio::process::Command::new("kill")
        .args(["-INT", &interrupted])
        .status()
        .await
        .unwrap();
    assert!(
        tokio::time::timeout(PATIENCE, following.wait())
            .await
            .unwrap()
            .unwrap()
            .success()
    );
}
