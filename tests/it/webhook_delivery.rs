//! Deliveries: how they look on the wire, what is recorded of them, and how they survive receivers, limits and crashes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::HeaderValue;
use chrono::{TimeDelta, Utc};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uuid::Uuid;

use crate::harness::{Client, TestApp, eventually, id, items, time};
use crate::receiver::{Arrived, Crooked, Endpoint, Receiver, Reply};

/// Retries at once, and at once again.
const AT_ONCE: (&str, &str) = ("DAYBOOK_WEBHOOKS_SCHEDULE", "0s,0s");
/// The first attempt is the last within any test.
const MUCH_LATER: (&str, &str) = ("DAYBOOK_WEBHOOKS_SCHEDULE", "1h");

fn status(status: u16) -> Reply {
    (status, vec![], String::new())
}

/// Types of the events about an endpoint, in order.
async fn story(client: &Client, endpoint: &Endpoint) -> Vec<String> {
    let events = client
        .events(&format!("stream=webhook-{}", endpoint.id))
        .await;
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect()
}

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
    let app = TestApp::start_with(&[("DAYBOOK_WEBHOOKS_SCHEDULE", "1s,2s")]).await;
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
    // As the schedule says, give or take a fifth.
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
    let story = story(&app.alice, &endpoint).await;
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
        // Between the decision and the record of it some time passes.
        let least = TimeDelta::seconds(wait) * 4 / 5 - TimeDelta::seconds(4);
        assert!(
            waited >= least && waited <= TimeDelta::seconds(wait) * 6 / 5,
            "{waited} for {wait} s"
        );
    }
    assert_eq!(attempts[waits.len()]["data"].get("next_attempt_at"), None);
}

#[tokio::test]
async fn an_endpoint_that_answers_again_has_recovered() {
    let app = TestApp::start_with(&[AT_ONCE]).await;
    let receiver = Receiver::start().await;
    receiver.reply([status(500), status(502)]);
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    let delivery = endpoint.delivery(&app.alice, "succeeded").await;
    assert_eq!(
        (&delivery["attempts"], &delivery["last_status"]),
        (&json!(3), &json!(200))
    );
    let told = story(&app.alice, &endpoint).await;
    assert_eq!(
        told,
        [
            "webhook.created",
            "webhook.endpoint_failing",
            "webhook.endpoint_recovered"
        ]
    );
    assert_eq!(
        app.alice.get(&endpoint.path).await.expect(200)["failing_since"],
        Value::Null
    );
}

#[tokio::test]
async fn ten_exhausted_deliveries_in_a_row_disable_the_endpoint_and_none_of_their_attempts_is_lost()
{
    let app = TestApp::start_with(&[AT_ONCE]).await;
    let receiver = Receiver::start().await;
    receiver.reply((0..1_000).map(|_| status(500)));
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["note.created"]).await;
    let workspace_id = app.alice.workspace().await;
    join_all((0..9).map(|_| app.alice.note(workspace_id, "Tea", ""))).await;
    app.settle().await;
    let failing = app.alice.get(&endpoint.path).await.expect(200);
    assert_eq!(failing["status"], "enabled");
    assert!(failing["failing_since"].is_string());

    // Many at a time: each one changes the endpoint that all of them are about.
    join_all((0..40).map(|_| app.alice.note(workspace_id, "Tea", ""))).await;
    app.settle().await;
    let disabled = app.alice.get(&endpoint.path).await.expect(200);
    assert_eq!(
        (&disabled["status"], &disabled["disabled_reason"]),
        (&json!("disabled"), &json!("exhausted"))
    );
    let told = story(&app.alice, &endpoint).await;
    let count = |name: &str| told.iter().filter(|told| *told == name).count();
    assert_eq!(count("webhook.endpoint_failing"), 1);
    assert_eq!(count("webhook.endpoint_disabled"), 1);
    assert!(count("webhook.delivery_exhausted") >= 10);
    assert_eq!(
        endpoint.attempts(&app.alice).await.len(),
        receiver.arrived().len()
    );
}

