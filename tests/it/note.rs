//! Notes.

use std::collections::BTreeSet;

use chrono::DateTime;
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, OwnApp, TestApp, id, pointers, types};

fn at(note: &Value) -> String {
    format!("/v1/notes/{}", id(note))
}

fn tagged(workspace_id: Uuid, title: &str, tags: &[&str]) -> Value {
    json!({"workspace_id": workspace_id, "title": title, "body": "", "tags": tags})
}

async fn statuses(client: &Client, workspace_id: Uuid) -> [usize; 3] {
    let mut counts = [0; 3];
    for (count, status) in counts.iter_mut().zip(["active", "archived", "trashed"]) {
        let path = format!("/v1/notes?workspace_id={workspace_id}&status={status}");
        *count = client.ids(&path).await.len();
    }
    counts
}

#[tokio::test]
async fn a_note_is_written_and_read_back_as_it_was_answered() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let written = app
        .alice
        .post("/v1/notes", json!({"workspace_id": workspace_id, "title": "Tea", "body": "Steep it.", "tags": ["Drink"]}))
        .await;
    assert_eq!(written.header("etag"), "\"1\"");
    let position = written.position();
    let note = written.expect(201);
    assert_eq!(note["tags"], json!(["drink"]));
    assert_eq!(note["position"], position);
    let read = app.alice.get_at(&at(&note), position).await;
    assert_eq!(read.expect(200), note);
}

#[tokio::test]
async fn a_note_tells_all_that_its_clients_are_written_against() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app
        .alice
        .post(
            "/v1/notes",
            json!({"workspace_id": workspace_id, "title": "Tea"}),
        )
        .await
        .expect(201);
    assert_eq!(id(&note).get_version_num(), 7);
    for (field, value) in [
        ("workspace_id", json!(workspace_id)),
        ("title", json!("Tea")),
        ("body", json!("")),
        ("tags", json!([])),
        ("status", json!("active")),
        ("version", json!(1)),
        ("created_by", json!(app.alice.actor_id)),
        ("position", json!(app.position().await)),
    ] {
        assert_eq!(note[field], value, "{field}");
    }
    let created_at = note["created_at"].as_str().unwrap();
    assert!(DateTime::parse_from_rfc3339(created_at).is_ok() && created_at.ends_with('Z'));
    assert_eq!(note["updated_at"], created_at);
}

#[tokio::test]
async fn any_text_is_kept_as_it_was_sent() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    for (title, body) in [
        ("", ""),
        ("  blanks around ", "  blanks around\t"),
        ("line", "line\r\nline\n\n"),
        (
            "e\u{301} é 👩‍👩‍👧",
            "\u{202e}right to left\u{2066} \u{feff}\u{fffd}\u{10ffff}",
        ),
        ("\\u0000 and \\\\ and \"", "\\u0000 and \u{1}\u{1f}\u{7f}"),
        (
            "'; drop table notes; -- $1 %s {{x}} <script>",
            "'; drop table notes; -- $1 %s {{x}} <script>",
        ),
    ] {
        let note = app.alice.note(workspace_id, title, body).await;
        let read = app.alice.get(&at(&note)).await.expect(200);
        assert_eq!(
            (&read["title"], &read["body"]),
            (&json!(title), &json!(body))
        );
        assert_eq!(read, note);
    }
}

