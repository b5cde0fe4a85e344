//! Files: requested, uploaded and downloaded at signed addresses.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Body, Method};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::harness::{
    Answer, Client, OwnApp, Server, TestApp, eventually, folder, id, pointers, types,
};

/// A response with its bytes.
pub struct Bytes {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Bytes {
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Returns a request for an upload of this size.
pub fn wanted(name: &str, size: usize) -> Value {
    json!({"container": "attachments", "name": name, "media_type": "text/plain", "size": size})
}

/// Requests an upload.
pub async fn request(client: &Client, file: Value) -> Value {
    client.post("/v1/files", file).await.expect(201)
}

/// Sends bytes to an address, without a key.
pub async fn put(app: &TestApp, url: &str, media_type: &str, body: impl Into<Body>) -> Answer {
    let nobody = Client::new(&app.url, "");
    let request = nobody.request(Method::PUT, url).body(body);
    nobody
        .send(request.header("Content-Type", media_type))
        .await
}

/// Uploads the bytes of a requested file.
pub async fn upload(app: &TestApp, file: &Value, bytes: impl Into<Body>) -> Answer {
    let media_type = file["media_type"].as_str().unwrap();
    put(app, url(&file["upload"]), media_type, bytes).await
}

/// Requests and uploads a file.
pub async fn store(app: &TestApp, name: &str, bytes: &[u8]) -> Value {
    let file = request(&app.alice, wanted(name, bytes.len())).await;
    upload(app, &file, bytes.to_vec()).await.expect(200)
}

pub fn url(signed: &Value) -> &str {
    signed["url"].as_str().unwrap()
}

/// Returns the download address of a file.
pub async fn address(client: &Client, file: &Value) -> String {
    let path = format!("/v1/files/{}/download", id(file));
    url(&client.get(&path).await.expect(200)).to_owned()
}

/// Reads an address, without a key.
pub async fn fetch(
    app: &TestApp,
    method: Method,
    url: &str,
    headers: &[(&'static str, &str)],
) -> Bytes {
    let nobody = Client::new(&app.url, "");
    let mut request = nobody.request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    Bytes {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        bytes: response.bytes().await.unwrap().to_vec(),
    }
}

pub async fn read(app: &TestApp, file: &Value) -> Vec<u8> {
    let address = address(&app.alice, file).await;
    let answer = fetch(app, Method::GET, &address, &[]).await;
    assert_eq!(answer.status, 200);
    answer.bytes
}

/// Returns bytes without repetitions.
pub fn noise(size: usize) -> Vec<u8> {
    let block = |n: usize| <[u8; 32]>::from(Sha256::digest(n.to_be_bytes()));
    let mut bytes: Vec<u8> = (0..size.div_ceil(32)).flat_map(block).collect();
    bytes.truncate(size);
    bytes
}

async fn usage(client: &Client) -> (Value, Value) {
    let usage = client.get("/v1/files/usage").await.expect(200);
    (usage["used_bytes"].clone(), usage["used_files"].clone())
}

/// Returns the objects of a folder, without the prefix of their names.
fn objects(app: &OwnApp) -> Vec<String> {
    let mut found = vec![];
    let mut folders = vec![folder(&app.database_url)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_file_comes_back_as_it_was_sent() {
    let app = TestApp::start().await;
    // Small ones in memory, and one in several parts.
    for bytes in [vec![], b"tea".to_vec(), noise((6 << 20) + 3)] {
        let asked = request(&app.alice, wanted("tea.txt", bytes.len())).await;
        assert_eq!(asked["status"], "requested");
        assert_eq!(asked["upload"]["method"], "PUT");
        assert_eq!(asked["upload"]["headers"]["Content-Type"], "text/plain");
        let stored = upload(&app, &asked, bytes.clone()).await.expect(200);
        assert_eq!(stored["status"], "stored");
        assert_eq!(stored["sha256"], sha256(&bytes));
        assert_eq!(read(&app, &stored).await, bytes);
    }
    let events = app.alice.events("category=file").await;
    assert_eq!(types(&events)[..2], ["file.requested", "file.stored"]);
    let (actor, cause) = (
        &events[1]["metadata"]["actor"],
        &events[1]["metadata"]["causation_id"],
    );
    assert_eq!(actor["id"], json!(app.alice.actor_id));
    assert_eq!(*cause, events[0]["event_id"]);
}

#[tokio::test]
async fn what_is_sent_again_is_answered_the_same_and_other_bytes_are_refused() {
    let app = TestApp::start().await;
    let asked = request(&app.alice, wanted("tea.txt", 3)).await;
    let first = upload(&app, &asked, "tea").await.expect(200);
    let head = app.position().await;
    assert_eq!(upload(&app, &asked, "tea").await.expect(200), first);
    let other = upload(&app, &asked, "ale").await;
    other.expect_problem(409, "file_already_stored");
    assert_eq!(app.position().await, head);
    assert_eq!(read(&app, &first).await, b"tea");
}

#[tokio::test]
async fn what_is_not_as_it_was_asked_for_is_refused_and_leaves_nothing() {
    let app = OwnApp::start().await;
    let mut file = wanted("tea.txt", 3);
    file["sha256"] = json!(sha256(b"tea"));
    let asked = request(&app.alice, file).await;
    let address = url(&asked["upload"]).to_owned();
    let send = async |media_type, body: Body| put(&app, &address, media_type, body).await;
    send("text/html", "tea".into())
        .await
        .expect_problem(415, "file_media_type_mismatch");
    for wrong in ["te", "teas", ""] {
        let answer = send("text/plain", wrong.into()).await;
        answer.expect_problem(422, "file_size_mismatch");
    }
    // Bodies without a declared length.
    for wrong in ["te", "teas"] {
        let pieces = futures::stream::iter([Ok::<_, std::io::Error>(wrong)]);
        let answer = send("text/plain", Body::wrap_stream(pieces)).await;
        answer.expect_problem(422, "file_size_mismatch");
    }
    let problem = send("text/plain", "ale".into())
        .await
        .expect_problem(422, "file_digest_mismatch");
    let told = problem["detail"].as_str().unwrap();
    assert!(told.contains(&sha256(b"ale")) && told.contains(&sha256(b"tea")));
    assert_eq!(objects(&app), Vec::<String>::new());
    // A correct upload is still accepted afterwards.
    send("text/plain; charset=utf-8", "tea".into())
        .await
        .expect(200);
    assert_eq!(objects(&app), [format!("{}.0", sha256(b"tea"))]);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing_and_can_be_repeated() {
    let app = OwnApp::start().await;
    let bytes = noise(7 << 20);
    let asked = request(&app.alice, wanted("tea.bin", bytes.len())).await;
    let address = app.url.strip_prefix("http://").unwrap();
    let mut line = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: daybook\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        url(&asked["upload"]),
        bytes.len()
    );
    line.write_all(head.as_bytes()).await.unwrap();
    line.write_all(&bytes[..6 << 20]).await.unwrap();
    eventually(async || (!objects(&app).is_empty()).then_some(())).await;
    drop(line);
    eventually(async || objects(&app).is_empty().then_some(())).await;
    upload(&app, &asked, bytes.clone()).await.expect(200);
    assert_eq!(read(&app, &asked).await, bytes);
}

#[tokio::test]
async fn an_upload_that_stalls_is_ended() {
    let app = OwnApp::start_with(&[("DAYBOOK_REQUEST_TIMEOUT", "1")]).await;
    let asked = request(&app.alice, wanted("tea.txt", 3)).await;
    let address = app.url.strip_prefix("http://").unwrap();
    let mut line = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: daybook\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nte",
        url(&asked["upload"])
    );
    line.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("upload_stalled"), "{answer}");
}

#[tokio::test]
async fn an_upload_may_take_longer_than_any_other_request() {
    let app = OwnApp::start_with(&[("DAYBOOK_REQUEST_TIMEOUT", "1")]).await;
    let asked = request(&app.alice, wanted("tea.txt", 4)).await;
    let slow = futures::stream::unfold(0, |sent| async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        (sent < 4).then_some((Ok::<_, std::io::Error>("t"), sent + 1))
    });
    let stored = upload(&app, &asked, Body::wrap_stream(slow)).await;
    assert_eq!(stored.expect(200)["sha256"], sha256(b"tttt"));
}

#[tokio::test]
async fn an_address_is_good_for_what_it_was_given_for_alone() {
    let app = TestApp::start().await;
    let asked = request(&app.alice, wanted("tea.txt", 3)).await;
    let other = request(&app.alice, wanted("tea.txt", 3)).await;
    let good = url(&asked["upload"]).to_owned();
    let later = good.replace("expires=", "expires=9");
    let elsewhere = good.replace(&id(&asked).to_string(), &id(&other).to_string());
    let nowhere = good.replace(&id(&asked).to_string(), &Uuid::now_v7().to_string());
    let unsigned = good.split("signature").next().unwrap().to_owned() + "signature=00";
    for wrong in [&later, &elsewhere, &nowhere, &unsigned] {
        let answer = put(&app, wrong, "text/plain", "tea").await;
        answer.expect_problem(403, "file_url_invalid");
    }
    // The address does not even reveal that the file exists.
    let read = fetch(&app, Method::GET, &good, &[]).await;
    assert_eq!(read.status, 403);
    upload(&app, &asked, "tea").await.expect(200);
    let read = fetch(&app, Method::GET, &good, &[]).await;
    assert_eq!(read.status, 403);
    let download = address(&app.alice, &asked).await;
    let answer = put(&app, &download, "text/plain", "tea").await;
    answer.expect_problem(403, "file_url_invalid");
}

#[tokio::test]
async fn an_address_is_good_for_a_while() {
    let app = OwnApp::start().await;
    let stored = store(&app, "ale.txt", b"ale").await;
    let app = app.restart(&[("DAYBOOK_FILES_URL_TTL", "1")]).await;
    let asked = request(&app.alice, wanted("tea.txt", 3)).await;
    let download = address(&app.alice, &stored).await;
    eventually(async || {
        let answer = fetch(&app, Method::GET, &download, &[]).await;
        (answer.status == 403).then_some(())
    })
    .await;
    let nobody = Client::new(&app.url, "");
    let answer = nobody.send(nobody.request(Method::GET, &download)).await;
    answer.expect_problem(403, "file_url_expired");
    let late = upload(&app, &asked, "tea").await;
    late.expect_problem(403, "file_url_expired");
}

#[tokio::test]
async fn a_part_is_sent_where_a_part_is_asked_for() {
    let app = TestApp::start().await;
    let file = store(&app, "tea.txt", b"0123456789").await;
    let address = address(&app.alice, &file).await;
    let tag = format!("\"{}\"", sha256(b"0123456789"));
    let ask = async |range: &str, known: &str| {
        let headers = [("Range", range), ("If-Range", known)];
        fetch(&app, Method::GET, &address, &headers).await
    };
    for (range, status, bytes, content_range) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-4", 206, "6789", "bytes 6-9/10"),
        ("bytes=-99", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=8-99", 206, "89", "bytes 8-9/10"),
        ("bytes=0-1,4-5", 200, "0123456789", ""),
        ("lines=1-2", 200, "0123456789", ""),
    ] {
        let answer = ask(range, &tag).await;
        assert_eq!(answer.status, status, "{range}");
        assert_eq!(answer.bytes, bytes.as_bytes(), "{range}");
        assert_eq!(answer.header("content-length"), bytes.len().to_string());
        if status == 206 {
            assert_eq!(answer.header("content-range"), content_range);
        }
    }
    let beyond = ask("bytes=10-", &tag).await;
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, "bytes */10")
    );
    assert_eq!(beyond.header("content-type"), "application/problem+json");
    let other = ask("bytes=2-4", "\"other\"").await;
    assert_eq!((other.status, other.bytes.len()), (200, 10));
    let head = fetch(&app, Method::HEAD, &address, &[("Range", "bytes=2-4")]).await;
    assert_eq!((head.status, head.header("content-length")), (206, "3"));
}

#[tokio::test]
async fn what_is_sent_is_kept_by_its_reader_and_runs_nowhere() {
    let app = TestApp::start().await;
    let mut file = wanted("Brühe \"für\" alle.html", 8);
    file["media_type"] = json!("text/html");
    let asked = request(&app.alice, file).await;
    upload(&app, &asked, "<script>").await.expect(200);
    let address = address(&app.alice, &asked).await;
    let answer = fetch(&app, Method::GET, &address, &[]).await;
    for (name, value) in [
        ("content-type", "text/html"),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, max-age=31536000, immutable"),
    ] {
        assert_eq!(answer.header(name), value);
    }
    assert!(
        answer
            .header("content-security-policy")
            .starts_with("sandbox;")
    );
    let disposition = answer.header("content-disposition");
    assert!(disposition.starts_with("attachment; filename=\"Br_he _f_r_ alle.html\""));
    assert!(disposition.ends_with("filename*=UTF-8''Br%C3%BChe%20%22f%C3%BCr%22%20alle.html"));
    let tag = answer.header("etag");
    let again = fetch(&app, Method::GET, &address, &[("If-None-Match", tag)]).await;
    assert_eq!((again.status, again.bytes.len()), (304, 0));
    assert_eq!(again.header("etag"), tag);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_file_is_named() {
    let app = TestApp::start().await;
    let wrong = json!({"container": "avatars", "name": "../tea", "media_type": "text/plain", "size": 1_u64 << 40,
        "sha256": "TEA"});
    let problem = app.alice.post("/v1/files", wrong).await;
    let problem = problem.expect_problem(400, "validation_failed");
    assert_eq!(
        pointers(&problem),
        ["/name", "/media_type", "/size", "/sha256"]
    );
    assert_eq!(usage(&app.alice).await, (json!(0), json!(0)));
}

#[tokio::test]
async fn no_more_is_taken_than_there_is_room_for_however_many_ask_at_once() {
    let quota = [
        ("DAYBOOK_FILES_QUOTA_BYTES", "100"),
        ("DAYBOOK_FILES_QUOTA_COUNT", "12"),
        ("DAYBOOK_FILES_MAX_SIZES", "audio=5, attachments=90"),
    ];
    let app = OwnApp::start_with(&quota).await;
    let asks = (0..20).map(|n| app.alice.post("/v1/files", wanted(&format!("{n}"), 10)));
    let answers = futures::future::join_all(asks).await;
    let (taken, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|a| a.status == 201);
    assert_eq!((taken.len(), refused.len()), (10, 10));
    for answer in refused {
        let problem = answer.expect_problem(422, "storage_bytes_exhausted");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("100 of 100 bytes")
        );
    }
    let full = app.alice.get("/v1/files/usage").await.expect(200);
    let expected =
        json!({"used_bytes": 100, "used_files": 10, "limit_bytes": 100, "limit_files": 12});
    assert_eq!(full, expected);
    // Another product has its own storage limit.
    let stranger = app.stranger().await;
    request(&stranger, wanted("tea.txt", 90)).await;
    assert_eq!(usage(&stranger).await, (json!(90), json!(1)));
    // A deleted file frees its storage.
    let path = format!("/v1/files/{}", id(&taken[0].body));
    assert_eq!(app.alice.delete(&path).await.status, 204);
    for _ in 0..3 {
        request(&app.alice, wanted("empty.txt", 0)).await;
    }
    let answer = app.alice.post("/v1/files", wanted("empty.txt", 0)).await;
    answer.expect_problem(422, "storage_files_exhausted");
}

#[tokio::test]
async fn room_that_is_not_used_in_time_is_free_again() {
    let app = OwnApp::start().await;
    let stored = store(&app, "ale.txt", b"ale").await;
    let app = app.restart(&[("DAYBOOK_FILES_URL_TTL", "1")]).await;
    let asked = request(&app.alice, wanted("tea.txt", 3)).await;
    eventually(async || (usage(&app.alice).await == (json!(3), json!(1))).then_some(())).await;
    let path = format!("/v1/files/{}", id(&asked));
    app.alice.get(&path).await.expect_problem(404, "not_found");
    assert_eq!(app.alice.ids("/v1/files").await, [id(&stored)]);
}

#[tokio::test]
async fn the_same_bytes_are_kept_once_until_nobody_has_them() {
    let app = OwnApp::start().await;
    let (first, second) = (
        store(&app, "a.txt", b"tea").await,
        store(&app, "b.txt", b"tea").await,
    );
    let kept = |generation: u32| format!("{}.{generation}", sha256(b"tea"));
    assert_eq!(objects(&app), [kept(0)]);
    let delete = async |file: &Value| {
        let path = format!("/v1/files/{}", id(file));
        assert_eq!(app.alice.delete(&path).await.status, 204);
        app.alice
            .delete(&path)
            .await
            .expect_problem(404, "file_not_found");
    };
    delete(&first).await;
    app.settle().await;
    assert_eq!(read(&app, &second).await, b"tea");
    let address = address(&app.alice, &second).await;
    delete(&second).await;
    eventually(async || objects(&app).is_empty().then_some(())).await;
    assert_eq!(fetch(&app, Method::GET, &address, &[]).await.status, 403);
    assert_eq!(usage(&app.alice).await, (json!(0), json!(0)));
    // They are stored under another name, so that a late deletion of the old one does no harm.
    let third = store(&app, "c.txt", b"tea").await;
    assert_eq!(objects(&app), [kept(1)]);
    assert_eq!(read(&app, &third).await, b"tea");
}

#[tokio::test]
async fn bytes_that_come_and_go_at_once_are_there_for_whoever_has_them() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        let old = store(&app, "a.txt", b"tea").await;
        let path = format!("/v1/files/{}", id(&old));
        let asked = request(&app.alice, wanted("b.txt", 3)).await;
        let (gone, come) = tokio::join!(app.alice.delete(&path), upload(&app, &asked, "tea"));
        assert_eq!(gone.status, 204);
        come.expect(200);
        app.settle().await;
        assert_eq!(read(&app, &asked).await, b"tea");
        let path = format!("/v1/files/{}", id(&asked));
        assert_eq!(app.alice.delete(&path).await.status, 204);
    }
}

