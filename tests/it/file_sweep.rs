//! The sweep removes unreferenced objects, and nothing else.

use std::collections::BTreeSet;

use blobs::{Blobs, Place};
use bytes::Bytes;
use futures::TryStreamExt;
use serde_json::json;

use crate::file::{read, request, sha256, store, upload, wanted};
use crate::harness::{OwnApp, command, eventually, folder, id};

/// Returns the names of the objects in a store.
pub async fn names(blobs: &Blobs) -> BTreeSet<String> {
    let objects: Vec<_> = blobs.list(None).try_collect().await.unwrap();
    objects.into_iter().map(|object| object.name).collect()
}

/// Opens the default store of a server.
fn local(app: &OwnApp) -> Blobs {
    let place = Place {
        url: folder(&app.database_url).display().to_string(),
        ..Place::default()
    };
    Blobs::open(&place).unwrap()
}

/// Creates garbage in the store: bytes that were never recorded, and an upload that never ended.
pub async fn litter(app: &OwnApp, blobs: &Blobs) -> [String; 2] {
    let orphan = format!("{}/attachments/{}.0", app.product_id, sha256(b"orphan"));
    let names = [orphan, format!("arriving/{}", uuid::Uuid::now_v7())];
    for name in &names {
        let bytes = Bytes::from_static(b"orphan");
        blobs.write(name, bytes).await.unwrap();
    }
    names
}

/// Runs the command; returns its output.
pub async fn sweep(app: &OwnApp, variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let mut command = command(&app.database_url, variables);
    let output = command.args(["files", "sweep"]).args(arguments);
    let output = output.output().await.unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_command_removes_what_no_file_has_once_it_is_old() {
    const OLD: (&str, &str) = ("DAYBOOK_FILES_SWEEP_GRACE", "1");
    let app = OwnApp::start().await;
    let blobs = local(&app);
    let file = store(&app, "tea.txt", b"tea").await;
    let foreign = "somebody/else.txt".to_owned();
    let bytes = Bytes::from_static(b"theirs");
    blobs.write(&foreign, bytes).await.unwrap();
    let litter = litter(&app, &blobs).await;
    let all = names(&blobs).await;

    let said = sweep(&app, &[], &[]).await;
    assert!(said.contains("1 foreign, 1 kept, 2 young"), "{said}");
    assert_eq!(names(&blobs).await, all);
    let said = eventually(async || {
        let said = sweep(&app, &[OLD], &["--dry-run"]).await;
        said.contains("2 orphan").then_some(said)
    })
    .await;
    for name in &litter {
        assert!(said.contains(&format!("would remove {name}")), "{said}");
    }
    assert_eq!(names(&blobs).await, all);
    let said = sweep(&app, &[OLD], &[]).await;
    for name in &litter {
        assert!(said.contains(&format!("removed {name}")), "{said}");
    }
    let kept = format!("{}/attachments/{}.0", app.product_id, sha256(b"tea"));
    assert_eq!(names(&blobs).await, BTreeSet::from([kept, foreign]));
    assert_eq!(read(&app, &file).await, b"tea");
}

#[tokio::test]
async fn bytes_that_were_swept_away_can_come_again() {
    let app = OwnApp::start().await;
    let blobs = local(&app);
    let asked = request(&app.alice, wanted("tea.txt", 6)).await;
    let [orphan, _] = litter(&app, &blobs).await;
    eventually(async || {
        sweep(&app, &[("DAYBOOK_FILES_SWEEP_GRACE", "1")], &[]).await;
        names(&blobs).await.is_empty().then_some(())
    })
    .await;
    upload(&app, &asked, "orphan").await.expect(200);
    assert_eq!(read(&app, &asked).await, b"orphan");
    let again = orphan.replace(".0", ".1");
    assert_eq!(names(&blobs).await, BTreeSet::from([again]));
}

#[tokio::test]
async fn the_server_sweeps_by_itself() {
    let often = [
        ("DAYBOOK_FILES_SWEEP_INTERVAL", "1"),
        ("DAYBOOK_FILES_SWEEP_GRACE", "1"),
    ];
    let app = OwnApp::start_with(&often).await;
    let blobs = local(&app);
    let file = store(&app, "tea.txt", b"tea").await;
    litter(&app, &blobs).await;
    eventually(async || (names(&blobs).await.len() == 1).then_some(())).await;
    assert_eq!(read(&app, &file).await, b"tea");
    let request = app.alice.request(reqwest::Method::GET, "/metrics");
    let metrics = app.alice.send(request).await.expect(200).to_string();
    assert!(
        metrics.contains("daybook_files_swept_total{fate=\\\"orphan\\\"} 2"),
        "{metrics}"
    );
    let work = app.operator.get("/v1/jobs").await.expect(200);
    let kinds = work["items"].as_array().unwrap();
    let sweeps = kinds
        .iter()
        .filter(|item| item["kind"] == json!("file.sweep"));
    assert_eq!(sweeps.count(), 1);
    assert_eq!(app.alice.ids("/v1/files").await, [id(&file)]);
}