#[tokio::test]
async fn a_revision_changes_what_it_names_and_the_history_says_who_why_and_what() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let editor = app.actor("person", &["*"]).await;
    app.alice.admit(workspace_id, &editor, "editor").await;
    let note = app.alice.note(workspace_id, "Tea", "Steep it.\n").await;

    let revised = editor
        .patch(
            &at(&note),
            json!({"title": "Green tea", "tags": ["Drink "], "reason": "be precise"}),
        )
        .await;
    assert_eq!(revised.header("etag"), "\"3\"");
    let revised = revised.expect(200);
    for (field, value) in [
        ("title", json!("Green tea")),
        ("body", note["body"].clone()),
        ("tags", json!(["drink"])),
        ("version", json!(3)),
        ("created_at", note["created_at"].clone()),
        ("created_by", json!(app.alice.actor_id)),
    ] {
        assert_eq!(revised[field], value, "{field}");
    }
    assert_eq!(app.alice.get(&at(&note)).await.expect(200), revised);

    let history = app.alice.get(&format!("{}/history", at(&note))).await;
    let history = history.expect(200);
    assert_eq!(history["next_cursor"], Value::Null);
    let versions = history["items"].as_array().unwrap();
    assert_eq!(
        types(versions),
        ["note.tagged", "note.revised", "note.created"]
    );
    let [tags, title, created] = versions.as_slice() else {
        unreachable!("three versions were just counted")
    };
    for version in [tags, title] {
        assert_eq!(
            version["actor"],
            json!({"kind": "person", "id": editor.actor_id})
        );
        assert_eq!(version["reason"], "be precise");
        assert_eq!(version["command"], "note.revise");
    }
    assert_eq!(
        title["diff"],
        "--- version 1\n+++ version 2\n@@ -1,4 +1,4 @@\n-title: Tea\n+title: Green tea\n tags: \n \n Steep it.\n"
    );
    assert_eq!(
        tags["diff"],
        "--- version 2\n+++ version 3\n@@ -1,4 +1,4 @@\n title: Green tea\n-tags: \n+tags: drink\n \n Steep it.\n"
    );
    assert_eq!(created["actor"]["id"], json!(app.alice.actor_id));
    assert_eq!(created["version"], 1);
    assert_eq!(created["position"], note["position"]);
    assert!(created.get("reason").is_none());
    let recorded = app
        .alice
        .events(&format!("stream=note-{}", id(&note)))
        .await;
    for (event, version) in recorded.iter().rev().zip(versions) {
        assert_eq!(event["event_id"], version["event_id"]);
        assert_eq!(event["position"], version["position"]);
    }
}

#[tokio::test]
async fn what_changes_nothing_adds_no_version() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
    let head = app.position().await;
    for body in [
        json!({}),
        json!({"title": "Tea"}),
        json!({"title": "Tea", "body": "Steep it.", "tags": []}),
    ] {
        let answer = app.alice.patch(&at(&note), body).await;
        assert_eq!(answer.header("etag"), "\"1\"");
        assert_eq!(answer.expect(200), note);
    }
    let restore = format!("{}/restore", at(&note));
    assert_eq!(app.alice.post_empty(&restore).await.expect(200), note);
    assert_eq!(app.position().await, head);
}

#[tokio::test]
async fn the_history_is_read_page_by_page() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "0", "").await;
    for title in ["1", "2", "3", "4"] {
        let retitle = json!({"title": title});
        app.alice.patch(&at(&note), retitle).await.expect(200);
    }
    let history = format!("{}/history", at(&note));
    let pages = app.alice.pages(&format!("{history}?limit=2")).await;
    let versions: Vec<Vec<i64>> = pages
        .iter()
        .map(|page| {
            page.iter()
                .map(|v| v["version"].as_i64().unwrap())
                .collect()
        })
        .collect();
    assert_eq!(versions, [vec![5, 4], vec![3, 2], vec![1]]);
    let whole = app.alice.pages(&history).await.concat();
    assert_eq!(pages.concat(), whole);
    for query in ["limit=0", "limit=201"] {
        let answer = app.alice.get(&format!("{history}?{query}")).await;
        answer.expect_problem(400, "malformed_query");
    }
}

#[tokio::test]
async fn a_note_is_archived_trashed_restored_and_purged() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
    assert_eq!(statuses(&app.alice, workspace_id).await, [1, 0, 0]);
    for (command, status, listed) in [
        ("archive", "archived", [0, 1, 0]),
        ("restore", "active", [1, 0, 0]),
        ("trash", "trashed", [0, 0, 1]),
        ("restore", "active", [1, 0, 0]),
        ("archive", "archived", [0, 1, 0]),
        ("trash", "trashed", [0, 0, 1]),
    ] {
        let answer = app
            .alice
            .post_empty(&format!("{}/{command}", at(&note)))
            .await;
        let answered = answer.expect(200);
        assert_eq!(answered["status"], status);
        assert_eq!(app.alice.get(&at(&note)).await.expect(200), answered);
        assert_eq!(statuses(&app.alice, workspace_id).await, listed);
    }
    let purged = app.alice.delete(&at(&note)).await;
    assert_eq!(purged.header("etag"), "\"8\"");
    assert_eq!(purged.expect(204), "");
    assert_eq!(statuses(&app.alice, workspace_id).await, [0, 0, 0]);
}

