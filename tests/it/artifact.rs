//! Artifacts: files and addresses attached to notes.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::file::{read, request, store, upload, wanted};
use crate::harness::{Client, TestApp, eventually, id, pointers, types};

/// Alice's note in a workspace.
struct Cast {
    app: TestApp,
    workspace_id: Uuid,
    note: Value,
}

impl Cast {
    async fn assemble() -> Self {
        let app = TestApp::start().await;
        let workspace_id = app.alice.workspace().await;
        let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
        Self {
            app,
            workspace_id,
            note,
        }
    }

    fn path(&self) -> String {
        format!("/v1/notes/{}/artifacts", id(&self.note))
    }

    async fn attach(&self, file: &Value) -> Value {
        let body = json!({"file_id": id(file)});
        self.app.alice.post(&self.path(), body).await.expect(201)
    }
}

fn at(artifact: &Value) -> String {
    format!("/v1/artifacts/{}", id(artifact))
}

async fn delete_file(client: &Client, file: &Value) -> crate::harness::Answer {
    client.delete(&format!("/v1/files/{}", id(file))).await
}

#[tokio::test]
async fn a_file_is_attached_with_what_is_known_of_it() {
    let cast = Cast::assemble().await;
    let file = store(&cast.app, "tea.txt", b"tea").await;
    let artifact = cast.attach(&file).await;
    for field in ["name", "media_type", "size", "sha256"] {
        assert_eq!(artifact[field], file[field], "{field}");
    }
    assert_eq!(artifact["note_id"], cast.note["id"]);
    assert_eq!(artifact["workspace_id"], json!(cast.workspace_id));
    let events = cast.app.alice.events("category=artifact").await;
    assert_eq!(types(&events), ["artifact.attached"]);
    assert_eq!(events[0]["data"]["sha256"], file["sha256"]);
    let alice = &cast.app.alice;
    assert_eq!(alice.ids(&cast.path()).await, [id(&artifact)]);
    let listed = format!("/v1/artifacts?workspace_id={}", cast.workspace_id);
    assert_eq!(alice.ids(&listed).await, [id(&artifact)]);
    let listed = format!("/v1/artifacts?file_id={}", id(&file));
    assert_eq!(alice.ids(&listed).await, [id(&artifact)]);
}

#[tokio::test]
async fn an_address_is_attached_as_it_is_said_to_be() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let page =
        json!({"url": "https://tea.example/steep", "name": "Steeping", "media_type": "text/html"});
    let artifact = alice.post(&cast.path(), page).await.expect(201);
    assert_eq!(artifact["url"], "https://tea.example/steep");
    assert_eq!(
        (&artifact["size"], &artifact["file_id"]),
        (&Value::Null, &Value::Null)
    );
    let wrong = json!({"url": "javascript:alert(1)"});
    let problem = alice.post(&cast.path(), wrong).await;
    let problem = problem.expect_problem(400, "validation_failed");
    assert_eq!(pointers(&problem), ["/name", "/media_type", "/url"]);
    let neither = json!({"name": "Steeping", "media_type": "text/html"});
    let problem = alice.post(&cast.path(), neither).await;
    let problem = problem.expect_problem(400, "validation_failed");
    assert_eq!(pointers(&problem), ["/file_id"]);
}

#[tokio::test]
async fn a_file_that_is_attached_stays_until_it_is_detached() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let file = store(&cast.app, "tea.txt", b"tea").await;
    let artifact = cast.attach(&file).await;
    let problem = delete_file(alice, &file).await;
    let problem = problem.expect_problem(422, "file_in_use");
    let told = problem["detail"].as_str().unwrap();
    assert!(
        told.contains(&format!("artifact-{}", id(&artifact))),
        "{told}"
    );

    let detached = alice.delete(&at(&artifact)).await.expect(200);
    assert_eq!(detached["status"], "detached");
    assert_eq!(alice.ids(&cast.path()).await, Vec::<Uuid>::new());
    let listed = "/v1/artifacts?status=detached";
    assert_eq!(alice.ids(listed).await, [id(&artifact)]);
    let restore = format!("{}/restore", at(&artifact));
    alice.post_empty(&restore).await.expect(200);
    delete_file(alice, &file)
        .await
        .expect_problem(422, "file_in_use");
    assert_eq!(read(&cast.app, &file).await, b"tea");

    alice.delete(&at(&artifact)).await.expect(200);
    assert_eq!(delete_file(alice, &file).await.status, 204);
    let answer = alice.post_empty(&restore).await;
    answer.expect_problem(422, "artifact_file_unavailable");
}

