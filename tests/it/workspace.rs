//! Workspaces and their members.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, OwnApp, TestApp, id, pointers, types};

async fn open(client: &Client, name: &str) -> Value {
    client
        .post("/v1/workspaces", json!({"name": name}))
        .await
        .expect(201)
}

fn at(workspace: &Value) -> String {
    format!("/v1/workspaces/{}", id(workspace))
}

fn member(workspace: &Value, actor: &Client) -> String {
    format!("{}/members/{}", at(workspace), actor.actor_id)
}

#[tokio::test]
async fn whoever_opens_a_workspace_owns_it() {
    let app = TestApp::start().await;
    let opened = app
        .alice
        .post("/v1/workspaces", json!({"name": "Research"}))
        .await;
    assert_eq!(opened.header("etag"), "\"1\"");
    let position = opened.position();
    let workspace = opened.expect(201);
    for (field, value) in [
        ("name", json!("Research")),
        ("status", json!("active")),
        ("members", json!({app.alice.actor_id.to_string(): "owner"})),
        ("version", json!(1)),
        ("created_by", json!(app.alice.actor_id)),
        ("position", json!(position)),
    ] {
        assert_eq!(workspace[field], value, "{field}");
    }
    let read = app.alice.get_at(&at(&workspace), position).await;
    assert_eq!(read.header("etag"), "\"1\"");
    assert_eq!(read.expect(200), workspace);
    let listed = app.alice.pages("/v1/workspaces").await.concat();
    assert_eq!(listed, [workspace]);
}

#[tokio::test]
async fn a_workspace_is_renamed_and_archived_by_its_owner() {
    let app = TestApp::start().await;
    let workspace = open(&app.alice, "Research").await;
    let path = at(&workspace);
    let archive = format!("{path}/archive");
    let renamed = app.alice.patch(&path, json!({"name": "Lab"})).await;
    assert_eq!(renamed.header("etag"), "\"2\"");
    let renamed = renamed.expect(200);
    assert_eq!(renamed["name"], "Lab");
    assert_eq!(app.alice.get(&path).await.expect(200), renamed);
    let same = app.alice.patch(&path, json!({"name": "Lab"})).await;
    assert_eq!(same.expect(200), renamed, "the same name is no new version");

    let archived = app.alice.post_empty(&archive).await.expect(200);
    assert_eq!(
        (&archived["status"], &archived["version"]),
        (&json!("archived"), &json!(3))
    );
    assert_eq!(app.alice.get(&path).await.expect(200), archived);
    let again = app.alice.post_empty(&archive).await;
    assert_eq!(again.expect(200), archived);
    let stranger = app.actor("person", &["*"]).await;
    for answer in [
        app.alice.patch(&path, json!({"name": "Back"})).await,
        app.alice
            .put(&member(&workspace, &stranger), json!({"role": "viewer"}))
            .await,
        app.alice.delete(&member(&workspace, &app.alice)).await,
    ] {
        answer.expect_problem(422, "workspace_archived");
    }
    let stream = format!("stream=workspace-{}", id(&workspace));
    assert_eq!(
        types(&app.alice.events(&stream).await),
        [
            "workspace.created",
            "workspace.renamed",
            "workspace.archived"
        ]
    );
}