#[tokio::test]
async fn a_purged_note_is_gone_for_everybody_but_the_auditor() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
    let path = at(&note);
    app.alice
        .post_empty(&format!("{path}/trash"))
        .await
        .expect(200);
    app.alice.delete(&path).await.expect(204);
    for read in ["", "/history", "?as_of=9999999"] {
        let answer = app.alice.get(&format!("{path}{read}")).await;
        answer.expect_problem(404, "not_found");
    }
    for command in ["archive", "trash", "restore"] {
        let answer = app.alice.post_empty(&format!("{path}/{command}")).await;
        answer.expect_problem(404, "note_not_found");
    }
    let retitle = app.alice.patch(&path, json!({"title": "Back?"})).await;
    retitle.expect_problem(404, "note_not_found");
    let again = app.alice.delete(&path).await;
    again.expect_problem(404, "note_not_found");
    let stream = format!("stream=note-{}", id(&note));
    assert_eq!(
        types(&app.alice.events(&stream).await),
        ["note.created", "note.trashed", "note.purged"]
    );
}

#[tokio::test]
async fn what_the_state_of_a_note_forbids_is_refused() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
    let path = at(&note);
    let retitle = json!({"title": "Green tea"});
    let purge = app.alice.delete(&path).await;
    purge.expect_problem(422, "note_not_in_trash");
    for command in ["archive", "trash"] {
        let moved = app.alice.post_empty(&format!("{path}/{command}")).await;
        let moved = moved.expect(200);
        let patch = app.alice.patch(&path, retitle.clone()).await;
        patch.expect_problem(422, "note_not_active");
        assert_eq!(app.alice.get(&path).await.expect(200), moved);
    }
    let archive = app.alice.post_empty(&format!("{path}/archive")).await;
    archive.expect_problem(422, "note_not_active");
    let unknown = format!("/v1/notes/{}", Uuid::now_v7());
    app.alice
        .get(&unknown)
        .await
        .expect_problem(404, "not_found");
    let patch = app.alice.patch(&unknown, retitle).await;
    patch.expect_problem(404, "note_not_found");
}

#[tokio::test]
async fn a_note_is_read_as_it_was_at_a_position_or_a_time() {
    let app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let first = app.alice.note(workspace_id, "Tea", "Steep it.").await;
    let path = at(&first);
    let between = app.alice.note(workspace_id, "Other", "").await;
    let second = app.alice.patch(&path, json!({"title": "Green tea"})).await;
    let second = second.expect(200);
    let third = app.alice.post_empty(&format!("{path}/trash")).await;
    let third = third.expect(200);
    let was = async |moment: &str| {
        let answer = app.alice.get(&format!("{path}?as_of={moment}")).await;
        let version = answer.header("etag").to_owned();
        let note = answer.expect(200);
        assert_eq!(version, format!("\"{}\"", note["version"]));
        note
    };
    for note in [&first, &second, &third] {
        assert_eq!(was(&note["position"].to_string()).await, *note);
        let time = note["updated_at"].as_str().unwrap();
        assert_eq!(was(time).await, *note);
        // The same time in another time zone, with the plus sign escaped and bare.
        let local = DateTime::parse_from_rfc3339(time).unwrap();
        let local = local.with_timezone(&chrono::FixedOffset::east_opt(7200).unwrap());
        assert_eq!(was(&local.to_rfc3339().replace('+', "%2B")).await, *note);
        assert_eq!(was(&local.to_rfc3339()).await, *note);
    }
    assert_eq!(was(&between["position"].to_string()).await, first);
    let head = app.alice.head().await;
    assert_eq!(was(&head.to_string()).await, third);
    assert_eq!(was("9999-12-31T23:59:59Z").await, third);

    let ahead = app.alice.get(&format!("{path}?as_of={}", head + 1)).await;
    let problem = ahead.expect_problem(400, "position_ahead");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains(&head.to_string())
    );
    for before in ["0", "2001-01-01T00:00:00Z"] {
        let answer = app.alice.get(&format!("{path}?as_of={before}")).await;
        answer.expect_problem(404, "not_found");
    }
    for nonsense in [
        "",
        "-1",
        "9223372036854775808",
        "yesterday",
        "2026-13-01T00:00:00Z",
        "1.5",
        "2026-01-01",
    ] {
        let answer = app.alice.get(&format!("{path}?as_of={nonsense}")).await;
        let problem = answer.expect_problem(400, "malformed_query");
        assert_eq!(pointers(&problem), ["as_of"]);
    }
}