#[tokio::test]
async fn five_days_of_nothing_but_failure_disable_an_endpoint() {
    let app = TestApp::start_with(&[MUCH_LATER]).await;
    let receiver = Receiver::start().await;
    receiver.reply([status(500)]);
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    let since = json!({"since": Utc::now() - TimeDelta::days(5)});
    app.smuggle(
        ("webhook", endpoint.id),
        2,
        "webhook.endpoint_failing",
        &since,
    )
    .await;
    app.alice.workspace().await;
    let disabled = eventually(async || {
        let endpoint = app.alice.get(&endpoint.path).await.expect(200);
        (endpoint["status"] == "disabled").then_some(endpoint)
    })
    .await;
    assert_eq!(disabled["disabled_reason"], "failing");
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_at_once() {
    let app = TestApp::start_with(&[AT_ONCE]).await;
    let receiver = Receiver::start().await;
    receiver.reply([status(410)]);
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    endpoint.delivery(&app.alice, "exhausted").await;
    app.settle().await;
    assert_eq!(receiver.arrived().len(), 1);
    let disabled = app.alice.get(&endpoint.path).await.expect(200);
    assert_eq!(
        (&disabled["status"], &disabled["disabled_reason"]),
        (&json!("disabled"), &json!("gone"))
    );
    let events = app.alice.events("type=webhook.endpoint_disabled").await;
    assert_eq!(events[0]["data"]["reason"], "gone");
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let app = TestApp::start_with(&[AT_ONCE]).await;
    let (receiver, target) = (Receiver::start().await, Receiver::start().await);
    let redirect = |status| {
        (
            status,
            vec![("location", target.url.clone())],
            String::new(),
        )
    };
    receiver.reply([301, 302, 307].map(redirect));
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    let delivery = endpoint.delivery(&app.alice, "exhausted").await;
    assert_eq!(
        (&delivery["attempts"], &delivery["last_status"]),
        (&json!(3), &json!(307))
    );
    assert!(target.arrived().is_empty());
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let app = TestApp::start_with(&[AT_ONCE]).await;
    let receiver = Receiver::start().await;
    let later = |seconds: &str| {
        (
            503,
            vec![("retry-after", seconds.to_owned())],
            String::new(),
        )
    };
    receiver.reply([later("1"), later("3600")]);
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    let arrived = receiver.wait_for(2).await;
    assert!(arrived[1].at - arrived[0].at >= TimeDelta::seconds(1));
    let attempts = eventually(async || {
        Some(endpoint.attempts(&app.alice).await).filter(|attempts| attempts.len() == 2)
    })
    .await;
    let next = time(&attempts[1]["data"]["next_attempt_at"]);
    assert!(next >= arrived[1].at + TimeDelta::hours(1));
    assert!(next <= time(&attempts[1]["recorded_at"]) + TimeDelta::hours(1));
    app.settle().await;
    assert_eq!(receiver.arrived().len(), 2);
}

#[tokio::test]
async fn receivers_that_do_not_answer_properly_fail_with_a_reason() {
    let app = TestApp::start_with(&[MUCH_LATER, ("DAYBOOK_WEBHOOKS_TIMEOUT", "1")]).await;
    let silent = Crooked::silent().await;
    let hanging_up = Crooked::start(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
    })
    .await;
    let babbling = Crooked::start(|mut stream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"220 mail.example.com ESMTP\r\n").await;
    })
    .await;
    let unresolved = "http://nowhere.invalid/hook";
    let refusing = "http://127.0.0.1:1/hook";
    let expected = [
        (silent.url.as_str(), "no answer in time"),
        (
            &hanging_up.url,
            "connection closed before message completed",
        ),
        (&babbling.url, "invalid HTTP version"),
        (unresolved, "dns error"),
        (refusing, "Connection refused"),
    ];
    let endpoints =
        expected.map(|(url, _)| Endpoint::create(&app.alice, url, &["workspace.created"]));
    let endpoints = join_all(endpoints).await;
    app.alice.workspace().await;
    for (endpoint, (url, reason)) in endpoints.iter().zip(expected) {
        let delivery = endpoint.delivery(&app.alice, "retrying").await;
        assert_eq!(delivery["last_status"], Value::Null);
        let error = delivery["last_error"].as_str().unwrap();
        assert!(error.contains(reason), "{url}: {error}");
    }
    let delivery = endpoints[0].delivery(&app.alice, "retrying").await;
    assert!(delivery["duration_ms"].as_u64().unwrap() >= 1_000);
}