#[tokio::test]
async fn a_file_of_a_workspace_is_its_members() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let viewer = app.actor("person", &["*"]).await;
    let outsider = app.actor("person", &["*"]).await;
    app.alice.admit(workspace_id, &viewer, "viewer").await;
    let mut file = wanted("tea.txt", 3);
    file["workspace_id"] = json!(workspace_id);
    let answer = outsider.post("/v1/files", file.clone()).await;
    answer.expect_problem(404, "workspace_not_found");
    let answer = viewer.post("/v1/files", file.clone()).await;
    answer.expect_problem(403, "workspace_role_insufficient");
    let asked = request(&app.alice, file).await;
    upload(&app, &asked, "tea").await.expect(200);
    address(&viewer, &asked).await;
    let path = format!("/v1/files/{}", id(&asked));
    outsider.get(&path).await.expect_problem(404, "not_found");
    let download = outsider.get(&format!("{path}/download")).await;
    download.expect_problem(404, "not_found");
    let answer = outsider.delete(&path).await;
    answer.expect_problem(404, "workspace_not_found");
    let answer = viewer.delete(&path).await;
    answer.expect_problem(403, "workspace_role_insufficient");
    let listed =
        format!("/v1/files?workspace_id={workspace_id}&container=attachments&status=stored");
    assert_eq!(viewer.ids(&listed).await, [id(&asked)]);
    assert_eq!(outsider.ids("/v1/files").await, Vec::<Uuid>::new());
}