#[tokio::test]
async fn notes_are_listed_by_workspace_tag_and_status_newest_first() {
    let app = TestApp::start().await;
    let (here, there) = (app.alice.workspace().await, app.alice.workspace().await);
    let mut notes = vec![];
    for (workspace_id, title, tags) in [
        (here, "a", &["red", "Big"][..]),
        (here, "b", &["red"]),
        (there, "c", &["red"]),
        (here, "d", &[]),
        (here, "e", &["big"]),
        (there, "f", &["Straße", "Cafe\u{301}"]),
        (there, "g", &["STRASSE", "ΟΔΟΣ"]),
    ] {
        let body = tagged(workspace_id, title, tags);
        notes.push(id(&app.alice.post("/v1/notes", body).await.expect(201)));
    }
    let [a, b, c, d, e, f, g] = notes.try_into().unwrap();
    let archive = format!("/v1/notes/{b}/archive");
    app.alice.post_empty(&archive).await.expect(200);
    for (query, expected) in [
        (String::new(), vec![g, f, e, d, c, b, a]),
        ("tag=strasse".into(), vec![g, f]),
        ("tag=STRA%C3%9FE".into(), vec![g, f]),
        ("tag=CAF%C3%89".into(), vec![f]),
        ("tag=%CE%BF%CE%B4%CE%BF%CF%83".into(), vec![g]),
        (format!("workspace_id={here}"), vec![e, d, b, a]),
        ("tag=red".into(), vec![c, b, a]),
        ("tag=%20BIG".into(), vec![e, a]),
        ("tag=re".into(), vec![]),
        ("status=archived".into(), vec![b]),
        (
            format!("workspace_id={here}&tag=red&status=active"),
            vec![a],
        ),
        (format!("workspace_id={}", Uuid::now_v7()), vec![]),
    ] {
        let path = format!("/v1/notes?{query}");
        assert_eq!(app.alice.ids(&path).await, expected, "{query}");
    }
    let pages = app.alice.pages("/v1/notes?limit=2").await;
    let sizes: Vec<usize> = pages.iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 2, 2, 1]);
    let walked: Vec<Uuid> = pages.concat().iter().map(id).collect();
    assert_eq!(walked, [g, f, e, d, c, b, a]);
    // A page that ends with the last item has no next cursor.
    assert_eq!(app.alice.pages("/v1/notes?limit=7").await.len(), 1);
    // Tags that differ only in case or composition are one tag, in the first spelling.
    let path = format!("/v1/notes/{f}");
    let tags = json!({"tags": ["strasse", "CAFÉ", "cafe\u{301}"]});
    let note = app.alice.patch(&path, tags).await.expect(200);
    assert_eq!(
        (&note["tags"], &note["version"]),
        (&json!(["café", "straße"]), &json!(1))
    );

    for (query, pointer) in [
        ("status=gone", "status"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
    ] {
        let answer = app.alice.get(&format!("/v1/notes?{query}")).await;
        let problem = answer.expect_problem(400, "malformed_query");
        assert_eq!(pointers(&problem), [pointer]);
    }
}

#[tokio::test]
async fn every_field_at_fault_is_named_at_once_and_the_bounds_themselves_are_allowed() {
    let app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let many_tags = |count: usize| (0..count).map(|i| format!("{i:064}")).collect::<Vec<_>>();
    let write = |title: usize, body: usize, tags: Vec<String>| json!({"workspace_id": workspace_id, "title": "é".repeat(title), "body": "x".repeat(body), "tags": tags});
    let head = app.position().await;
    let too_much = app
        .alice
        .post("/v1/notes", write(501, (1 << 20) + 1, many_tags(65)))
        .await;
    let problem = too_much.expect_problem(400, "validation_failed");
    assert_eq!(pointers(&problem), ["/title", "/body", "/tags"]);
    for tags in [json!([" "]), json!(["x".repeat(65)])] {
        let body = json!({"workspace_id": workspace_id, "title": "", "tags": tags});
        let problem = app.alice.post("/v1/notes", body).await;
        let problem = problem.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&problem), ["/tags"]);
    }
    let wrong_types = json!({"workspace_id": "here", "title": 7, "tags": {}});
    let problem = app.alice.post("/v1/notes", wrong_types).await;
    let problem = problem.expect_problem(400, "validation_failed");
    let mut named = pointers(&problem);
    named.sort_unstable();
    assert_eq!(named, ["/tags", "/title", "/workspace_id"]);
    assert_eq!(app.position().await, head);

    let most = app
        .alice
        .post("/v1/notes", write(500, 1 << 20, many_tags(64)))
        .await;
    let note = most.expect(201);
    let problem = app
        .alice
        .patch(&at(&note), json!({"title": "x".repeat(501), "tags": [""]}))
        .await;
    let problem = problem.expect_problem(400, "validation_failed");
    assert_eq!(pointers(&problem), ["/title", "/tags"]);
    assert_eq!(app.alice.get(&at(&note)).await.expect(200), note);
}

