//! Real-world receivers: slow, broken, gone, hostile; and the effects on their endpoints.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{TimeDelta, Utc};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{OwnApp, TestApp, eventually, time};
use crate::receiver::{AT_ONCE, Crooked, Endpoint, MUCH_LATER, Receiver, status};

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
    let told = endpoint.story(&app.alice).await;
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

    // Many concurrently: each one changes the same endpoint.
    join_all((0..40).map(|_| app.alice.note(workspace_id, "Tea", ""))).await;
    app.settle().await;
    let disabled = app.alice.get(&endpoint.path).await.expect(200);
    assert_eq!(
        (&disabled["status"], &disabled["disabled_reason"]),
        (&json!("disabled"), &json!("exhausted"))
    );
    let told = endpoint.story(&app.alice).await;
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
    let app = OwnApp::start_with(&[MUCH_LATER, ("DAYBOOK_WEBHOOKS_TIMEOUT", "1")]).await;
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
        (&hanging_up.url, "broke off before there was an answer"),
        (&babbling.url, "broke off before there was an answer"),
        (unresolved, "the host has no public address"),
        (refusing, "no connection"),
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
            // A response before its request would be ignored.
            let _ = stream.read(&mut [0; 4096]).await;
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
    // No more than the sockets buffered.
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
    let app = OwnApp::start_with(&[MUCH_LATER, ("DAYBOOK_WEBHOOKS_ALLOW_PRIVATE", "false")]).await;
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
        // Missing names cannot be told from internal ones.
        "nowhere.invalid",
    ];
    let mut told = BTreeSet::new();
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
        told.insert(error.to_owned());
        app.alice.delete(&endpoint.path).await.expect(204);
    }
    assert!(receiver.arrived().is_empty());
    let told = told.into_iter().collect::<Vec<_>>();
    assert!(
        matches!(told.as_slice(), [one] if one.starts_with("the host has no public address")),
        "{told:?}"
    );
}

#[tokio::test]
async fn endpoints_that_never_answer_slow_no_other() {
    let app = OwnApp::start_with(&[MUCH_LATER, ("DAYBOOK_WEBHOOKS_TIMEOUT", "30")]).await;
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
    // None of them was given up: the server waited for none.
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
