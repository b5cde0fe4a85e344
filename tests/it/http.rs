//! General HTTP behaviour: conditions, codings, origins, redirects, and informative problems.

use async_compression::tokio::bufread::{GzipDecoder, GzipEncoder};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use uuid::Uuid;

use crate::harness::{Client, OwnApp, TestApp, id, pointers};
use crate::world::World;

/// Parts of secret texts.
const SECRETS: [&str; 4] = ["dbk_", "whsec_", "signature=", "/calendars/"];

async fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut zipped = vec![];
    let mut encoder = GzipEncoder::new(bytes);
    encoder.read_to_end(&mut zipped).await.unwrap();
    zipped
}

async fn unzipped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = vec![];
    let mut decoder = GzipDecoder::new(bytes);
    decoder.read_to_end(&mut plain).await.unwrap();
    plain
}

/// Sends a request; returns its status, its headers, and its undecoded bytes.
async fn raw(request: RequestBuilder) -> (u16, HeaderMap, Vec<u8>) {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.bytes().await.unwrap().to_vec())
}

/// Returns the names in `Vary`.
fn varies(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all("vary").iter();
    let values = values.map(|value| value.to_str().unwrap().to_lowercase());
    values.collect()
}

fn at(note: &Value) -> String {
    format!("/v1/notes/{}", id(note))
}

#[tokio::test]
async fn every_answer_with_a_tag_is_sent_once() {
    let world = World::start().await;
    let mut tagged = 0;
    for operation in world.document.guarded() {
        if !operation.is_read() {
            continue;
        }
        let path = world.path(&operation).await;
        let caller = world.caller(&operation);
        let first = caller.get(&path).await;
        let name = operation.name();
        let Some(tag) = first.headers.get("etag") else {
            continue;
        };
        tagged += 1;
        let tag = tag.to_str().unwrap();
        match first.header("cache-control") {
            "no-store" => {}
            kept => {
                assert_eq!(kept, "private, no-cache", "{name}");
                let varies = varies(&first.headers);
                assert!(varies.contains(&"authorization".to_owned()), "{name}");
            }
        }
        let ask = async |known: &str| {
            let request = caller
                .request(Method::GET, &path)
                .header("If-None-Match", known)
                .header("Daybook-Min-Position", first.position());
            caller.send(request).await
        };
        for known in [tag, &format!("W/{tag}"), &format!("\"x\", {tag}"), "*"] {
            let again = ask(known).await;
            assert_eq!(
                (again.status, &again.body),
                (304, &json!("")),
                "{name} {known}"
            );
            assert_eq!(again.header("etag"), tag, "{name}");
            assert!(again.position() >= first.position(), "{name}");
            assert!(!again.headers.contains_key("content-type"), "{name}");
        }
        for other in ["\"x\"", "", tag.trim_matches('"')] {
            assert_eq!(ask(other).await.expect(200), first.body, "{name} {other}");
        }
    }
    assert!(tagged >= 12, "{tagged}");
}

#[tokio::test]
async fn a_head_request_is_answered_304_as_well_and_a_command_never_is() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "").await;
    let position = app.alice.head().await;
    let ask = |method: Method| {
        let request = app.alice.request(method, &at(&note));
        let request = request.header("If-None-Match", "*");
        request.header("Daybook-Min-Position", position)
    };
    assert_eq!(app.alice.send(ask(Method::HEAD)).await.status, 304);
    let revise = ask(Method::PATCH).json(&json!({"title": "Green tea"}));
    app.alice.send(revise).await.expect(200);
}