#[tokio::test]
async fn what_has_not_come_cannot_be_downloaded() {
    let app = TestApp::start().await;
    let asked = request(&app.alice, wanted("tea.txt", 3)).await;
    let path = format!("/v1/files/{}/download", id(&asked));
    let answer = app.alice.get(&path).await;
    answer.expect_problem(422, "file_not_stored");
    upload(&app, &asked, "tea").await.expect(200);
    let answer = app.alice.get(&format!("{path}?pixels=64")).await;
    answer.expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_store_that_takes_nothing_is_said_and_the_upload_can_be_repeated() {
    let app = OwnApp::start().await;
    let asked = request(&app.alice, wanted("tea.txt", 3)).await;
    // A file in place of the product's folder.
    let folder = folder(&app.database_url).join(app.product_id.to_string());
    std::fs::write(&folder, "in the way").unwrap();
    let answer = upload(&app, &asked, "tea").await;
    assert_eq!(answer.header("retry-after"), "1");
    answer.expect_problem(503, "file_store_unavailable");
    assert_eq!(usage(&app.alice).await, (json!(3), json!(1)));
    std::fs::remove_file(&folder).unwrap();
    upload(&app, &asked, "tea").await.expect(200);
    assert_eq!(read(&app, &asked).await, b"tea");
}

#[tokio::test]
async fn what_one_node_takes_in_another_sends() {
    let app = OwnApp::start().await;
    let other = Server::start(&app.database_url, &[]).await;
    let asked = request(&app.alice, wanted("tea.txt", 3)).await;
    let nobody = Client::new(&other.url, "");
    let send = nobody
        .request(Method::PUT, url(&asked["upload"]))
        .header("Content-Type", "text/plain")
        .body("tea");
    nobody.send(send).await.expect(200);
    assert_eq!(read(&app, &asked).await, b"tea");
    let there = address(&app.alice.at(&other.url), &asked).await;
    let path = format!("/v1/files/{}", id(&asked));
    assert_eq!(app.alice.delete(&path).await.status, 204);
    let gone = nobody.send(nobody.request(Method::GET, &there)).await;
    gone.expect_problem(403, "file_url_invalid");
}