#[tokio::test]
async fn a_workspace_needs_a_name() {
    let app = TestApp::start().await;
    let workspace = open(&app.alice, &"é".repeat(200)).await;
    for name in [String::new(), "x".repeat(201)] {
        let body = json!({"name": name});
        for answer in [
            app.alice.post("/v1/workspaces", body.clone()).await,
            app.alice.patch(&at(&workspace), body).await,
        ] {
            let problem = answer.expect_problem(400, "validation_failed");
            assert_eq!(pointers(&problem), ["/name"]);
        }
    }
    let nameless = app.alice.post_empty("/v1/workspaces").await;
    nameless.expect_problem(400, "validation_failed");
    let nobody = format!("/v1/workspaces/{}", Uuid::now_v7());
    let rename = app.alice.patch(&nobody, json!({"name": "Ghost"})).await;
    rename.expect_problem(404, "workspace_not_found");
    app.alice
        .get(&nobody)
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn members_join_change_roles_and_leave() {
    let app = TestApp::start().await;
    let workspace = open(&app.alice, "Research").await;
    let bob = app.actor("person", &["*"]).await;
    bob.get(&at(&workspace))
        .await
        .expect_problem(404, "not_found");
    assert!(bob.ids("/v1/workspaces").await.is_empty());
    for (version, role) in (2..).zip(["viewer", "agent", "editor", "owner"]) {
        for _repeated in 0..2 {
            let set = app
                .alice
                .put(&member(&workspace, &bob), json!({"role": role}))
                .await;
            let set = set.expect(200);
            assert_eq!(set["members"][bob.actor_id.to_string()], role);
            assert_eq!(set["version"], version);
            assert_eq!(bob.get(&at(&workspace)).await.expect(200), set);
        }
        assert_eq!(bob.ids("/v1/workspaces").await, [id(&workspace)]);
    }
    let removed = app
        .alice
        .delete(&member(&workspace, &bob))
        .await
        .expect(200);
    assert_eq!(removed["members"], workspace["members"]);
    bob.get(&at(&workspace))
        .await
        .expect_problem(404, "not_found");
    let again = app.alice.delete(&member(&workspace, &bob)).await;
    again.expect_problem(404, "workspace_member_not_found");
    let unknown = app
        .alice
        .put(&member(&workspace, &bob), json!({"role": "king"}))
        .await;
    let problem = unknown.expect_problem(400, "validation_failed");
    assert_eq!(pointers(&problem), ["/role"]);
}

#[tokio::test]
async fn only_actors_of_the_product_become_members() {
    let app = TestApp::start().await;
    let workspace = open(&app.alice, "Research").await;
    let bob = app.actor("person", &["*"]).await;
    let stranger = app.stranger().await;
    for nobody in [Uuid::now_v7(), Uuid::nil(), stranger.actor_id] {
        let path = format!("{}/members/{nobody}", at(&workspace));
        for role in ["owner", "viewer"] {
            let body = json!({"role": role});
            let answer = app.alice.put(&path, body.clone()).await;
            answer.expect_problem(422, "workspace_actor_unknown");
            // A caller without access cannot probe for actors.
            let answer = bob.put(&path, body).await;
            answer.expect_problem(404, "workspace_not_found");
        }
    }
    let unchanged = app.alice.get(&at(&workspace)).await.expect(200);
    assert_eq!(unchanged, workspace);
    // This keeps a workspace from having only an owner who does not exist.
    let left = app.alice.delete(&member(&workspace, &app.alice)).await;
    left.expect_problem(422, "workspace_last_owner");
    app.alice.admit(id(&workspace), &bob, "owner").await;
}

#[tokio::test]
async fn the_operator_opens_no_workspace() {
    let app = TestApp::start().await;
    let body = json!({"name": "Nowhere"});
    let answer = app.operator.post("/v1/workspaces", body).await;
    app.appended_nothing(&answer).await;
    answer.expect_problem(422, "workspace_needs_product");
}

#[tokio::test]
async fn only_owners_manage_a_workspace_and_everybody_may_leave_it() {
    let app = TestApp::start().await;
    let workspace = open(&app.alice, "Research").await;
    let stranger = app.actor("person", &["*"]).await;
    let manage = async |client: &Client| {
        [
            client.patch(&at(&workspace), json!({"name": "Mine"})).await,
            client
                .post_empty(&format!("{}/archive", at(&workspace)))
                .await,
            client
                .put(&member(&workspace, client), json!({"role": "owner"}))
                .await,
            client.delete(&member(&workspace, &app.alice)).await,
        ]
    };
    for answer in manage(&stranger).await {
        answer.expect_problem(404, "workspace_not_found");
    }
    for role in ["viewer", "agent", "editor"] {
        let bob = app.actor("person", &["*"]).await;
        app.alice.admit(id(&workspace), &bob, role).await;
        for answer in manage(&bob).await {
            answer.expect_problem(403, "workspace_role_insufficient");
        }
        let left = bob.delete(&member(&workspace, &bob)).await.expect(200);
        assert_eq!(left["members"], workspace["members"]);
    }
}

#[tokio::test]
async fn the_last_owner_cannot_leave_or_step_down() {
    let app = TestApp::start().await;
    let workspace = open(&app.alice, "Research").await;
    let bob = app.actor("person", &["*"]).await;
    app.alice.admit(id(&workspace), &bob, "editor").await;
    let me = member(&workspace, &app.alice);
    for answer in [
        app.alice.delete(&me).await,
        app.alice.put(&me, json!({"role": "viewer"})).await,
    ] {
        answer.expect_problem(422, "workspace_last_owner");
    }
    app.alice.admit(id(&workspace), &bob, "owner").await;
    app.alice.delete(&me).await.expect(200);
    app.alice
        .get(&at(&workspace))
        .await
        .expect_problem(404, "not_found");
    let bob_leaves = bob.delete(&member(&workspace, &bob)).await;
    bob_leaves.expect_problem(422, "workspace_last_owner");
}

#[tokio::test]
async fn a_removed_member_loses_access_at_once() {
    let app = TestApp::start().await;
    let workspace = open(&app.alice, "Research").await;
    let note = app.alice.note(id(&workspace), "Tea", "Steep it.").await;
    let bob = app.actor("person", &["*"]).await;
    app.alice.admit(id(&workspace), &bob, "editor").await;
    let proposal = bob
        .post(
            "/v1/proposals",
            json!({"workspace_id": id(&workspace), "rationale": "order",
                "actions": [{"type": "note.archive", "note_id": id(&note)}]}),
        )
        .await
        .expect(201);
    app.alice
        .delete(&member(&workspace, &bob))
        .await
        .expect(200);

    let (note, proposal) = (
        format!("/v1/notes/{}", id(&note)),
        format!("/v1/proposals/{}", id(&proposal)),
    );
    let write = bob.patch(&note, json!({"title": "Mine"})).await;
    write.expect_problem(404, "workspace_not_found");
    let withdraw = bob.post_empty(&format!("{proposal}/withdraw")).await;
    withdraw.expect_problem(404, "workspace_not_found");
    for read in [
        &note,
        &format!("{note}/history"),
        &proposal,
        &at(&workspace),
    ] {
        bob.get(read).await.expect_problem(404, "not_found");
    }
    for list in ["/v1/notes", "/v1/proposals", "/v1/workspaces"] {
        assert!(bob.ids(list).await.is_empty(), "{list}");
    }
    app.alice.get(&note).await.expect(200);
}

#[tokio::test]
async fn workspaces_are_listed_newest_first_page_by_page() {
    let app = OwnApp::start().await;
    let mut opened = vec![];
    for name in ["a", "b", "c"] {
        opened.insert(0, open(&app.alice, name).await);
    }
    let elsewhere = app.actor("person", &["*"]).await;
    let other = open(&elsewhere, "theirs").await;
    let pages = app.alice.pages("/v1/workspaces?limit=2").await;
    assert_eq!(pages, [&opened[..2], &opened[2..]]);
    assert_eq!(elsewhere.ids("/v1/workspaces").await, [id(&other)]);
    let all = app.operator.ids("/v1/workspaces").await;
    assert_eq!(all.len(), 4, "the operator sees every workspace");
}
