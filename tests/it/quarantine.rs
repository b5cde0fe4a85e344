//! Events that a read model or a reaction cannot apply: their streams go into quarantine, and all others go on.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{OwnApp, command, eventually, id};

/// Title for which the database refuses rows of notes.
const SPOILED: &str = "Spoiled";

async fn spoil(app: &OwnApp) {
    let refuse =
        format!("alter table read.notes add constraint spoiled check (title <> '{SPOILED}')");
    app.sql().await.batch_execute(&refuse).await.unwrap();
}

async fn mend(app: &OwnApp) {
    let mend = "alter table read.notes drop constraint spoiled";
    app.sql().await.batch_execute(mend).await.unwrap();
}

/// Waits until the node is ready and the projection has so many streams in quarantine; returns the readiness.
async fn ready(app: &OwnApp, projection: &str, quarantined: u64) -> Value {
    eventually(async || {
        let request = app.operator.request(Method::GET, "/health/ready");
        let ready = app.operator.send(request).await;
        let consumers = ready.body["consumers"].as_array()?;
        let found = consumers.iter().find(|one| one["name"] == projection)?;
        let count = found["quarantined"].as_u64().unwrap_or(0);
        (count == quarantined && ready.status == 200).then_some(ready.body)
    })
    .await
}

/// Runs `daybook projections`; returns its success and its output.
async fn projections(app: &OwnApp, arguments: &[&str]) -> (bool, String) {
    let done = command(&app.database_url, &[])
        .arg("projections")
        .args(arguments)
        .output()
        .await
        .unwrap();
    let said = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn a_stream_that_cannot_be_applied_waits_and_all_others_go_on() {
    let app = OwnApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    spoil(&app).await;
    let path = |note: &Value| format!("/v1/notes/{}", id(note));
    let tea = alice.note(workspace_id, "Tea", "").await;
    let spoiled = alice.note(workspace_id, SPOILED, "").await;
    let water = alice.note(workspace_id, "Water", "").await;

    assert_eq!(alice.get(&path(&water)).await.expect(200)["title"], "Water");
    let ready = self::ready(&app, "note", 1).await;
    assert_eq!(ready["status"], "degraded");
    assert_eq!(
        ready["degraded"],
        json!(["projection note: 1 stream(s) in quarantine"])
    );
    let shown = ready.to_string();
    assert!(
        !shown.contains(SPOILED) && !shown.contains("spoiled"),
        "{shown}"
    );
    let request = app.operator.request(Method::GET, "/metrics");
    let metrics = app.operator.send(request).await.body;
    let metric = "daybook_projection_quarantined_streams{projection=\"note\"} 1\n";
    assert!(metrics.as_str().unwrap().contains(metric));

    // A note that was never applied has a clear problem, but not for another product.
    alice
        .get(&path(&spoiled))
        .await
        .expect_problem(503, "quarantined");
    let stranger = app.stranger().await;
    stranger
        .get(&path(&spoiled))
        .await
        .expect_problem(404, "not_found");
    // A note that was applied before is marked as out of date.
    alice
        .patch(&path(&tea), json!({"title": SPOILED}))
        .await
        .expect(200);
    let revised = alice
        .patch(&path(&tea), json!({"body": "Steep."}))
        .await
        .expect(200);
    assert_eq!(revised["title"], SPOILED, "the log knows more");
    self::ready(&app, "note", 2).await;
    let seen = alice.get(&path(&tea)).await.expect(200);
    assert_eq!((&seen["title"], &seen["body"]), (&json!("Tea"), &json!("")));
    let at = seen["quarantined_at"].as_i64().unwrap();
    assert_eq!(at, revised["position"].as_i64().unwrap() - 1);
    let listed = alice.get("/v1/notes").await.expect(200);
    let marks: Vec<&Value> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|note| &note["quarantined_at"])
        .collect();
    assert_eq!(marks, [&Value::Null, &json!(at)]);

    let (listed, said) = projections(&app, &["list"]).await;
    let stream = format!("note-{}", id(&tea));
    assert!(
        listed && said.contains("2 stream(s) in quarantine"),
        "{said}"
    );
    assert!(
        said.contains(&format!("{stream} at position {at}")),
        "{said}"
    );
    let (done, said) = projections(&app, &["retry", "note", &stream]).await;
    assert!(!done && said.contains("0 of 1 stream(s) go on"), "{said}");
    let (done, said) = projections(&app, &["retry", "task"]).await;
    assert!(!done && said.contains("nothing in quarantine"), "{said}");

    mend(&app).await;
    let (done, said) = projections(&app, &["retry", "note"]).await;
    assert!(done, "{said}");
    let ready = self::ready(&app, "note", 0).await;
    assert_eq!(ready["status"], "ready");
    let seen = alice.get(&path(&tea)).await.expect(200);
    assert_eq!(
        (&seen["title"], &seen["body"], &seen["version"]),
        (&json!(SPOILED), &json!("Steep."), &json!(3))
    );
    assert!(seen.get("quarantined_at").is_none());
    alice.get(&path(&spoiled)).await.expect(200);
    let (equal, said) = projections(&app, &["diff", "note"]).await;
    assert!(equal, "{said}");
}

