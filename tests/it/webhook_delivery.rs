//! Deliveries: their format, their records, and that none is lost.

use std::collections::BTreeSet;

use axum::http::HeaderValue;
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{OwnApp, Server, TestApp, eventually, id, items, serve, time};
use crate::receiver::{
    AT_ONCE, Arrived, Endpoint, MUCH_LATER, Receiver, arrived_ids, event_ids, status,
};

#[tokio::test]
async fn a_delivery_is_the_events_envelope_signed_as_standard_webhooks_says() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["note.created"]).await;
    let other = Endpoint::create(&app.alice, &receiver.url, &["note.purged"]).await;
    app.alice
        .note(app.alice.workspace().await, "Tea — 茶", "Steep it.")
        .await;
    let arrived = receiver.wait_for(1).await[0].clone();
    let event = &app.alice.events("type=note.created").await[0];

    assert_eq!(
        arrived.body,
        json!({"type": "note.created", "timestamp": event["recorded_at"], "data": event})
    );
    assert_eq!(arrived.header("content-type"), "application/json");
    assert!(
        arrived
            .header("user-agent")
            .starts_with("Daybook-Webhooks/")
    );
    assert!(arrived.header("webhook-id").starts_with("msg_"));
    assert!(arrived.header("webhook-signature").starts_with("v1,"));
    assert!(arrived.verifies_with(&endpoint.secret));

    assert!(!arrived.verifies_with(&other.secret));
    let changed = |change: &dyn Fn(&mut Arrived)| {
        let mut arrived = arrived.clone();
        change(&mut arrived);
        arrived.verifies_with(&endpoint.secret)
    };
    assert!(!changed(&|it| it.raw.push(' ')));
    assert!(!changed(&|it| drop(
        it.headers
            .insert("webhook-id", HeaderValue::from_static("msg_other"))
    )));
    let earlier = (arrived.header("webhook-timestamp").parse::<i64>().unwrap() - 1).to_string();
    assert!(!changed(&|it| drop(
        it.headers
            .insert("webhook-timestamp", earlier.parse().unwrap())
    )));
}

#[tokio::test]
async fn every_attempt_is_an_event_and_the_last_one_exhausts_the_delivery() {
    let app = OwnApp::start_with(&[("DAYBOOK_WEBHOOKS_SCHEDULE", "1s,2s")]).await;
    let receiver = Receiver::start().await;
    let answers = [500, 404, 503];
    receiver.reply(answers.map(|status| (status, vec![], format!("answer {status}"))));
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    let delivery = endpoint.delivery(&app.alice, "exhausted").await;
    let arrived = receiver.arrived();
    let event = &app.alice.events("type=workspace.created").await[0];

    // One message, sent three times: the same id, the time of the attempt, a signature over both.
    assert_eq!(arrived.len(), 3);
    assert!(
        arrived
            .iter()
            .all(|one| one.verifies_with(&endpoint.secret))
    );
    let ids: BTreeSet<&str> = arrived.iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!(ids.len(), 1);
    let bodies: BTreeSet<&str> = arrived.iter().map(|one| one.raw.as_str()).collect();
    assert_eq!(bodies.len(), 1);
    let sent: BTreeSet<&str> = arrived
        .iter()
        .map(|one| one.header("webhook-timestamp"))
        .collect();
    assert!(sent.len() >= 2, "{sent:?}");

    let attempts = endpoint.attempts(&app.alice).await;
    assert_eq!(attempts.len(), 3);
    for ((number, attempt), answer) in (1..).zip(&attempts).zip(answers) {
        let data = &attempt["data"];
        assert_eq!(
            (&data["attempt"], &data["status"]),
            (&json!(number), &json!(answer))
        );
        assert_eq!(
            (&data["succeeded"], &data["response"]),
            (&json!(false), &json!(format!("answer {answer}")))
        );
        assert!(data["duration_ms"].is_u64());
        assert_eq!(
            (&data["event_id"], &data["event_type"]),
            (&event["event_id"], &event["type"])
        );
        assert_eq!(attempt["metadata"]["causation_id"], event["event_id"]);
        assert_eq!(
            attempt["metadata"]["correlation_id"],
            event["metadata"]["correlation_id"]
        );
        assert_eq!(
            attempt["stream"],
            format!("webhook_delivery-{}", id(&delivery))
        );
    }
    // The times follow the schedule, within a fifth.
    for (attempt, seconds) in attempts.iter().zip([1, 2]) {
        let wait = time(&attempt["data"]["next_attempt_at"]) - time(&attempt["recorded_at"]);
        assert!(wait <= TimeDelta::seconds(seconds) * 6 / 5, "{wait}");
    }
    for (arrived, attempt) in arrived.iter().skip(1).zip(&attempts) {
        assert!(arrived.at >= time(&attempt["data"]["next_attempt_at"]));
    }
    assert_eq!(attempts[2]["data"].get("next_attempt_at"), None);

    assert_eq!(
        (&delivery["attempts"], &delivery["last_status"]),
        (&json!(3), &json!(503))
    );
    assert_eq!(
        (&delivery["last_response"], &delivery["next_attempt_at"]),
        (&json!("answer 503"), &Value::Null)
    );
    let story = endpoint.story(&app.alice).await;
    assert_eq!(
        story,
        [
            "webhook.created",
            "webhook.endpoint_failing",
            "webhook.delivery_exhausted"
        ]
    );
}