#[tokio::test]
async fn what_is_shown_with_parts_of_others_has_a_tag_that_changes_with_them() {
    let world = World::start().await;
    let app = &world.app;
    let workspace_id = app.alice.workspace().await;
    app.alice.admit(workspace_id, &world.agent, "agent").await;
    let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
    let action = json!({"type": "note.revise", "note_id": id(&note), "base_version": 1, "title": "Green tea"});
    let proposal =
        json!({"workspace_id": workspace_id, "rationale": "Say which tea.", "actions": [action]});
    let proposal = world
        .agent
        .post("/v1/proposals", proposal)
        .await
        .expect(201);
    let path = format!("/v1/proposals/{}", id(&proposal));
    let before = app.alice.get(&path).await;
    let revised = app
        .alice
        .patch(&at(&note), json!({"title": "Black tea"}))
        .await;
    revised.expect(200);
    let after = app.alice.get(&path).await;
    assert_eq!(before.body["version"], after.body["version"]);
    assert_ne!(before.body["preview"], after.body["preview"]);
    assert_ne!(before.header("etag"), after.header("etag"));
    // A condition is about the version, whichever of the two tags the client has.
    for tag in [before.header("etag"), after.header("etag")] {
        let reject = app
            .alice
            .request(Method::POST, &format!("{path}/reject?dry_run=true"))
            .header("If-Match", tag)
            .json(&json!({"reason": "no"}));
        app.alice.send(reject).await.expect(200);
    }
}

#[tokio::test]
async fn a_large_answer_comes_in_gzip_under_a_weak_tag() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app
        .alice
        .note(workspace_id, "Tea", &"Steep it. ".repeat(1_000))
        .await;
    let position = app.alice.head().await;
    let get = |coding: &str| {
        let request = app.alice.request(Method::GET, &at(&note));
        let request = request.header("Daybook-Min-Position", position);
        request.header("Accept-Encoding", coding)
    };
    let (status, plain, bytes) = raw(get("identity")).await;
    assert_eq!((status, &plain["etag"]), (200, &"\"1\"".parse().unwrap()));
    assert!(!plain.contains_key("content-encoding"));
    let (status, headers, small) = raw(get("gzip, br")).await;
    assert_eq!(
        (status, &headers["content-encoding"]),
        (200, &"gzip".parse().unwrap())
    );
    assert!(
        headers
            .get_all("vary")
            .iter()
            .any(|name| name == "accept-encoding")
    );
    assert_eq!(unzipped(&small).await, bytes);
    assert!(small.len() < bytes.len() / 10);
    let tag = headers["etag"].to_str().unwrap();
    assert_eq!(tag, "W/\"1\"");
    let (status, _, _) = raw(get("gzip").header("If-None-Match", tag)).await;
    assert_eq!(status, 304);
    let revise = app
        .alice
        .request(Method::PATCH, &at(&note))
        .header("If-Match", tag);
    let revise = revise.json(&json!({"title": "Green tea"}));
    app.alice.send(revise).await.expect(200);
}

#[tokio::test]
async fn streams_small_answers_and_files_are_sent_as_they_are() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let long = "Steep it. ".repeat(1_000);
    app.alice.note(workspace_id, "Tea", &long).await;
    let asks = |path: &str, accept: &str| {
        let request = app.alice.request(Method::GET, path);
        request
            .header("Accept", accept)
            .header("Accept-Encoding", "gzip")
    };
    for accept in ["text/event-stream", "application/x-ndjson"] {
        let mut stream = asks("/v1/events", accept).send().await.unwrap();
        assert!(
            !stream.headers().contains_key("content-encoding"),
            "{accept}"
        );
        // Existing events arrive at once, although the stream stays open.
        assert!(!stream.chunk().await.unwrap().unwrap().is_empty());
    }
    let (_, small, _) = raw(asks("/health/live", "*/*")).await;
    assert!(!small.contains_key("content-encoding"));

    let file = json!({"container": "attachments", "name": "a.txt", "media_type": "text/plain", "size": long.len()});
    let file = app.alice.post("/v1/files", file).await.expect(201);
    let upload = app
        .alice
        .request(Method::PUT, file["upload"]["url"].as_str().unwrap());
    let upload = upload
        .header("Content-Type", "text/plain")
        .header("Content-Encoding", "gzip");
    let stored = app
        .alice
        .send(upload.body(zipped(long.as_bytes()).await))
        .await;
    assert_eq!(stored.expect(200)["size"], long.len());
    let download = app
        .alice
        .get(&format!("/v1/files/{}/download", id(&file)))
        .await;
    let download = download.expect(200)["url"].as_str().unwrap().to_owned();
    let (status, headers, bytes) = raw(asks(&download, "*/*")).await;
    assert_eq!((status, bytes), (200, long.into_bytes()));
    assert!(!headers.contains_key("content-encoding"));
    assert_eq!(headers["accept-ranges"], "bytes");
}