#[tokio::test]
async fn of_an_answer_without_end_the_first_kilobyte_is_kept_and_the_rest_not_read() {
    let app = TestApp::start().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let endless = Crooked::start(move |mut stream| {
        let sent = Arc::clone(&counter);
        async move {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
                .await;
            while stream.write_all(&[b'x'; 65_536]).await.is_ok() {
                sent.fetch_add(65_536, Ordering::Relaxed);
            }
        }
    })
    .await;
    let endpoint = Endpoint::create(&app.alice, &endless.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    let delivery = endpoint.delivery(&app.alice, "succeeded").await;
    assert_eq!(delivery["last_response"], "x".repeat(1024));
    let attempt = &endpoint.attempts(&app.alice).await[0];
    assert_eq!(attempt["data"]["response"], "x".repeat(1024));
    // What the sockets took in, no more.
    assert!(sent.load(Ordering::Relaxed) < 100_000_000);
}

#[tokio::test]
async fn an_answer_that_is_no_text_is_kept_as_far_as_it_is_one() {
    let app = TestApp::start().await;
    let binary = Crooked::start(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\na\0b\xff\"\\")
            .await;
    })
    .await;
    let endpoint = Endpoint::create(&app.alice, &binary.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    let delivery = endpoint.delivery(&app.alice, "succeeded").await;
    assert_eq!(delivery["last_response"], "a\u{fffd}b\u{fffd}\"\\");
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let app = TestApp::start_with(&[MUCH_LATER, ("DAYBOOK_WEBHOOKS_ALLOW_PRIVATE", "false")]).await;
    let receiver = Receiver::start().await;
    let port = receiver.url.rsplit(':').next().unwrap();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ];
    for host in hosts {
        let endpoint = Endpoint::create(
            &app.alice,
            &format!("http://{host}:{port}"),
            &["workspace.created"],
        )
        .await;
        app.alice.workspace().await;
        let delivery = endpoint.delivery(&app.alice, "retrying").await;
        let error = delivery["last_error"].as_str().unwrap();
        assert!(error.contains("is not a public address"), "{host}: {error}");
        app.alice.delete(&endpoint.path).await.expect(204);
    }
    assert!(receiver.arrived().is_empty());
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
    let page = app
        .alice
        .get(data["reference"].as_str().unwrap())
        .await
        .expect(200);
    assert_eq!(items(page), [events[1].clone()]);
}