#[tokio::test]
async fn the_standard_schedule_is_nine_retries_over_three_days() {
    const MINUTES: i64 = 60;
    const HOURS: i64 = 60 * MINUTES;
    let waits = [
        5,
        5 * MINUTES,
        30 * MINUTES,
        2 * HOURS,
        5 * HOURS,
        10 * HOURS,
        14 * HOURS,
        20 * HOURS,
        24 * HOURS,
    ];
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    receiver.reply((0..=waits.len()).map(|_| status(500)));
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    eventually(async || {
        app.bring_forward().await;
        endpoint
            .deliveries(&app.alice)
            .await
            .into_iter()
            .find(|one| one["status"] == "exhausted")
    })
    .await;
    let attempts = endpoint.attempts(&app.alice).await;
    assert_eq!(attempts.len(), waits.len() + 1);
    for (attempt, wait) in attempts.iter().zip(waits) {
        let waited = time(&attempt["data"]["next_attempt_at"]) - time(&attempt["recorded_at"]);
        // Some time passes between the decision and its record.
        let least = TimeDelta::seconds(wait) * 4 / 5 - TimeDelta::seconds(4);
        assert!(
            waited >= least && waited <= TimeDelta::seconds(wait) * 6 / 5,
            "{waited} for {wait} s"
        );
    }
    assert_eq!(attempts[waits.len()]["data"].get("next_attempt_at"), None);
}

#[tokio::test]
async fn a_large_event_arrives_as_a_reference_that_leads_to_it() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["note.created"]).await;
    let workspace_id = app.alice.workspace().await;
    for (count, length) in [(1, 10_000), (2, 100_000)] {
        app.alice
            .note(workspace_id, "Long", &"é".repeat(length / 2))
            .await;
        receiver.wait_for(count).await;
    }
    let arrived = receiver.arrived();
    let events = app.alice.events("type=note.created").await;
    assert_eq!(arrived[0].body["data"], events[0]);

    let large = &arrived[1];
    assert!(large.raw.len() < 20_000);
    assert!(large.verifies_with(&endpoint.secret));
    assert_eq!(large.event_type(), "note.created");
    let data = &large.body["data"];
    for field in [
        "position",
        "event_id",
        "type",
        "product_id",
        "stream",
        "version",
        "recorded_at",
    ] {
        assert_eq!(data[field], events[1][field], "{field}");
    }
    assert_eq!(data.get("data"), None);
    let event = app
        .alice
        .get(data["reference"].as_str().unwrap())
        .await
        .expect(200);
    assert_eq!(event, events[1]);
}

#[tokio::test]
async fn what_is_recorded_of_deliveries_is_never_delivered() {
    let app = TestApp::start_with(&[AT_ONCE]).await;
    let receiver = Receiver::start().await;
    receiver.reply((0..100).map(|_| status(500)));
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["*", "webhook.*"]).await;
    app.alice.workspace().await;
    app.settle().await;
    let deliveries = endpoint.deliveries(&app.alice).await;
    let exhausted = deliveries
        .iter()
        .find(|delivery| delivery["event_type"] == "workspace.created")
        .unwrap();
    assert_eq!(exhausted["status"], "exhausted");
    receiver.mend();
    app.alice
        .post_empty(&format!("/v1/deliveries/{}/resend", id(exhausted)))
        .await
        .expect(202);
    app.settle().await;
    let recorded = app.alice.events("type=webhook.delivery_*").await;
    let recorded: BTreeSet<&str> = recorded
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        recorded,
        BTreeSet::from([
            "webhook.delivery_attempted",
            "webhook.delivery_exhausted",
            "webhook.delivery_resend_requested"
        ])
    );
    let arrived = receiver.arrived();
    let types: BTreeSet<&str> = arrived.iter().map(Arrived::event_type).collect();
    assert!(
        types.contains("webhook.endpoint_failing") && types.contains("webhook.endpoint_recovered")
    );
    assert!(
        !types
            .iter()
            .any(|name| name.starts_with("webhook.delivery_")),
        "{types:?}"
    );
}

#[tokio::test]
async fn an_endpoint_that_refuses_the_news_of_its_health_makes_no_more_of_it() {
    let app = TestApp::start_with(&[AT_ONCE]).await;
    let receiver = Receiver::start().await;
    receiver.refuse("workspace.renamed");
    receiver.refuse("webhook.endpoint_recovered");
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["*"]).await;
    let workspace_id = app.alice.workspace().await;
    app.settle().await;
    let path = format!("/v1/workspaces/{workspace_id}");
    for name in ["Refused", "Refused as well"] {
        app.alice
            .patch(&path, json!({"name": name}))
            .await
            .expect(200);
        app.settle().await;
        app.alice.workspace().await;
        app.settle().await;
    }
    assert_eq!(
        endpoint.story(&app.alice).await,
        [
            "webhook.created",
            "webhook.endpoint_failing",
            "webhook.delivery_exhausted",
            "webhook.endpoint_recovered",
            "webhook.endpoint_failing",
            "webhook.delivery_exhausted",
            "webhook.endpoint_recovered"
        ]
    );
}