#[tokio::test]
async fn members_read_owners_and_editors_write_and_strangers_see_nothing() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
    let path = at(&note);
    let commands = async |client: &Client| {
        [
            client
                .post("/v1/notes", tagged(workspace_id, "New", &[]))
                .await,
            client.patch(&path, json!({"body": "Boil it."})).await,
            client.post_empty(&format!("{path}/archive")).await,
            client.post_empty(&format!("{path}/restore")).await,
            client.post_empty(&format!("{path}/trash")).await,
        ]
    };
    let of_product = format!("product={}", app.product_id);
    let before = app.operator.events(&of_product).await.len();
    let stranger = app.actor("person", &["*"]).await;
    for read in ["", "/history", "?as_of=99"] {
        let answer = stranger.get(&format!("{path}{read}")).await;
        answer.expect_problem(404, "not_found");
    }
    assert!(stranger.ids("/v1/notes").await.is_empty());
    let filtered = format!("/v1/notes?workspace_id={workspace_id}");
    assert!(stranger.ids(&filtered).await.is_empty());
    for answer in commands(&stranger).await {
        answer.expect_problem(404, "workspace_not_found");
    }
    for role in ["viewer", "agent"] {
        let member = app.actor("person", &["*"]).await;
        app.alice.admit(workspace_id, &member, role).await;
        assert_eq!(member.get(&path).await.expect(200), note);
        assert_eq!(member.ids("/v1/notes").await, [id(&note)]);
        for answer in commands(&member).await {
            answer.expect_problem(403, "workspace_role_insufficient");
        }
    }
    let notes = app.alice.events("category=note").await;
    assert_eq!(types(&notes), ["note.created"]);
    assert_eq!(
        app.operator.events(&of_product).await.len(),
        before + 3 * 2 + 2,
        "three actors with a key each, two members"
    );

    let editor = app.actor("person", &["*"]).await;
    app.alice.admit(workspace_id, &editor, "editor").await;
    for (answer, status) in commands(&editor)
        .await
        .into_iter()
        .zip([201, 200, 200, 200, 200])
    {
        answer.expect(status);
    }
}

#[tokio::test]
async fn the_notes_of_an_archived_workspace_are_read_and_no_longer_written() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
    let path = at(&note);
    app.alice
        .post_empty(&format!("/v1/workspaces/{workspace_id}/archive"))
        .await
        .expect(200);
    for answer in [
        app.alice
            .post("/v1/notes", tagged(workspace_id, "New", &[]))
            .await,
        app.alice.patch(&path, json!({"title": "Green tea"})).await,
        app.alice.post_empty(&format!("{path}/trash")).await,
    ] {
        answer.expect_problem(422, "workspace_archived");
    }
    assert_eq!(app.alice.get(&path).await.expect(200), note);
    let nowhere = tagged(Uuid::now_v7(), "New", &[]);
    let nowhere = app.alice.post("/v1/notes", nowhere).await;
    nowhere.expect_problem(404, "workspace_not_found");
}

#[tokio::test]
async fn commands_on_one_note_at_once_are_each_done_once_and_in_a_row() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Tea", "").await;
    let path = format!("/v1/notes/{}", id(&note));
    let titles: BTreeSet<String> = (0..64).map(|n| format!("Title {n}")).collect();
    let revised = join_all(titles.iter().map(async |title| {
        let answer = app.alice.patch(&path, json!({"title": title})).await;
        let shown = answer.expect(200);
        assert_eq!(
            shown["title"],
            title.as_str(),
            "each answer is that of its own command"
        );
        shown["version"].as_i64().unwrap()
    }))
    .await;
    let versions: BTreeSet<i64> = revised.into_iter().collect();
    assert_eq!(versions, (2..66).collect());
    let events = app.alice.events("type=note.revised").await;
    let written: BTreeSet<String> = events
        .iter()
        .map(|event| event["data"]["title"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((events.len(), written), (64, titles));
}

#[tokio::test]
async fn a_client_sees_what_it_has_just_written() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    for turn in 0..100 {
        let title = format!("Tea {turn}");
        let note = app.alice.note(workspace_id, &title, "").await;
        let seen = app.alice.get(&format!("/v1/notes/{}", id(&note))).await;
        assert_eq!(seen.expect(200)["title"], title);
        let listed = app.alice.get("/v1/notes?limit=1").await.expect(200);
        assert_eq!(listed["items"][0]["id"], note["id"]);
    }
}
