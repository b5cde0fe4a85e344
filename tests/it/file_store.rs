//! The supported file stores: all behave the same for clients.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blobs::{Blobs, Place, Secret};
use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client as Http, Method, Url};
use sha2::Sha256;
use tokio::process::{Child, Command};

use crate::file::{address, fetch, noise, read, request, store, upload, url, wanted};
use crate::file_sweep::{litter, names, sweep};
use crate::harness::{Client, OwnApp, PATIENCE, eventually, folder, id};

/// Azurite's only account.
const ACCOUNT: &str = "devstoreaccount1";
/// Azurite's well-known key.
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A store for one test. Dropping it ends its process.
struct Store {
    place: Place,
    _process: Child,
}

/// Returns a program that `scripts/ensure-file-stores.sh` installs.
fn installed(path: &str) -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let program = target.parent().unwrap().join("file-stores").join(path);
    assert!(
        program.exists(),
        "{} is not there: scripts/ensure-file-stores.sh installs it",
        program.display()
    );
    program
}

/// Returns a port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Runs a program that dies with this process, at a port of its own; waits until it answers, and returns its address.
async fn launch(program: PathBuf, arguments: impl Fn(&str) -> Vec<String>) -> (Child, String) {
    // Installs the TLS provider for the client that polls the address.
    drop(Client::new("", ""));
    let up = async {
        loop {
            let port = free_port().to_string();
            let address = format!("http://127.0.0.1:{port}");
            let mut process = Command::new("setpriv")
                .args(["--pdeathsig", "KILL"])
                .arg(&program)
                .args(arguments(&port))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            // If it has ended, another process has taken the port.
            while process.try_wait().unwrap().is_none() {
                if Http::new().get(&address).send().await.is_ok() {
                    return (process, address);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    // An interpreter takes time to start.
    let up = tokio::time::timeout(4 * PATIENCE, up).await;
    up.unwrap_or_else(|_| panic!("{} does not start", program.display()))
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

impl Store {
    /// Starts moto's S3 server with an empty bucket.
    async fn s3() -> Self {
        let program = installed("venv/bin/moto_server");
        let arguments = |port: &str| texts(&["-H", "127.0.0.1", "-p", port]);
        let (process, endpoint) = launch(program, arguments).await;
        let made = Http::new().put(format!("{endpoint}/files")).send().await;
        assert!(made.unwrap().status().is_success());
        let place = Place {
            url: "s3://files/below".into(),
            endpoint: Some(endpoint),
            region: Some("us-east-1".into()),
            account: Some("somebody".into()),
            secret: Some(Secret("hush".into())),
        };
        Self {
            place,
            _process: process,
        }
    }

    /// Starts the Azure Blob Storage server Azurite with an empty container.
    async fn azure() -> Self {
        let program = installed("node_modules/.bin/azurite-blob");
        let arguments = |port: &str| {
            let place = texts(&["--blobHost", "127.0.0.1", "--blobPort", port]);
            let quiet = [
                "--silent",
                "--inMemoryPersistence",
                "--skipApiVersionCheck",
                "--disableTelemetry",
            ];
            [place, texts(&quiet)].concat()
        };
        let (process, address) = launch(program, arguments).await;
        make_container(&address).await;
        let place = Place {
            url: "az://files/below".into(),
            endpoint: Some(format!("{address}/{ACCOUNT}")),
            region: None,
            account: Some(ACCOUNT.into()),
            secret: Some(Secret(KEY.into())),
        };
        Self {
            place,
            _process: process,
        }
    }

    /// Returns a server's environment variables for the store.
    fn variables(&self) -> Vec<(&'static str, &str)> {
        let Place {
            url,
            endpoint,
            region,
            account,
            secret,
        } = &self.place;
        let mut variables = vec![("DAYBOOK_FILES_URL", url.as_str())];
        let others = [
            ("DAYBOOK_FILES_ENDPOINT", endpoint.as_deref()),
            ("DAYBOOK_FILES_REGION", region.as_deref()),
            ("DAYBOOK_FILES_ACCOUNT", account.as_deref()),
            (
                "DAYBOOK_FILES_SECRET",
                secret.as_ref().map(|Secret(secret)| secret.as_str()),
            ),
        ];
        variables.extend(
            others
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        variables
    }
}

/// Signs as Azure requires (Shared Key), which saves its client library.
async fn make_container(address: &str) {
    let date = Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let signed = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:2021-08-06\n/{ACCOUNT}/{ACCOUNT}/files\nrestype:container"
    );
    let key = STANDARD.decode(KEY).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(signed.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let url = Url::parse(&format!("{address}/{ACCOUNT}/files?restype=container")).unwrap();
    let made = Http::new()
        .put(url)
        .header("x-ms-date", date)
        .header("x-ms-version", "2021-08-06")
        .header("Content-Length", "0")
        .header("Authorization", format!("SharedKey {ACCOUNT}:{signature}"))
        .send()
        .await
        .unwrap();
    let (status, text) = (made.status(), made.text().await.unwrap());
    assert!(status.is_success(), "{status} {text}");
}

/// Checks the behaviour that every store must have.
async fn keeps_files(place: &Place, variables: &[(&str, &str)]) {
    let app = OwnApp::start_with(variables).await;
    let blobs = Blobs::open(place).unwrap();
    // In one request, in several parts, and empty.
    let large = noise((6 << 20) + 3);
    let file = store(&app, "large.bin", &large).await;
    let empty = store(&app, "empty.txt", b"").await;
    let tea = store(&app, "tea.txt", b"tea").await;
    assert_eq!(read(&app, &file).await, large);
    assert_eq!(read(&app, &empty).await, b"");
    let address = address(&app.alice, &file).await;
    let part = [("Range", "bytes=5242878-5242881")];
    let part = fetch(&app, Method::GET, &address, &part).await;
    assert_eq!(
        (part.status, part.bytes.as_slice()),
        (206, &large[5_242_878..5_242_882])
    );

    // Equal bytes are stored once, and deleted with the last file that references them.
    let again = store(&app, "again.txt", b"tea").await;
    assert_eq!(names(&blobs).await.len(), 3);
    for (file, objects) in [(&tea, 3), (&again, 2)] {
        let path = format!("/v1/files/{}", id(file));
        assert_eq!(app.alice.delete(&path).await.status, 204);
        eventually(async || (names(&blobs).await.len() == objects).then_some(())).await;
        app.settle().await;
        assert_eq!(names(&blobs).await.len(), objects);
    }
    let back = store(&app, "back.txt", b"tea").await;
    assert_eq!(read(&app, &back).await, b"tea");

    // A refused upload leaves nothing, whatever its size.
    let before = names(&blobs).await;
    for size in [4, 7 << 20] {
        let asked = request(&app.alice, wanted("short.bin", size)).await;
        let pieces = futures::stream::iter([Ok::<_, std::io::Error>(noise(size - 1))]);
        let answer = upload(&app, &asked, reqwest::Body::wrap_stream(pieces)).await;
        answer.expect_problem(422, "file_size_mismatch");
    }
    assert_eq!(names(&blobs).await, before);

    litter(&app, &blobs).await;
    let old = [variables, &[("DAYBOOK_FILES_SWEEP_GRACE", "1")]].concat();
    eventually(async || {
        sweep(&app, &old, &[]).await;
        (names(&blobs).await == before).then_some(())
    })
    .await;
    assert_eq!(read(&app, &file).await, large);
}

#[tokio::test]
async fn a_local_folder_keeps_files() {
    let directory = store::testing::directory();
    let url = directory.join("files").display().to_string();
    let place = Place {
        url: url.clone(),
        ..Place::default()
    };
    keeps_files(&place, &[("DAYBOOK_FILES_URL", &url)]).await;
}

#[tokio::test]
async fn s3_keeps_files() {
    let store = Store::s3().await;
    keeps_files(&store.place, &store.variables()).await;
}

#[tokio::test]
async fn azure_keeps_files() {
    let store = Store::azure().await;
    keeps_files(&store.place, &store.variables()).await;
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_named_and_its_secret_is_not() {
    let endpoint = format!("http://127.0.0.1:{}", free_port());
    let gone = [
        ("DAYBOOK_FILES_URL", "s3://cellar"),
        ("DAYBOOK_FILES_ENDPOINT", endpoint.as_str()),
        ("DAYBOOK_FILES_ACCOUNT", "somebody"),
        ("DAYBOOK_FILES_SECRET", "hush-hush"),
    ];
    let app = OwnApp::start_with(&gone).await;
    let nobody = Client::new(&app.url, "");
    let ready = nobody
        .send(nobody.request(Method::GET, "/health/ready"))
        .await;
    let ready = ready.expect(503);
    let told = ready["not_ready"][0].as_str().unwrap();
    assert!(
        told.starts_with("files: ") && told.contains("s3://cellar"),
        "{told}"
    );
    assert!(!ready.to_string().contains("hush"), "{ready}");
    // Everything else works, and the upload can be repeated later.
    let asked = request(&app.alice, wanted("tea.txt", 3)).await;
    let answer = upload(&app, &asked, "tea").await;
    let problem = answer.expect_problem(503, "file_store_unavailable");
    assert!(!problem.to_string().contains("hush"), "{problem}");
    assert!(url(&asked["upload"]).starts_with("/files/"));
}

#[tokio::test]
async fn a_folder_that_is_gone_is_named() {
    let app = OwnApp::start().await;
    let folder = folder(&app.database_url);
    std::fs::remove_dir_all(&folder).unwrap();
    let nobody = Client::new(&app.url, "");
    let told = eventually(async || {
        let ready = nobody
            .send(nobody.request(Method::GET, "/health/ready"))
            .await;
        (ready.status == 503).then_some(ready.body)
    })
    .await;
    assert!(
        told["not_ready"][0]
            .as_str()
            .unwrap()
            .contains(folder.to_str().unwrap())
    );
}