#[tokio::test]
async fn an_answer_with_a_secret_is_neither_compressed_nor_kept() {
    let world = World::start().await;
    let mut secrets = 0;
    for operation in world.document.guarded() {
        let path = world.path(&operation).await;
        world.prepare(&operation, &path).await;
        let answer = world
            .call(world.caller(&operation), &operation, &path)
            .await;
        let text = answer.body.to_string();
        if SECRETS.iter().any(|secret| text.contains(secret)) {
            secrets += 1;
            assert_eq!(
                answer.header("cache-control"),
                "no-store",
                "{}",
                operation.name()
            );
        }
    }
    assert!(secrets >= 7, "{secrets}");
    // A response that is large enough to be compressed.
    let url = format!("http://127.0.0.1:9/{}", "x".repeat(1_500));
    let create = world.app.alice.request(Method::POST, "/v1/webhooks");
    let create = create.json(&json!({"url": url, "events": ["note.purged"]}));
    let (status, headers, bytes) = raw(create.header("Accept-Encoding", "gzip")).await;
    assert_eq!(status, 201);
    assert!(!headers.contains_key("content-encoding"));
    assert!(String::from_utf8(bytes).unwrap().contains("whsec_"));
}

#[tokio::test]
async fn a_body_is_taken_in_gzip_and_in_no_other_coding() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let body = json!({"workspace_id": workspace_id, "title": "Tea"}).to_string();
    let small = zipped(body.as_bytes()).await;
    let post = async |coding: &str, body: &[u8]| {
        let request = app
            .alice
            .request(Method::POST, "/v1/notes")
            .header("Content-Type", "application/json")
            .header("Content-Encoding", coding)
            .body(body.to_vec());
        app.alice.send(request).await
    };
    for coding in ["gzip", "GZIP", "x-gzip", "identity, gzip"] {
        assert_eq!(
            post(coding, &small).await.expect(201)["title"],
            "Tea",
            "{coding}"
        );
    }
    post("identity", body.as_bytes()).await.expect(201);
    for coding in ["br", "deflate", "zstd", "gzip, gzip", "nonsense"] {
        let refused = post(coding, body.as_bytes()).await;
        assert_eq!(refused.header("accept-encoding"), "gzip");
        refused.expect_problem(415, "content_coding_unsupported");
    }
    for damaged in [body.as_bytes(), &small[..small.len() - 9]] {
        let refused = post("gzip", damaged).await;
        let problem = refused.expect_problem(400, "body_unreadable");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("Content-Encoding")
        );
    }
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let call = crate::mcp_wire::post(&app.alice)
        .header("Content-Type", "application/json")
        .header("Content-Encoding", "gzip")
        .body(zipped(call.as_bytes()).await);
    assert_eq!(app.alice.send(call).await.expect(200)["id"], 1);
}

#[tokio::test]
async fn a_body_is_measured_by_its_decoded_bytes() {
    let app = OwnApp::start_with(&[("DAYBOOK_BODY_LIMIT", "1000")]).await;
    let workspace_id = app.alice.workspace().await;
    let body = async |length: usize| {
        let body = json!({"workspace_id": workspace_id, "title": "", "body": "x".repeat(length)});
        let body = zipped(body.to_string().as_bytes()).await;
        assert!(body.len() < 500_000);
        body
    };
    let post = async |path: &str, body: &[u8]| {
        let request = app
            .alice
            .request(Method::POST, path)
            .header("Content-Type", "application/json")
            .header("Content-Encoding", "gzip")
            .body(body.to_vec());
        app.alice.send(request).await
    };
    post("/v1/notes", &body(800).await).await.expect(201);
    for length in [1_000, 50_000_000] {
        let body = body(length).await;
        let refused = post("/v1/notes", &body).await;
        refused.expect_problem(413, "body_unreadable");
        assert_eq!(post("/mcp", &body).await.status, 413);
    }
}