#[tokio::test]
async fn the_log_lines_tell_which_endpoint_stopped_working() {
    let database_url = store::testing::url(&store::testing::database().await);
    let path = store::testing::directory().join("health-news");
    let mut command = serve(&database_url, &[AT_ONCE, ("DAYBOOK_LOG", "info")]);
    command.stderr(std::fs::File::create(&path).unwrap());
    let server = Server::launch(&mut command).await;
    let app = OwnApp::on(server, database_url).await;
    let receiver = Receiver::start().await;
    receiver.reply([status(500), status(200), status(410)]);
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    receiver.wait_for(2).await;
    app.alice.workspace().await;
    let lines = eventually(async || {
        let log = std::fs::read_to_string(&path).unwrap();
        let of_it = log
            .lines()
            .filter(|line| line.contains(&endpoint.id.to_string()));
        let lines: Vec<String> = of_it.map(str::to_owned).collect();
        (lines.len() >= 4).then_some(lines)
    })
    .await;
    for (line, (level, news)) in lines.iter().zip([
        ("WARN", "webhook.endpoint_failing"),
        ("INFO", "webhook.endpoint_recovered"),
        ("WARN", "webhook.endpoint_failing"),
        ("WARN", "webhook.endpoint_disabled"),
    ]) {
        assert!(line.contains(level) && line.contains(news), "{lines:#?}");
    }
}

#[tokio::test]
async fn deliveries_are_listed_by_status_and_page_by_page() {
    let app = TestApp::start_with(&[MUCH_LATER]).await;
    let receiver = Receiver::start().await;
    receiver.reply([status(500), status(410)]);
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    let mut expected = vec![];
    for status in ["retrying", "exhausted", "succeeded", "succeeded"] {
        app.alice
            .post_empty(&format!("{}/enable", endpoint.path))
            .await
            .expect(200);
        app.alice.workspace().await;
        let of_status = format!("{}/deliveries?status={status}", endpoint.path);
        let newest = eventually(async || {
            let found = items(app.alice.get(&of_status).await.expect(200));
            found
                .into_iter()
                .next()
                .filter(|one| !expected.contains(one))
        })
        .await;
        expected.insert(0, newest);
    }
    assert_eq!(endpoint.deliveries(&app.alice).await, expected);
    let pages = app
        .alice
        .pages(&format!("{}/deliveries?limit=3", endpoint.path))
        .await;
    assert_eq!(pages, [&expected[..3], &expected[3..]]);
    let unknown = app
        .alice
        .get(&format!("{}/deliveries?status=lost", endpoint.path))
        .await;
    unknown.expect_problem(400, "malformed_query");
}

#[tokio::test]
async fn no_delivery_is_lost_when_the_server_is_killed_while_deliveries_are_under_way() {
    const PACE: (&str, &str) = ("DAYBOOK_WEBHOOKS_SCHEDULE", "0s,0s,0s,0s");
    let mut app = OwnApp::start_with(&[PACE]).await;
    let receiver = Receiver::start().await;
    Endpoint::create(&app.alice, &receiver.url, &["note.created"]).await;
    let workspace_id = app.alice.workspace().await;
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    for round in 0..4 {
        // Some fail, so that some are between two attempts when the server dies.
        receiver.reply((0..30).map(|n| status(if n % 3 == 0 { 500 } else { 200 })));
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let alice = app.alice.clone();
                tokio::spawn(async move {
                    let mut written = vec![];
                    let body = json!({"workspace_id": workspace_id, "title": "Tea"});
                    while let Ok(answer) = alice
                        .request(Method::POST, "/v1/notes")
                        .json(&body)
                        .send()
                        .await
                    {
                        // An incomplete response does not count.
                        let Ok(note) = answer.json::<Value>().await else {
                            break;
                        };
                        written.push(format!("note-{}", id(&note)));
                    }
                    written
                })
            })
            .collect();
        let so_far = receiver.arrived().len();
        receiver.wait_for(so_far + 10 + round).await;
        app = app.restart(&[PACE]).await;
        app.lapse_leases().await;
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
    }
    assert!(!acknowledged.is_empty());
    app.settle().await;
    let arrived = receiver.arrived();
    let streams: BTreeSet<String> = arrived
        .iter()
        .map(|one| one.body["data"]["stream"].as_str().unwrap().to_owned())
        .collect();
    let missing: Vec<&String> = acknowledged.difference(&streams).collect();
    assert!(
        missing.is_empty(),
        "{} of {} never arrived",
        missing.len(),
        acknowledged.len()
    );
    // Nor is a note lost that was written but not acknowledged.
    let written = app.alice.events("type=note.created").await;
    assert!(written.len() < 1000);
    assert_eq!(arrived_ids(&arrived), event_ids(&written));
}
