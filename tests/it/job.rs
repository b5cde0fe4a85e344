//! Jobs: waiting ones, dead letters, and redriving.

use chrono::{SecondsFormat, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{OwnApp, TestApp, command, eventually, id, items};
use crate::receiver::{Endpoint, MUCH_LATER, Receiver, status};

/// Runs a subcommand, which must succeed; returns its output.
async fn daybook(app: &OwnApp, arguments: &[&str]) -> String {
    let output = command(&app.database_url, &[])
        .args(arguments)
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Creates a dead letter: a delivery to an endpoint whose event is not in the log; returns the job's id.
async fn give_up(app: &OwnApp, endpoint: &Endpoint) -> Uuid {
    const SCHEDULE: &str = "
        insert into log.jobs (id, kind, partition, product_id, payload, run_at)
        values ($1, 'webhook.deliver', $2, $3, $4::text::json, now())";
    let item = Uuid::now_v7();
    let payload = json!({"webhook_id": endpoint.id, "delivery_id": item, "event_id": Uuid::nil()});
    let database = app.sql().await;
    database
        .execute(
            SCHEDULE,
            &[
                &item,
                &endpoint.id.to_string(),
                &app.product_id,
                &payload.to_string(),
            ],
        )
        .await
        .unwrap();
    eventually(async || {
        dead_letter(app)
            .await
            .into_iter()
            .find(|given_up| id(given_up) == item)
    })
    .await;
    item
}

async fn dead_letter(app: &OwnApp) -> Vec<Value> {
    items(
        app.operator
            .get("/v1/jobs?dead_letter=true")
            .await
            .expect(200),
    )
}

/// Changes the delivery to an event that exists.
async fn mend(app: &OwnApp, item: Uuid) {
    const MEND: &str = "
        update log.jobs set payload = (payload::jsonb || jsonb_build_object('event_id', $2::text))::json
        where id = $1";
    let event = &app.alice.events("").await[0]["event_id"];
    let event = event.as_str().unwrap().to_owned();
    app.sql()
        .await
        .execute(MEND, &[&item, &event])
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_due_later_is_listed_with_its_time() {
    let app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let agent = app.actor("agent", &["*"]).await;
    app.alice.admit(workspace_id, &agent, "agent").await;
    let expires_at = (Utc::now() + TimeDelta::hours(1)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let proposal = agent
        .post(
            "/v1/proposals",
            json!({
                "workspace_id": workspace_id,
                "actions": [{"type": "note.create", "title": "Tea", "body": ""}],
                "rationale": "It is missing.",
                "expires_at": expires_at,
            }),
        )
        .await
        .expect(201);
    app.settle().await;
    let mut waiting = items(app.operator.get("/v1/jobs").await.expect(200));
    waiting.retain(|item| item["kind"] != "file.sweep");
    let [item] = waiting.as_slice() else {
        panic!("{waiting:?}");
    };
    assert_eq!(
        (&item["kind"], &item["dead_letter"]),
        (&json!("proposal.expire"), &json!(false))
    );
    assert_eq!(item["run_at"], expires_at);
    assert_eq!(item["payload"]["id"], proposal["id"]);
    assert!(dead_letter(&app).await.is_empty());
    let printed = daybook(&app, &["jobs", "list"]).await;
    let printed: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|item: &Value| item["kind"] != "file.sweep")
        .collect();
    assert_eq!(printed, std::slice::from_ref(item));
    assert_eq!(daybook(&app, &["jobs", "list", "--dead-letter"]).await, "");
}

#[tokio::test]
async fn what_was_given_up_is_listed_with_its_reason_and_runs_again_once_its_cause_is_mended() {
    let app = OwnApp::start().await;
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["note.created"]).await;
    let item = give_up(&app, &endpoint).await;
    assert_eq!(
        dead_letter(&app).await[0]["last_error"],
        "its event is not in the log"
    );

    let redrive = format!("/v1/jobs/{item}/redrive");
    mend(&app, item).await;
    app.operator.post_empty(&redrive).await.expect(204);
    let arrived = receiver.wait_for(1).await;
    assert!(arrived[0].verifies_with(&endpoint.secret));
    app.settle().await;
    assert!(dead_letter(&app).await.is_empty());
    app.operator
        .post_empty(&redrive)
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn the_command_line_lists_and_redrives_beside_the_running_server() {
    let app = OwnApp::start().await;
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["note.created"]).await;
    let given_up = [
        give_up(&app, &endpoint).await,
        give_up(&app, &endpoint).await,
        give_up(&app, &endpoint).await,
    ];
    let printed = daybook(&app, &["jobs", "list", "--dead-letter"]).await;
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, dead_letter(&app).await);
    assert_eq!(lines.len(), 3);

    for item in given_up {
        mend(&app, item).await;
    }
    let one = given_up[0].to_string();
    assert_eq!(
        daybook(&app, &["jobs", "redrive", &one]).await,
        "1 job(s) are due again\n"
    );
    receiver.wait_for(1).await;
    assert_eq!(
        daybook(&app, &["jobs", "redrive"]).await,
        "2 job(s) are due again\n"
    );
    receiver.wait_for(3).await;
    assert_eq!(
        daybook(&app, &["jobs", "redrive"]).await,
        "0 job(s) are due again\n"
    );
}

#[tokio::test]
async fn jobs_are_the_operators_alone() {
    let app = TestApp::start().await;
    let redrive = format!("/v1/jobs/{}/redrive", Uuid::now_v7());
    for (method, path) in [(Method::GET, "/v1/jobs"), (Method::POST, &redrive)] {
        let answer = app.alice.send(app.alice.request(method, path)).await;
        answer.expect_problem(403, "operator_only");
    }
}

#[tokio::test]
async fn a_job_that_becomes_a_dead_letter_just_as_its_partition_is_freed_runs_after_all() {
    let app = OwnApp::start_with(&[MUCH_LATER]).await;
    let receiver = Receiver::start().await;
    receiver.reply([status(500)]);
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    endpoint.delivery(&app.alice, "retrying").await;
    app.settle().await;
    app.alice
        .post_empty(&format!("{}/disable", endpoint.path))
        .await
        .expect(200);

    // Blocks the worker that finds the endpoint disabled before it writes the result; no other worker writes.
    let gate = app.sql().await;
    gate.batch_execute(
        "delete from log.jobs where kind = 'file.sweep';
         select pg_advisory_lock(1);
         create function log.hold() returns trigger language plpgsql as $$
         begin
             if current_query() like '%last_error =%' then
                 perform pg_advisory_xact_lock_shared(1);
             end if;
             return null;
         end $$;
         create trigger hold before update on log.jobs for each statement execute function log.hold()",
    )
    .await
    .unwrap();
    app.bring_forward().await;
    eventually(async || {
        const WAITING: &str =
            "select from pg_locks where locktype = 'advisory' and objid = 1 and not granted";
        gate.query_opt(WAITING, &[]).await.unwrap()
    })
    .await;
    app.alice
        .post_empty(&format!("{}/enable", endpoint.path))
        .await
        .expect(200);
    eventually(async || {
        let request = app.operator.request(Method::GET, "/health/ready");
        let ready = app.operator.send(request).await.body;
        let requests = ready["consumers"]
            .as_array()?
            .iter()
            .find(|one| one["name"] == "webhook_requests")?;
        (requests["position"] == ready["position"]).then_some(())
    })
    .await;
    gate.batch_execute("select pg_advisory_unlock(1)")
        .await
        .unwrap();
    assert_eq!(receiver.wait_for(2).await.len(), 2);
}
