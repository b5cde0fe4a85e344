//! Health: probes and metrics.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, OwnApp, command, eventually};
use crate::receiver::{Endpoint, MUCH_LATER, Receiver, status};

async fn ask(app: &OwnApp, path: &str) -> Answer {
    app.operator
        .send(app.operator.request(Method::GET, path))
        .await
}

async fn metrics(app: &OwnApp) -> String {
    let answer = ask(app, "/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4");
    answer.body.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_server_that_is_well_says_so_to_anyone() {
    let app = OwnApp::start().await;
    let position = app.alice.note(app.alice.workspace().await, "Tea", "").await["position"].clone();
    app.settle().await;
    let anyone = crate::harness::Client::new(&app.url, "");
    let live = anyone
        .send(anyone.request(Method::GET, "/health/live"))
        .await;
    assert_eq!(live.expect(200), json!({"status": "live"}));
    let ready = anyone
        .send(anyone.request(Method::GET, "/health/ready"))
        .await
        .expect(200);
    assert_eq!(
        (&ready["status"], &ready["not_ready"], &ready["degraded"]),
        (&json!("ready"), &json!([]), &json!([]))
    );
    assert_eq!(ready["position"], position);
    let consumers = ready["consumers"].as_array().unwrap();
    let names: BTreeSet<&str> = consumers
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert!(
        names.is_superset(&BTreeSet::from([
            "note",
            "webhook",
            "webhook_fanout",
            "proposal_deadlines"
        ])),
        "{names:?}"
    );
    assert!(consumers.iter().all(|one| one["position"] == position));

    let asked = command(&app.database_url, &[])
        .args(["health", "--server", &app.url])
        .output()
        .await
        .unwrap();
    assert!(asked.status.success());
    let said: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(said["status"], "ready");
}

#[tokio::test]
async fn the_alert_rules_speak_of_what_is_measured() {
    let app = OwnApp::start_with(&[MUCH_LATER]).await;
    let receiver = Receiver::start().await;
    receiver.reply([status(500)]);
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    endpoint.delivery(&app.alice, "retrying").await;
    app.alice.workspace().await;
    endpoint.delivery(&app.alice, "succeeded").await;
    app.alice
        .post("/v1/workspaces", json!({"name": ""}))
        .await
        .expect(400);

    let rules = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/ops/prometheus/alerts.yml"
    ))
    .unwrap();
    let words = rules.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
    let named: BTreeSet<&str> = words.filter(|word| word.starts_with("daybook_")).collect();
    assert!(named.len() >= 7, "{named:?}");
    let labelled = [
        "daybook_commands_total{command=\"workspace.create\",outcome=\"ok\"}",
        "daybook_commands_total{command=\"workspace.create\",outcome=\"refused\"}",
        "daybook_http_request_seconds_count{method=\"POST\",route=\"/v1/workspaces\",status=\"201\"}",
        "daybook_projection_lag_seconds{projection=\"workspace\"}",
        "daybook_projection_lag_positions{projection=\"webhook_fanout\"}",
        "daybook_webhook_attempts_total{outcome=\"failed\"} 1",
        "daybook_webhook_attempts_total{outcome=\"succeeded\"} 1",
        "daybook_jobs{kind=\"webhook.deliver\",state=\"scheduled\"} 1",
        "daybook_append_batch_events_count",
        "daybook_append_seconds_count",
    ];
    // The number of jobs is measured periodically.
    eventually(async || {
        let metrics = metrics(&app).await;
        let measured = |name: &str| metrics.lines().any(|line| line.starts_with(name));
        let missing = named
            .iter()
            .filter(|name| !measured(&format!("{name}{{")) && !measured(&format!("{name} ")));
        let missing: Vec<_> = missing
            .chain(labelled.iter().filter(|name| !measured(name)))
            .collect();
        if !missing.is_empty() {
            eprintln!("not measured yet: {missing:?}");
        }
        missing.is_empty().then_some(())
    })
    .await;
    let metrics = metrics(&app).await;
    for measured in metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
    {
        let name = measured.split(' ').next().unwrap();
        assert!(metrics.contains(&format!("# HELP {name} ")), "{name}");
    }
}