/// Builds the preflight request of a browser.
fn preflight(client: &Client, path: &str, origin: &str) -> RequestBuilder {
    client
        .request(Method::OPTIONS, path)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "PATCH")
        .header("Access-Control-Request-Headers", "authorization,if-match")
}

#[tokio::test]
async fn pages_of_the_listed_origins_may_call() {
    const PAGE: &str = "https://app.example.com";
    let listed = (
        "DAYBOOK_CORS_ORIGINS",
        "https://app.example.com, http://localhost:*",
    );
    let app = OwnApp::start_with(&[listed]).await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "").await;
    let nobody = Client::new(&app.url, "");
    for origin in [PAGE, "http://localhost:3000"] {
        let asked = nobody.send(preflight(&nobody, &at(&note), origin)).await;
        assert_eq!(asked.status, 200);
        assert_eq!(asked.header("access-control-allow-origin"), origin);
        let names = |name: &str| asked.header(name).to_lowercase();
        for method in ["get", "post", "put", "patch", "delete"] {
            assert!(
                names("access-control-allow-methods").contains(method),
                "{method}"
            );
        }
        for header in [
            "authorization",
            "idempotency-key",
            "if-match",
            "content-encoding",
            "daybook-min-position",
        ] {
            assert!(
                names("access-control-allow-headers").contains(header),
                "{header}"
            );
        }
        assert_eq!(asked.header("access-control-max-age"), "600");
        assert!(
            !asked
                .headers
                .contains_key("access-control-allow-credentials")
        );
    }
    // Problems have the headers, too.
    for (path, status) in [
        (at(&note), 200),
        ("/v1/nothing".into(), 404),
        ("/v1/notes/7".into(), 400),
    ] {
        let ask = app.alice.request(Method::GET, &path).header("Origin", PAGE);
        let ask = ask.header("Daybook-Min-Position", app.alice.head().await);
        let answer = app.alice.send(ask).await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (status, PAGE)
        );
        let exposed = answer
            .header("access-control-expose-headers")
            .to_lowercase();
        for header in [
            "etag",
            "daybook-position",
            "retry-after",
            "location",
            "ratelimit",
        ] {
            assert!(exposed.contains(header), "{header}");
        }
    }
    for origin in [
        "https://evil.example.com",
        "http://app.example.com",
        "http://localhost:3000.evil.com",
        "null",
    ] {
        for request in [
            preflight(&nobody, &at(&note), origin),
            app.alice
                .request(Method::GET, &at(&note))
                .header("Origin", origin),
        ] {
            let answer = app.alice.send(request).await;
            assert!(
                !answer.headers.contains_key("access-control-allow-origin"),
                "{origin}"
            );
            assert!(varies(&answer.headers).contains(&"origin".to_owned()));
        }
    }
}

#[tokio::test]
async fn without_a_setting_pages_of_other_origins_call_nothing_but_those_of_this_machine_the_tools()
{
    let app = TestApp::start().await;
    let ask = async |path: &str, origin: &str| {
        let answer = app.alice.send(preflight(&app.alice, path, origin)).await;
        answer.headers.get("access-control-allow-origin").cloned()
    };
    for origin in ["https://app.example.com", "http://localhost:3000"] {
        assert_eq!(ask("/v1/notes", origin).await, None);
    }
    assert_eq!(
        ask("/mcp", "http://localhost:3000").await.unwrap(),
        "http://localhost:3000"
    );
    assert_eq!(ask("/mcp", "https://app.example.com").await, None);
}

