//! Avatars: pictures of actors, in three sizes.

use chrono::Utc;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::file::{fetch, request, sha256, store, upload, url, wanted};
use crate::harness::{Client, TestApp, eventually, id};

/// A red PNG picture of one pixel.
pub const PIXEL: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00, 0x00, 0x90, 0x77, 0x53,
    0xde, 0x00, 0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0xf8, 0xcf, 0xc0, 0x00,
    0x00, 0x03, 0x01, 0x01, 0x00, 0xc9, 0xfe, 0x92, 0xef, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e,
    0x44, 0xae, 0x42, 0x60, 0x82,
];

/// Returns a request for an upload of a picture of this size.
pub fn picture(size: usize) -> Value {
    json!({"container": "avatars", "name": "me.png", "media_type": "image/png", "size": size})
}

async fn upload_picture(app: &TestApp, client: &Client, bytes: &[u8]) -> Value {
    let asked = request(client, picture(bytes.len())).await;
    upload(app, &asked, bytes.to_vec()).await.expect(200)
}

fn path(actor: &Client) -> String {
    format!("/v1/actors/{}/avatar", actor.actor_id)
}

async fn set(by: &Client, of: &Client, file: &Value) -> crate::harness::Answer {
    by.put(&path(of), json!({"file_id": id(file)})).await
}

/// Waits until the avatar has all sizes.
async fn shown(app: &TestApp, of: &Client) -> Value {
    eventually(async || {
        let avatar = app.alice.get(&path(of)).await.expect(200);
        (avatar["sizes"].as_array()?.len() == 3).then_some(avatar)
    })
    .await
}

#[tokio::test]
async fn a_picture_is_shown_in_three_sizes_which_never_change() {
    let app = TestApp::start().await;
    let file = upload_picture(&app, &app.alice, PIXEL).await;
    set(&app.alice, &app.alice, &file).await.expect(200);
    let avatar = shown(&app, &app.alice).await;
    assert_eq!(avatar["file_id"], file["id"]);
    let sizes = avatar["sizes"].as_array().unwrap();
    for (size, pixels) in sizes.iter().zip([64, 128, 256]) {
        assert_eq!(size["pixels"], pixels);
        let answer = fetch(&app, Method::GET, url(size), &[]).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), size["media_type"]);
        assert_eq!(sha256(&answer.bytes), size["sha256"]);
        assert!(answer.header("cache-control").ends_with("immutable"));
        let tag = answer.header("etag").to_owned();
        assert_eq!(tag, format!("\"{}\"", sha256(&answer.bytes)));
        let known = [("If-None-Match", tag.as_str())];
        let again = fetch(&app, Method::GET, url(size), &known).await;
        assert_eq!(again.status, 304);
        // The header of a JPEG has its dimensions; this one is a square.
        let frame = answer.bytes.windows(2).position(|two| two == [0xff, 0xc0]);
        let frame = &answer.bytes[frame.unwrap()..];
        let edge = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        assert_eq!((edge(5), edge(7)), (pixels, pixels));
        // The address stays the same for a day.
        let until = url(size).split_once("expires=").unwrap().1;
        let until: i64 = until.split('&').next().unwrap().parse().unwrap();
        assert!(until - Utc::now().timestamp() >= 86_400, "{until}");
        // An address is valid for its size only.
        let other = url(size).replace(&format!("pixels={pixels}"), "pixels=32");
        assert_eq!(fetch(&app, Method::GET, &other, &[]).await.status, 403);
    }
}

#[tokio::test]
async fn what_is_no_picture_is_said_to_be_none_and_is_nobodys() {
    let app = TestApp::start().await;
    for bytes in [&b""[..], b"<svg onload=alert(1)>", &PIXEL[..40]] {
        let file = upload_picture(&app, &app.alice, bytes).await;
        let path = format!("/v1/files/{}", id(&file));
        let reason = eventually(async || {
            let file = app.alice.get(&path).await.expect(200);
            file["resize_failed"].as_str().map(str::to_owned)
        })
        .await;
        assert!(!reason.is_empty());
        let answer = set(&app.alice, &app.alice, &file).await;
        answer.expect_problem(422, "avatar_file_unavailable");
    }
    app.alice
        .get(&path(&app.alice))
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn everybody_sets_their_own_and_who_manages_actors_those_of_others() {
    let app = TestApp::start().await;
    let bob = app.actor("person", &["avatars:write", "files:write"]).await;
    let file = upload_picture(&app, &bob, PIXEL).await;
    set(&bob, &bob, &file).await.expect(200);
    let answer = set(&bob, &app.alice, &file).await;
    answer.expect_problem(403, "avatar_not_yours");
    set(&app.alice, &bob, &file).await.expect(200);
    let mut nobody = bob.clone();
    nobody.actor_id = Uuid::now_v7();
    let answer = set(&app.alice, &nobody, &file).await;
    answer.expect_problem(404, "avatar_not_found");
    // A file that is an avatar cannot be deleted.
    let path_of_file = format!("/v1/files/{}", id(&file));
    let answer = app.alice.delete(&path_of_file).await;
    answer.expect_problem(422, "file_in_use");
    assert_eq!(bob.delete(&path(&bob)).await.status, 204);
    assert_eq!(app.alice.delete(&path_of_file).await.status, 204);
}

#[tokio::test]
async fn another_picture_takes_the_place_of_the_one_before() {
    let app = TestApp::start().await;
    let first = upload_picture(&app, &app.alice, PIXEL).await;
    let second = upload_picture(&app, &app.alice, PIXEL).await;
    set(&app.alice, &app.alice, &first).await.expect(200);
    set(&app.alice, &app.alice, &second).await.expect(200);
    let delete = async |file: &Value| app.alice.delete(&format!("/v1/files/{}", id(file))).await;
    app.settle().await;
    assert_eq!(delete(&first).await.status, 204);
    delete(&second).await.expect_problem(422, "file_in_use");
    app.settle().await;
    // Both files have the same bytes, which the second one keeps.
    let avatar = shown(&app, &app.alice).await;
    for size in avatar["sizes"].as_array().unwrap() {
        assert_eq!(fetch(&app, Method::GET, url(size), &[]).await.status, 200);
    }
}

#[tokio::test]
async fn a_picture_is_of_the_container_for_pictures_and_of_no_workspace() {
    let app = TestApp::start().await;
    let text = store(&app, "tea.txt", b"tea").await;
    let mut bound = picture(PIXEL.len());
    bound["workspace_id"] = json!(app.alice.workspace().await);
    let bound = request(&app.alice, bound).await;
    upload(&app, &bound, PIXEL).await.expect(200);
    let asked = request(&app.alice, wanted("tea.txt", 3)).await;
    for file in [&text, &bound, &asked] {
        let answer = set(&app.alice, &app.alice, file).await;
        answer.expect_problem(422, "avatar_file_unavailable");
    }
}
