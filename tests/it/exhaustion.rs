//! No client can block a node for others, with a key or without: expensive work is bounded, runs aside, and ends with its client.

use std::time::{Duration, Instant};

use image::{GrayImage, ImageFormat};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::avatar::picture;
use crate::cast::{Cast, approve};
use crate::file::{request, upload, url, wanted};
use crate::harness::{Client, OwnApp, PATIENCE, TestApp, eventually, id};

/// Number of probes during an attack, of which the median counts.
const PROBES: usize = 15;
/// Maximum time of a probe that waits for nothing.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Measures the median time of several liveness probes.
async fn pulse(client: &Client) -> Duration {
    let mut taken = vec![];
    for _ in 0..PROBES {
        let began = Instant::now();
        let request = client.request(Method::GET, "/health/live");
        assert_eq!(client.send(request).await.status, 200);
        taken.push(began.elapsed());
    }
    taken.sort_unstable();
    taken[PROBES / 2]
}

/// Asserts that a node stays responsive during an attack, compared with its response time before.
async fn stays_alive(app: &TestApp, name: &str, attack: impl Future<Output = ()>) {
    let nobody = Client::new(&app.url, "");
    let before = pulse(&nobody).await;
    let ((), during) = tokio::join!(attack, pulse(&nobody));
    let bound = AT_ONCE + 5 * before;
    assert!(during < bound, "{name}: {during:?}, and {before:?} before");
}

/// Sends so many requests concurrently.
async fn at_once(count: usize, request: impl AsyncFn() -> u16) -> Vec<u16> {
    futures::future::join_all((0..count).map(|_| request())).await
}

/// Builds a proposal with as many faults as fit into a body.
fn faults(workspace_id: impl ToString) -> Value {
    let actions = vec![1; 100_000];
    json!({"workspace_id": workspace_id.to_string(), "rationale": "r", "actions": actions})
}

#[tokio::test]
async fn a_key_without_the_scope_is_refused_before_its_request_is_looked_at() {
    let app = TestApp::start().await;
    let reader = app.actor("person", &["notes:read"]).await;
    let refused = reader.post("/v1/proposals", faults("nowhere")).await;
    refused.expect_problem(403, "scope_missing");
    let refused = reader.get("/v1/webhooks?colour=blue").await;
    refused.expect_problem(403, "scope_missing");
    let refused = reader.post("/v1/webhooks", json!("nonsense")).await;
    let problem = refused.expect_problem(403, "scope_missing");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("webhooks:write")
    );
}

#[tokio::test]
async fn a_body_of_countless_faults_is_answered_with_the_first_of_them() {
    let app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let before = peak_memory(&app);
    let refused = app.alice.post("/v1/proposals", faults(workspace_id)).await;
    let problem = refused.expect_problem(400, "validation_failed");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 100);
    // Each action is valid, but there are too many.
    let tag = json!({"type": "note.tag", "note_id": workspace_id, "add": ["tea"]});
    let many = json!({"workspace_id": workspace_id, "rationale": "r", "actions": vec![tag; 101]});
    let refused = app.alice.post("/v1/proposals", many).await;
    let problem = refused.expect_problem(400, "validation_failed");
    assert_eq!(problem["errors"][0]["pointer"], "/actions");
    let fields: serde_json::Map<_, _> = (0..50_000).map(|n| (n.to_string(), json!(1))).collect();
    let wide = json!({"workspace_id": workspace_id, "rationale": "r", "actions": [fields]});
    let refused = app.alice.post("/v1/proposals", wide).await;
    let problem = refused.expect_problem(400, "validation_failed");
    assert_eq!(problem["errors"][0]["pointer"], "/actions/0");
    let more = peak_memory(&app) - before;
    assert!(more < 300 << 20, "it took {} MiB", more >> 20);
}