#[tokio::test]
async fn an_event_is_left_out_on_demand_and_a_rebuild_heals() {
    let app = OwnApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let path = format!(
        "/v1/notes/{}",
        id(&alice.note(workspace_id, "Tea", "").await)
    );
    let stream = path.replace("/v1/notes/", "note-");
    alice.get(&path).await.expect(200);
    spoil(&app).await;
    alice
        .patch(&path, json!({"title": SPOILED}))
        .await
        .expect(200);
    alice
        .patch(&path, json!({"body": "Steep."}))
        .await
        .expect(200);
    ready(&app, "note", 1).await;

    let (done, said) = projections(&app, &["skip", "note", &stream]).await;
    assert!(done, "{said}");
    ready(&app, "note", 0).await;
    let seen = alice.get(&path).await.expect(200);
    assert_eq!(
        (&seen["title"], &seen["body"]),
        (&json!("Tea"), &json!("Steep."))
    );

    // The new table lacks the constraint.
    let (done, said) = projections(&app, &["rebuild", "note"]).await;
    assert!(done, "{said}");
    // The earlier response is cached for some seconds.
    eventually(async || {
        let note = alice.get(&path).await.expect(200);
        (note["title"] == SPOILED).then_some(())
    })
    .await;
    alice
        .patch(&path, json!({"body": "Drink."}))
        .await
        .expect(200);
    assert_eq!(alice.get(&path).await.expect(200)["body"], "Drink.");
}

#[tokio::test]
async fn what_has_no_contract_is_held_back_by_read_models_reactions_and_rebuilds() {
    let app = OwnApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let poisoned = Uuid::now_v7();
    app.smuggle(("note", poisoned), 1, "note.exploded", &json!({}))
        .await;
    let purged = alice.note(workspace_id, "Tea", "- [ ] Steep").await;
    for consumer in [
        "note",
        "link",
        "search",
        "checklist_notes",
        "artifact_purges",
    ] {
        ready(&app, consumer, 1).await;
    }
    // The reaction has processed the note after it.
    eventually(async || {
        let tasks = alice.get("/v1/tasks").await.expect(200);
        tasks["items"]
            .as_array()
            .filter(|tasks| tasks.len() == 1)
            .map(drop)
    })
    .await;
    let found = alice.get("/v1/search?q=tea").await.expect(200);
    assert_eq!(found["items"][0]["id"], purged["id"]);

    for name in ["note", "link", "search"] {
        let (done, said) = projections(&app, &["rebuild", name]).await;
        assert!(done && said.contains("equal to the live one"), "{said}");
        assert!(said.contains(&format!("note-{poisoned}")), "{said}");
    }
    ready(&app, "note", 1).await;
    let path = format!("/v1/notes/{}", id(&purged));
    alice.get(&path).await.expect(200);
    // The next runner retries the event.
    let app = app.restart(&[]).await;
    ready(&app, "note", 1).await;
    let (_, said) = projections(&app, &["list"]).await;
    assert!(!said.contains("retried 0"), "{said}");
}

#[tokio::test]
async fn a_table_that_is_not_there_is_no_fault_of_an_event() {
    let app = OwnApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let rename = async |from: &str, to: &str| {
        let rename = format!("alter table read.{from} rename to {to}");
        app.sql().await.batch_execute(&rename).await.unwrap();
    };
    alice.note(workspace_id, "Tea", "").await;
    app.settle().await;
    rename("notes", "notes_elsewhere").await;
    let note = alice.note(workspace_id, "Water", "").await;
    let request = || app.operator.request(Method::GET, "/health/ready");
    let not_ready = eventually(async || {
        let ready = app.operator.send(request()).await;
        let named = json!("projection note: stopped; the server's log says why");
        let reasons = ready.body["not_ready"].as_array()?;
        reasons.contains(&named).then_some(ready)
    })
    .await;
    not_ready.expect(503);
    rename("notes_elsewhere", "notes").await;
    let ready = eventually(async || {
        let ready = app.operator.send(request()).await;
        (ready.status == 200).then_some(ready.body)
    })
    .await;
    assert_eq!(ready["status"], "ready", "nothing is in quarantine");
    let path = format!("/v1/notes/{}", id(&note));
    alice.get(&path).await.expect(200);
}