#[tokio::test]
async fn a_slash_too_many_leads_to_the_path_without_it() {
    let app = TestApp::start().await;
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let ask = async |method: Method, path: &str| {
        let request = http.request(method, format!("{}{path}", app.url));
        raw(request.bearer_auth(&app.alice.key)).await
    };
    let id = Uuid::now_v7();
    for (method, path, location) in [
        (Method::GET, "/v1/notes/".to_owned(), "/v1/notes".to_owned()),
        (
            Method::POST,
            "/v1/notes//?dry_run=true".into(),
            "/v1/notes?dry_run=true".into(),
        ),
        (
            Method::GET,
            format!("/v1/notes/{id}/links/"),
            format!("/v1/notes/{id}/links"),
        ),
        (Method::GET, "/health/live/".into(), "/health/live".into()),
    ] {
        let (status, headers, body) = ask(method, &path).await;
        assert_eq!(
            (status, headers["location"].to_str().unwrap()),
            (308, location.as_str())
        );
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["code"], "trailing_slash");
    }
    for nowhere in [
        "/v1/nothing/",
        "//evil.example.com/",
        "/v1/notes//links/",
        "//",
    ] {
        let (status, headers, _) = ask(Method::GET, nowhere).await;
        assert_eq!(
            (status, headers.contains_key("location")),
            (404, false),
            "{nowhere}"
        );
    }
    // The command arrives at the canonical path with its body.
    let workspace = app
        .alice
        .post("/v1/workspaces/", json!({"name": "Research"}))
        .await;
    workspace.expect(201);
}

#[tokio::test]
async fn a_malformed_path_names_the_parameters_at_fault() {
    let app = TestApp::start().await;
    let id = Uuid::now_v7();
    for (path, named) in [
        ("/v1/notes/7".to_owned(), vec!["id"]),
        ("/v1/notes/%ff".into(), vec!["id"]),
        (format!("/v1/notes/{id}/links/x"), vec!["target_id"]),
        (format!("/v1/notes/x/links/{id}"), vec!["id"]),
        ("/v1/workspaces/x/members/y".into(), vec!["id", "actor_id"]),
    ] {
        let method = match path.matches('/').count() {
            3 => Method::GET,
            _ => Method::DELETE,
        };
        let answer = app.alice.send(app.alice.request(method, &path)).await;
        let problem = answer.expect_problem(400, "malformed_path");
        assert_eq!(pointers(&problem), named, "{path}");
        assert!(problem["detail"].as_str().unwrap().contains("must be"));
    }
}

#[tokio::test]
async fn the_front_door_says_what_is_behind_it() {
    let app = TestApp::start().await;
    let nobody = Client::new(&app.url, "");
    let index = nobody.send(nobody.request(Method::GET, "/")).await;
    assert!(varies(&index.headers).contains(&"accept".to_owned()));
    let index = index.expect(200);
    assert_eq!(index["name"], "Daybook");
    for door in ["documentation", "openapi", "health"] {
        let path = index[door].as_str().unwrap();
        assert_eq!(
            nobody.send(nobody.request(Method::GET, path)).await.status,
            200,
            "{door}"
        );
    }
    let browser = nobody
        .request(Method::GET, "/")
        .header("Accept", "text/html,*/*;q=0.8");
    let page = browser.send().await.unwrap();
    assert!(page.url().path().starts_with("/docs"));
    assert_eq!(page.status(), 200);
}

#[tokio::test]
async fn the_name_that_a_request_calls_the_server_by_is_not_repeated() {
    let app = OwnApp::start().await;
    let nobody = Client::new(&app.url, "");
    for host in [
        "evil.example.com",
        "localhost:3000.evil.com",
        "a\"b.localhost",
    ] {
        let ask = |method: Method, path: &str| nobody.request(method, path).header("Host", host);
        let refused = nobody.send(ask(Method::POST, "/mcp")).await;
        assert_eq!(refused.status, 401);
        let challenge = refused.header("www-authenticate").to_owned();
        let metadata = nobody
            .send(ask(
                Method::GET,
                "/.well-known/oauth-protected-resource/mcp",
            ))
            .await;
        let document = nobody
            .send(ask(Method::GET, "/openapi.json"))
            .await
            .expect(200);
        let told = [challenge, metadata.expect(200).to_string()];
        assert!(!document["servers"].to_string().contains(host));
        for text in told {
            assert!(text.contains(&app.url), "{text}");
            assert!(!text.contains(host), "{text}");
        }
    }
    let public = app
        .restart(&[("DAYBOOK_PUBLIC_URL", "https://daybook.example.com/")])
        .await;
    let document = public.alice.request(Method::GET, "/openapi.json");
    let document = public.alice.send(document).await.expect(200);
    assert_eq!(
        document["servers"],
        json!([{"url": "https://daybook.example.com"}])
    );
}