/// Returns the peak memory of a server in bytes.
fn peak_memory(app: &OwnApp) -> u64 {
    let process = app.server.process.id().expect("it still runs");
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn methods_that_clients_invent_are_measured_as_one() {
    let app = OwnApp::start().await;
    for n in 0..20 {
        let method = Method::from_bytes(format!("BREW{n}").as_bytes()).unwrap();
        let answer = app.alice.send(app.alice.request(method, "/v1/notes")).await;
        answer.expect_problem(405, "method_not_allowed");
    }
    let metrics = app
        .alice
        .send(app.alice.request(Method::GET, "/metrics"))
        .await;
    let metrics = metrics.body.as_str().unwrap().to_owned();
    assert!(metrics.contains(r#"method="other""#), "{metrics}");
    assert!(!metrics.contains("BREW"), "{metrics}");
}

#[tokio::test]
async fn a_query_whose_client_goes_away_is_cancelled() {
    // The server itself would wait for ten minutes.
    let app = OwnApp::start_with(&[("DAYBOOK_REQUEST_TIMEOUT", "600")]).await;
    app.alice.workspace().await;
    // The reaction that reads endpoints must be idle.
    app.settle().await;
    let sql = app.sql().await;
    sql.batch_execute("begin; lock table read.webhooks in access exclusive mode")
        .await
        .unwrap();
    let waiting = async || {
        let count = "select count(*) from pg_stat_activity where datname = current_database()
            and wait_event_type = 'Lock' and query like '%from webhooks%'";
        sql.query_one(count, &[]).await.unwrap().get::<_, i64>(0)
    };
    let client = app.alice.clone();
    let asked = tokio::spawn(async move {
        client
            .try_send(client.request(Method::GET, "/v1/webhooks"))
            .await
    });
    eventually(async || (waiting().await == 1).then_some(())).await;
    asked.abort();
    eventually(async || (waiting().await == 0).then_some(())).await;
    sql.batch_execute("rollback").await.unwrap();
    app.alice.get("/v1/webhooks").await.expect(200);
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_given_up() {
    let app = OwnApp::start_with(&[("DAYBOOK_REQUEST_TIMEOUT", "5")]).await;
    app.alice.workspace().await;
    // The reaction that reads endpoints must be idle.
    app.settle().await;
    let sql = app.sql().await;
    sql.batch_execute("begin; lock table read.webhooks in access exclusive mode")
        .await
        .unwrap();
    let request = app.alice.request(Method::GET, "/v1/webhooks");
    let answer = app.alice.send(request).await;
    assert_eq!(answer.status, 503, "{:#}", answer.body);
    assert!(answer.headers.contains_key("retry-after"));
}

/// Begins to send a file; the server answers only after the rest.
async fn begin_upload(app: &TestApp, file: &Value, bytes: usize) -> TcpStream {
    let address = app.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PUT {} HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\ncontent-length: {bytes}\r\n\r\nt",
        url(&file["upload"])
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_file_arrives_once_at_a_time() {
    let app = TestApp::start().await;
    let (file, first, refused) = eventually(async || {
        let file = request(&app.alice, wanted("tea.txt", 3)).await;
        let first = begin_upload(&app, &file, 3).await;
        let answer = upload(&app, &file, "tea").await;
        // The first upload may not have begun yet; then this one is accepted, and another file shows what is asked for.
        (answer.status == 409).then_some((file, first, answer))
    })
    .await;
    assert!(refused.headers.contains_key("retry-after"));
    refused.expect_problem(409, "upload_in_progress");
    // When the first client has gone away, another may upload the file.
    drop(first);
    let stored = eventually(async || {
        let answer = upload(&app, &file, "tea").await;
        (answer.status == 200).then_some(answer.body)
    })
    .await;
    assert_eq!(stored["status"], "stored");
}

#[tokio::test]
async fn a_proposal_that_rewrites_a_note_of_a_mebibyte_is_decided_in_time() {
    let app = OwnApp::start().await;
    let cast = Cast::on(app.clone()).await;
    // Nearly all lines are different.
    let text = |n: u64| -> String {
        (0..120_000)
            .map(|line: u64| format!("{}\n", line * line % n))
            .collect()
    };
    let note = cast
        .app
        .alice
        .note(cast.workspace_id, "Long", &text(1_009))
        .await;
    let rewritten =
        json!({"type": "note.revise", "note_id": id(&note), "base_version": 1, "body": text(997)});
    let proposal = cast.propose(json!([rewritten])).await;
    let path = format!("/v1/notes/{}", id(&note));
    cast.app
        .alice
        .patch(&path, json!({"body": text(991)}))
        .await
        .expect(200);
    stays_alive(&cast.app, "merge", async {
        let began = Instant::now();
        let failed = approve(&cast.editor, &proposal).await.expect(200);
        assert_eq!(failed["status"], "failed");
        assert!(began.elapsed() < PATIENCE / 2);
    })
    .await;
    stays_alive(&cast.app, "history", async {
        let history = cast
            .app
            .alice
            .get(&format!("{path}/history"))
            .await
            .expect(200);
        let diff = history["items"][0]["diff"].as_str().unwrap();
        assert!(diff.len() < 300 << 10 && diff.ends_with("compare the two versions themselves.\n"));
    })
    .await;
}

#[tokio::test]
async fn a_node_answers_others_while_it_is_under_attack() {
    let app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let post = async |path: &str, body: &Value| app.alice.post(path, body.clone()).await.status;

    let body = faults(workspace_id);
    stays_alive(&app, "faults", async {
        let answers = at_once(8, async || post("/v1/proposals", &body).await).await;
        assert!(
            answers.iter().all(|status| [400, 503].contains(status)),
            "{answers:?}"
        );
    })
    .await;

    let body = json!({"workspace_id": workspace_id, "title": "Long", "body": "- [ ] [[a b]] ".repeat(50_000)});
    stays_alive(&app, "long notes", async {
        let answers = at_once(4, async || post("/v1/notes", &body).await).await;
        assert!(
            answers.iter().all(|status| [201, 503].contains(status)),
            "{answers:?}"
        );
    })
    .await;

    let mut bytes = std::io::Cursor::new(vec![]);
    GrayImage::new(3_000, 3_000)
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    let bytes = bytes.into_inner();
    let mut pictures = vec![];
    for _ in 0..4 {
        pictures.push(request(&app.alice, picture(bytes.len())).await);
    }
    stays_alive(&app, "pictures", async {
        for picture in &pictures {
            upload(&app, picture, bytes.clone()).await.expect(200);
        }
    })
    .await;

    let file = request(&app.alice, wanted("tea.txt", 1 << 20)).await;
    let mut uploads = vec![];
    stays_alive(&app, "uploads", async {
        for _ in 0..40 {
            uploads.push(begin_upload(&app, &file, 1 << 20).await);
        }
    })
    .await;
    drop(uploads);

    let address = app.url.strip_prefix("http://").unwrap();
    let mut silent = vec![];
    stays_alive(&app, "connections", async {
        for n in 0..300 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            if n % 2 == 0 {
                stream
                    .write_all(b"GET /health/live HTTP/1.1\r\nhost")
                    .await
                    .unwrap();
            }
            silent.push(stream);
        }
    })
    .await;
}