#[tokio::test]
async fn what_is_recorded_of_deliveries_is_never_delivered() {
    let app = TestApp::start_with(&[AT_ONCE]).await;
    let receiver = Receiver::start().await;
    receiver.reply((0..100).map(|_| status(500)));
    let endpoint = Endpoint::create(
        &app.alice,
        &receiver.url,
        &["*", "webhook.delivery_*", "webhook.*"],
    )
    .await;
    app.alice.workspace().await;
    let exhausted = endpoint.delivery(&app.alice, "exhausted").await;
    app.settle().await;
    receiver.mend();
    app.alice
        .post_empty(&format!("/v1/deliveries/{}/resend", id(&exhausted)))
        .await;
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
async fn endpoints_that_never_answer_slow_no_other() {
    let app = TestApp::start_with(&[MUCH_LATER, ("DAYBOOK_WEBHOOKS_TIMEOUT", "30")]).await;
    let dead = Crooked::silent().await;
    let mut endpoints = vec![];
    for _ in 0..12 {
        endpoints.push(Endpoint::create(&app.alice, &dead.url, &["note.created"]).await);
    }
    let alive = Receiver::start().await;
    Endpoint::create(&app.alice, &alive.url, &["note.created"]).await;
    let workspace_id = app.alice.workspace().await;
    join_all((0..40).map(|_| app.alice.note(workspace_id, "Tea", ""))).await;
    alive.wait_for(40).await;
    assert!(dead.connections() > 0);
    // Not one of them has been given up: nothing waited for that.
    for endpoint in endpoints {
        assert!(endpoint.deliveries(&app.alice).await.is_empty());
    }
}

#[tokio::test]
async fn a_rate_limit_spaces_deliveries() {
    const RATE: i32 = 10;
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    let body = json!({"url": receiver.url, "events": ["note.created"], "rate_limit": RATE});
    let endpoint = Endpoint::create_with(&app.alice, body).await;
    let workspace_id = app.alice.workspace().await;
    let begin = Utc::now();
    join_all((0..=RATE).map(|_| app.alice.note(workspace_id, "Tea", ""))).await;
    receiver.wait_for(11).await;
    app.settle().await;
    let arrived = receiver.arrived();
    assert_eq!(arrived.len(), 11);
    assert_eq!(endpoint.attempts(&app.alice).await.len(), 11);
    for (count, one) in (0..).zip(&arrived) {
        assert!(
            one.at - begin >= TimeDelta::seconds(1) * count / RATE,
            "{count} after {}",
            one.at - begin
        );
    }
}

#[tokio::test]
async fn a_delivery_that_has_ended_is_sent_again_on_request() {
    let app = TestApp::start_with(&[MUCH_LATER]).await;
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    let delivery = endpoint.delivery(&app.alice, "succeeded").await;
    let path = format!("/v1/deliveries/{}", id(&delivery));
    assert_eq!(app.alice.get(&path).await.expect(200), delivery);

    receiver.reply([status(500)]);
    let answer = app.alice.post_empty(&format!("{path}/resend")).await;
    assert!((200..300).contains(&answer.status), "{:#}", answer.body);
    let arrived = receiver.wait_for(2).await;
    assert_eq!(
        arrived[0].header("webhook-id"),
        arrived[1].header("webhook-id")
    );
    assert!(arrived[1].verifies_with(&endpoint.secret));
    let again = eventually(async || {
        let delivery = app.alice.get(&path).await.expect(200);
        (delivery["attempts"] == 2).then_some(delivery)
    })
    .await;
    assert_eq!(again["last_status"], 500);

    let unknown = format!("/v1/deliveries/{}/resend", Uuid::now_v7());
    app.alice
        .post_empty(&unknown)
        .await
        .expect_problem(404, "delivery_not_found");
}

#[tokio::test]
async fn a_delivery_that_is_being_retried_is_not_sent_again_on_request() {
    let app = TestApp::start_with(&[MUCH_LATER]).await;
    let receiver = Receiver::start().await;
    receiver.reply([status(500)]);
    let endpoint = Endpoint::create(&app.alice, &receiver.url, &["workspace.created"]).await;
    app.alice.workspace().await;
    let delivery = endpoint.delivery(&app.alice, "retrying").await;
    let resend = format!("/v1/deliveries/{}/resend", id(&delivery));
    app.alice
        .post_empty(&resend)
        .await
        .expect_problem(409, "delivery_pending");
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
    let mut walked = vec![];
    let mut cursor = String::new();
    loop {
        let path = format!("{}/deliveries?limit=3{cursor}", endpoint.path);
        let page = app.alice.get(&path).await.expect(200);
        let next = page["next_cursor"].as_str().map(str::to_owned);
        walked.extend(items(page));
        let Some(next) = next else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(walked, expected);
    let unknown = app
        .alice
        .get(&format!("{}/deliveries?status=lost", endpoint.path))
        .await;
    unknown.expect_problem(400, "validation_failed");
}

#[tokio::test]
async fn no_delivery_is_lost_when_the_server_is_killed_while_deliveries_are_under_way() {
    const PACE: (&str, &str) = ("DAYBOOK_WEBHOOKS_SCHEDULE", "0s,0s,0s,0s");
    let mut app = TestApp::start_with(&[PACE]).await;
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
                        // The answer may break off; then it was none.
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
    // Nor one that was written but not acknowledged.
    let written = app.alice.events("type=note.created").await;
    assert!(written.len() < 1000);
    let written: BTreeSet<&str> = written
        .iter()
        .map(|event| event["event_id"].as_str().unwrap())
        .collect();
    let ids: BTreeSet<&str> = arrived.iter().map(Arrived::event_id).collect();
    assert_eq!(written, ids);
}