#[tokio::test]
async fn it_is_renamed_and_its_file_is_not() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let file = store(&cast.app, "tea.txt", b"tea").await;
    let artifact = cast.attach(&file).await;
    let renamed = alice
        .patch(&at(&artifact), json!({"name": "Green tea"}))
        .await;
    assert_eq!(renamed.expect(200)["name"], "Green tea");
    let known = alice.get(&format!("/v1/files/{}", id(&file))).await;
    assert_eq!(known.expect(200)["name"], "tea.txt");
    let answer = alice.patch(&at(&artifact), json!({"name": "../tea"})).await;
    answer.expect_problem(400, "validation_failed");
}

#[tokio::test]
async fn only_what_is_there_and_of_the_same_workspace_is_attached() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let asked = request(alice, wanted("tea.txt", 3)).await;
    let mut elsewhere = wanted("tea.txt", 3);
    elsewhere["workspace_id"] = json!(alice.workspace().await);
    let elsewhere = request(alice, elsewhere).await;
    upload(&cast.app, &elsewhere, "tea").await.expect(200);
    let stranger = cast.app.stranger().await;
    let theirs = request(&stranger, wanted("tea.txt", 3)).await;
    upload(&cast.app, &theirs, "tea").await.expect(200);
    for file in [&asked, &elsewhere, &theirs] {
        let answer = alice.post(&cast.path(), json!({"file_id": id(file)})).await;
        answer.expect_problem(422, "artifact_file_unavailable");
    }
    let mut here = wanted("tea.txt", 3);
    here["workspace_id"] = json!(cast.workspace_id);
    let here = request(alice, here).await;
    upload(&cast.app, &here, "tea").await.expect(200);
    cast.attach(&here).await;
}

#[tokio::test]
async fn its_workspace_decides_who_sees_and_changes_it() {
    let cast = Cast::assemble().await;
    let app = &cast.app;
    let file = store(app, "tea.txt", b"tea").await;
    let artifact = cast.attach(&file).await;
    let viewer = app.actor("person", &["*"]).await;
    let outsider = app.actor("person", &["*"]).await;
    app.alice.admit(cast.workspace_id, &viewer, "viewer").await;
    viewer.get(&at(&artifact)).await.expect(200);
    let rename = json!({"name": "x"});
    let answer = viewer.patch(&at(&artifact), rename.clone()).await;
    answer.expect_problem(403, "workspace_role_insufficient");
    let body = json!({"file_id": id(&file)});
    let answer = viewer.post(&cast.path(), body.clone()).await;
    answer.expect_problem(403, "workspace_role_insufficient");
    outsider
        .get(&at(&artifact))
        .await
        .expect_problem(404, "not_found");
    outsider
        .get(&cast.path())
        .await
        .expect_problem(404, "not_found");
    assert_eq!(outsider.ids("/v1/artifacts").await, Vec::<Uuid>::new());
    for answer in [
        outsider.patch(&at(&artifact), rename).await,
        outsider.delete(&at(&artifact)).await,
        outsider.post(&cast.path(), body).await,
    ] {
        answer.expect_problem(404, "workspace_not_found");
    }
}

#[tokio::test]
async fn it_goes_out_of_sight_with_its_note_and_for_good_with_it() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let file = store(&cast.app, "tea.txt", b"tea").await;
    let artifact = cast.attach(&file).await;
    let note = format!("/v1/notes/{}", id(&cast.note));
    alice.post_empty(&format!("{note}/trash")).await.expect(200);
    alice
        .get(&at(&artifact))
        .await
        .expect_problem(404, "not_found");
    let body = json!({"file_id": id(&file)});
    let answer = alice.post(&cast.path(), body).await;
    answer.expect_problem(422, "artifact_note_unavailable");
    alice
        .post_empty(&format!("{note}/restore"))
        .await
        .expect(200);
    alice.get(&at(&artifact)).await.expect(200);

    alice.post_empty(&format!("{note}/trash")).await.expect(200);
    delete_file(alice, &file)
        .await
        .expect_problem(422, "file_in_use");
    alice.delete(&note).await;
    eventually(async || {
        let events = alice.events("category=artifact").await;
        (*types(&events).last()? == "artifact.removed").then_some(())
    })
    .await;
    assert_eq!(delete_file(alice, &file).await.status, 204);
}
