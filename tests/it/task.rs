//! Tasks.

use chrono::{Days, NaiveDate, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, OwnApp, TestApp, id, pointers, types};

/// A workspace of Alice's with an editor, an agent and a viewer in it.
struct Cast {
    app: TestApp,
    editor: Client,
    agent: Client,
    viewer: Client,
    workspace_id: Uuid,
}

impl Cast {
    async fn assemble() -> Self {
        Self::on(TestApp::start().await).await
    }

    async fn on(app: TestApp) -> Self {
        let workspace_id = app.alice.workspace().await;
        let mut admitted = vec![];
        for (kind, role) in [
            ("person", "editor"),
            ("agent", "agent"),
            ("person", "viewer"),
        ] {
            let actor = app.actor(kind, &["*"]).await;
            app.alice.admit(workspace_id, &actor, role).await;
            admitted.push(actor);
        }
        let [editor, agent, viewer] = <[Client; 3]>::try_from(admitted).ok().unwrap();
        Self {
            app,
            editor,
            agent,
            viewer,
            workspace_id,
        }
    }

    fn titled(&self, title: &str) -> Value {
        json!({"workspace_id": self.workspace_id, "title": title})
    }

    async fn task(&self, title: &str) -> Value {
        let task = self.app.alice.post("/v1/tasks", self.titled(title)).await;
        task.expect(201)
    }

    async fn suggestion(&self, title: &str) -> Value {
        let path = "/v1/tasks/suggestions";
        self.agent.post(path, self.titled(title)).await.expect(201)
    }

    async fn titles(&self, query: &str) -> Vec<String> {
        titles(&self.app.alice, query).await
    }
}

fn at(task: &Value) -> String {
    format!("/v1/tasks/{}", id(task))
}

async fn titles(client: &Client, query: &str) -> Vec<String> {
    let pages = client.pages(&format!("/v1/tasks?{query}")).await;
    let tasks = pages.concat();
    let title = |task: &Value| task["title"].as_str().unwrap().to_owned();
    tasks.iter().map(title).collect()
}

fn in_days(days: i64) -> NaiveDate {
    let today = Utc::now().date_naive();
    match u64::try_from(days) {
        Ok(days) => today + Days::new(days),
        Err(_) => today - Days::new(days.unsigned_abs()),
    }
}

#[tokio::test]
async fn a_task_is_made_and_read_back_as_it_was_answered() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let note = alice.note(cast.workspace_id, "Tea", "").await;
    let made = alice
        .post(
            "/v1/tasks",
            json!({
                "workspace_id": cast.workspace_id, "note_id": id(&note), "title": " Buy tea ",
                "assignee": cast.editor.actor_id, "due_on": "2030-01-31", "labels": ["Shop "],
            }),
        )
        .await;
    assert_eq!(made.header("etag"), "\"1\"");
    let task = made.expect(201);
    for (field, value) in [
        ("workspace_id", json!(cast.workspace_id)),
        ("note_id", note["id"].clone()),
        ("title", json!("Buy tea")),
        ("status", json!("open")),
        ("assignee", json!(cast.editor.actor_id)),
        ("due_on", json!("2030-01-31")),
        ("labels", json!(["shop"])),
        ("completed_at", Value::Null),
        ("created_by", json!(alice.actor_id)),
    ] {
        assert_eq!(task[field], value, "{field}");
    }
    for member in [alice, &cast.editor, &cast.agent, &cast.viewer] {
        assert_eq!(member.get(&at(&task)).await.expect(200), task);
    }
}

#[tokio::test]
async fn what_somebody_suggests_a_person_accepts_or_dismisses() {
    let cast = Cast::assemble().await;
    let (wanted, unwanted) = (
        cast.suggestion("Buy tea").await,
        cast.suggestion("Sell tea").await,
    );
    assert_eq!(wanted["status"], "suggested");
    assert_eq!(wanted["created_by"], json!(cast.agent.actor_id));
    for (task, command, status) in [
        (&wanted, "accept", "open"),
        (&wanted, "accept", "open"),
        (&unwanted, "dismiss", "dismissed"),
        (&unwanted, "dismiss", "dismissed"),
    ] {
        let answer = cast
            .editor
            .post_empty(&format!("{}/{command}", at(task)))
            .await;
        assert_eq!(answer.header("etag"), "\"2\"");
        assert_eq!(answer.expect(200)["status"], status);
    }
    assert_eq!(cast.titles("status=open").await, ["Buy tea"]);
    assert_eq!(cast.titles("status=dismissed").await, ["Sell tea"]);
    for (task, command) in [(&wanted, "dismiss"), (&unwanted, "accept")] {
        let answer = cast
            .editor
            .post_empty(&format!("{}/{command}", at(task)))
            .await;
        answer.expect_problem(409, "task_not_suggested");
    }
}

#[tokio::test]
async fn an_agent_suggests_and_does_not_create_accept_or_dismiss() {
    let cast = Cast::assemble().await;
    let task = cast.suggestion("Buy tea").await;
    let create = cast.agent.post("/v1/tasks", cast.titled("Buy tea")).await;
    create.expect_problem(403, "agent_not_allowed");
    for command in ["accept", "dismiss", "complete"] {
        let answer = cast
            .agent
            .post_empty(&format!("{}/{command}", at(&task)))
            .await;
        answer.expect_problem(403, "agent_not_allowed");
    }
    // An agent is refused with any role.
    cast.app
        .alice
        .admit(cast.workspace_id, &cast.agent, "editor")
        .await;
    let create = cast.agent.post("/v1/tasks", cast.titled("Buy tea")).await;
    create.expect_problem(403, "agent_not_allowed");
    let service = cast.app.actor("service", &["*"]).await;
    cast.app
        .alice
        .admit(cast.workspace_id, &service, "editor")
        .await;
    for (machine, status, code) in [
        (&cast.agent, 403, "agent_not_allowed"),
        (&service, 422, "task_needs_person"),
    ] {
        for command in ["accept", "dismiss"] {
            let answer = machine
                .post_empty(&format!("{}/{command}", at(&task)))
                .await;
            answer.expect_problem(status, code);
        }
    }
    let made = service.post("/v1/tasks", cast.titled("By a service")).await;
    assert_eq!(made.expect(201)["status"], "open");
}

#[tokio::test]
async fn a_viewer_only_reads() {
    let cast = Cast::assemble().await;
    let task = cast.task("Buy tea").await;
    for path in ["/v1/tasks", "/v1/tasks/suggestions"] {
        let answer = cast.viewer.post(path, cast.titled("Mine")).await;
        answer.expect_problem(403, "workspace_role_insufficient");
    }
    for command in ["accept", "dismiss", "complete", "reopen"] {
        let answer = cast
            .viewer
            .post_empty(&format!("{}/{command}", at(&task)))
            .await;
        answer.expect_problem(403, "workspace_role_insufficient");
    }
    let answers = [
        cast.viewer
            .patch(&at(&task), json!({"title": "Mine"}))
            .await,
        cast.viewer.delete(&at(&task)).await,
        cast.viewer
            .post(&format!("{}/move", at(&task)), json!({"before": id(&task)}))
            .await,
    ];
    for answer in answers {
        answer.expect_problem(403, "workspace_role_insufficient");
    }
    assert_eq!(cast.viewer.get(&at(&task)).await.expect(200), task);
}

#[tokio::test]
async fn who_is_no_member_finds_nothing() {
    let cast = Cast::assemble().await;
    let task = cast.task("Buy tea").await;
    let colleague = cast.app.actor("person", &["*"]).await;
    let stranger = cast.app.stranger().await;
    for other in [&colleague, &stranger] {
        assert_eq!(other.ids("/v1/tasks").await, Vec::<Uuid>::new());
        let answer = other.get(&at(&task)).await;
        answer.expect_problem(404, "not_found");
        for path in ["/v1/tasks", "/v1/tasks/suggestions"] {
            let answer = other.post(path, cast.titled("Mine")).await;
            answer.expect_problem(404, "workspace_not_found");
        }
    }
    let complete = format!("{}/complete", at(&task));
    let answer = colleague.post_empty(&complete).await;
    answer.expect_problem(404, "workspace_not_found");
    let answer = stranger.post_empty(&complete).await;
    answer.expect_problem(404, "task_not_found");
}

#[tokio::test]
async fn a_task_is_completed_reopened_and_removed() {
    let cast = Cast::assemble().await;
    let task = cast.task("Buy tea").await;
    for (command, status, is_complete) in [
        ("complete", "done", true),
        ("complete", "done", true),
        ("reopen", "open", false),
        ("reopen", "open", false),
        ("complete", "done", true),
    ] {
        let answer = cast
            .editor
            .post_empty(&format!("{}/{command}", at(&task)))
            .await;
        let answer = answer.expect(200);
        assert_eq!(answer["status"], status);
        let completed_at = match is_complete {
            true => answer["updated_at"].clone(),
            false => Value::Null,
        };
        assert_eq!(answer["completed_at"], completed_at);
        assert_eq!(cast.app.alice.get(&at(&task)).await.expect(200), answer);
    }
    assert_eq!(cast.editor.delete(&at(&task)).await.expect(204), "");
    let answer = cast.app.alice.get(&at(&task)).await;
    answer.expect_problem(404, "not_found");
    for command in ["complete", "reopen", "accept"] {
        let answer = cast
            .editor
            .post_empty(&format!("{}/{command}", at(&task)))
            .await;
        answer.expect_problem(404, "task_not_found");
    }
    assert_eq!(cast.titles("").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_suggestion_is_worked_on_once_it_is_accepted() {
    let cast = Cast::assemble().await;
    let task = cast.suggestion("Buy tea").await;
    for command in ["complete", "reopen"] {
        let answer = cast
            .editor
            .post_empty(&format!("{}/{command}", at(&task)))
            .await;
        answer.expect_problem(422, "task_not_accepted");
    }
    let retitle = async || {
        let revision = json!({"title": "Buy green tea"});
        cast.editor.patch(&at(&task), revision).await
    };
    assert_eq!(retitle().await.expect(200)["status"], "suggested");
    let dismiss = format!("{}/dismiss", at(&task));
    cast.editor.post_empty(&dismiss).await.expect(200);
    retitle().await.expect_problem(422, "task_not_accepted");
}

#[tokio::test]
async fn a_revision_changes_what_it_names_and_null_clears_it() {
    let cast = Cast::assemble().await;
    let task = cast.task("Buy tea").await;
    let all = json!({
        "title": "Buy green tea", "assignee": cast.viewer.actor_id, "due_on": "2030-01-31", "labels": ["shop", "tea"],
    });
    let revised = cast.editor.patch(&at(&task), all.clone()).await;
    assert_eq!(revised.header("etag"), "\"5\"");
    let revised = revised.expect(200);
    for (field, value) in all.as_object().unwrap() {
        assert_eq!(revised[field], *value, "{field}");
    }
    for same in [json!({}), all] {
        let answer = cast.editor.patch(&at(&task), same).await;
        assert_eq!(answer.expect(200), revised);
    }
    let cleared = json!({"assignee": null, "due_on": null, "labels": []});
    let cleared = cast.editor.patch(&at(&task), cleared).await.expect(200);
    assert_eq!(cleared["title"], "Buy green tea");
    assert_eq!(cleared["assignee"], Value::Null);
    assert_eq!(cleared["due_on"], Value::Null);
    assert_eq!(cleared["labels"], json!([]));
    let events = cast
        .app
        .alice
        .events(&format!("stream=task-{}", id(&task)))
        .await;
    let changes = ["task.assigned", "task.scheduled", "task.labelled"];
    let expected = [&["task.created", "task.retitled"][..], &changes, &changes].concat();
    assert_eq!(types(&events), expected);
}

#[tokio::test]
async fn every_field_at_fault_is_named_at_once() {
    let cast = Cast::assemble().await;
    let bad = json!({
        "workspace_id": cast.workspace_id, "title": " ", "due_on": "1969-12-31", "labels": ["", "x".repeat(65)],
    });
    for path in ["/v1/tasks", "/v1/tasks/suggestions"] {
        let answer = cast.app.alice.post(path, bad.clone()).await;
        let problem = answer.expect_problem(400, "validation_failed");
        assert_eq!(
            pointers(&problem),
            ["/title", "/due_on", "/labels", "/labels"]
        );
    }
    let task = cast.task("Buy tea").await;
    let many: Vec<String> = (0..33).map(|n| n.to_string()).collect();
    let bad = json!({"title": "x".repeat(501), "due_on": "+10000-01-01", "labels": many});
    let answer = cast.app.alice.patch(&at(&task), bad).await;
    let problem = answer.expect_problem(400, "validation_failed");
    assert!(pointers(&problem).contains(&"/due_on"));
    for (field, value) in [
        ("title", json!("two\nlines")),
        ("due_on", json!("tomorrow")),
        ("assignee", json!("bob")),
        ("colour", json!("green")),
        ("labels", json!("x")),
    ] {
        let answer = cast
            .app
            .alice
            .patch(&at(&task), json!({field: value}))
            .await;
        let problem = answer.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&problem), [format!("/{field}")]);
    }
}

#[tokio::test]
async fn an_assignee_is_a_member_of_the_workspace() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let colleague = cast.app.actor("person", &["*"]).await;
    let task = cast.task("Buy tea").await;
    for nobody in [colleague.actor_id, Uuid::now_v7()] {
        let mut new = cast.titled("Buy tea");
        new["assignee"] = json!(nobody);
        for path in ["/v1/tasks", "/v1/tasks/suggestions"] {
            let answer = alice.post(path, new.clone()).await;
            answer.expect_problem(422, "task_assignee_not_member");
        }
        let answer = alice.patch(&at(&task), json!({"assignee": nobody})).await;
        answer.expect_problem(422, "task_assignee_not_member");
    }
    alice.admit(cast.workspace_id, &colleague, "viewer").await;
    let assign = json!({"assignee": colleague.actor_id});
    alice.patch(&at(&task), assign).await.expect(200);
}

#[tokio::test]
async fn a_task_belongs_to_a_note_of_its_workspace_that_is_not_in_the_trash() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let elsewhere = alice.workspace().await;
    let other = alice.note(elsewhere, "Elsewhere", "").await;
    let trashed = alice.note(cast.workspace_id, "Trashed", "").await;
    let trash = format!("/v1/notes/{}/trash", id(&trashed));
    alice.post_empty(&trash).await.expect(200);
    for note_id in [id(&other), id(&trashed), Uuid::now_v7()] {
        let mut new = cast.titled("Buy tea");
        new["note_id"] = json!(note_id);
        for path in ["/v1/tasks", "/v1/tasks/suggestions"] {
            let answer = alice.post(path, new.clone()).await;
            answer.expect_problem(422, "task_note_unavailable");
        }
    }
}

#[tokio::test]
async fn tasks_go_out_of_sight_and_come_back_with_their_note_and_are_removed_with_it() {
    let app = OwnApp::start().await;
    let cast = Cast::on(app.clone()).await;
    let alice = &cast.app.alice;
    let note = alice
        .note(cast.workspace_id, "Tea", "- [ ] Boil water\n")
        .await;
    let note_path = format!("/v1/notes/{}", id(&note));
    let mut new = cast.titled("Buy tea");
    new["note_id"] = note["id"].clone();
    let task = alice.post("/v1/tasks", new).await.expect(201);
    cast.app.settle().await;
    let both = ["Boil water", "Buy tea"];
    let query = format!("note_id={}&order=rank", id(&note));
    assert_eq!(cast.titles(&query).await, both);
    for (command, shown) in [("archive", &both[..]), ("trash", &[]), ("restore", &both)] {
        let path = format!("{note_path}/{command}");
        alice.post_empty(&path).await.expect(200);
        cast.app.settle().await;
        assert_eq!(cast.titles(&query).await, shown, "{command}");
        let complete = format!("{}/complete?dry_run=true", at(&task));
        let answer = alice.post_empty(&complete).await;
        if shown.is_empty() {
            answer.expect_problem(422, "task_note_unavailable");
            let answer = alice.get(&at(&task)).await;
            answer.expect_problem(404, "not_found");
        } else {
            answer.expect(200);
            alice.get(&at(&task)).await.expect(200);
        }
    }
    let trash = format!("{note_path}/trash");
    alice.post_empty(&trash).await.expect(200);
    alice.delete(&note_path).await.expect(204);
    cast.app.settle().await;
    let removed = alice.events("type=task.removed").await;
    assert_eq!(removed.len(), 2);
    for event in removed {
        assert_eq!(event["metadata"]["actor"]["kind"], "service");
    }
    assert_eq!(cast.titles("").await, Vec::<String>::new());
    let left = "select count(*) from read.tasks union all select count(*) from read.checklists";
    for row in app.sql().await.query(left, &[]).await.unwrap() {
        assert_eq!(row.get::<_, i64>(0), 0);
    }
}

#[tokio::test]
async fn tasks_are_moved_between_others_and_listed_in_their_order() {
    let cast = Cast::assemble().await;
    let mut tasks = vec![];
    for title in ["a", "b", "c", "d"] {
        tasks.push(cast.task(title).await);
    }
    let [a, b, c, d] = tasks.as_slice() else {
        unreachable!("four were made")
    };
    let place = async |task: &Value, place: Value| {
        let path = format!("{}/move", at(task));
        cast.editor.post(&path, place).await
    };
    let by_rank = async |limit: usize| {
        let query = format!(
            "workspace_id={}&order=rank&limit={limit}",
            cast.workspace_id
        );
        cast.titles(&query).await.concat()
    };
    assert_eq!(by_rank(50).await, "abcd");
    place(d, json!({"after": id(a), "before": id(b)}))
        .await
        .expect(200);
    assert_eq!(by_rank(1).await, "adbc");
    place(c, json!({"before": id(a)})).await.expect(200);
    assert_eq!(by_rank(2).await, "cadb");
    let moved = place(c, json!({"after": id(b)})).await.expect(200);
    assert_eq!(by_rank(3).await, "adbc");
    assert_eq!(cast.app.alice.get(&at(c)).await.expect(200), moved);
    let itself = place(c, json!({"after": id(c)})).await;
    assert_eq!(itself.expect(400)["errors"][0]["pointer"], "/after");
    assert_eq!(
        cast.titles("").await.concat(),
        "dcba",
        "newest first otherwise"
    );

    for wrong in [
        json!({"after": id(b), "before": id(a)}),
        json!({"after": id(a), "before": id(a)}),
    ] {
        let answer = place(c, wrong).await;
        answer.expect_problem(422, "task_no_place");
    }
    let answer = place(c, json!({})).await;
    answer.expect_problem(400, "validation_failed");
    let elsewhere = cast.app.alice.workspace().await;
    let other = json!({"workspace_id": elsewhere, "title": "other"});
    let other = cast.app.alice.post("/v1/tasks", other).await.expect(201);
    for unavailable in [id(&other), Uuid::now_v7()] {
        let answer = place(c, json!({"after": unavailable})).await;
        answer.expect_problem(422, "task_neighbour_unavailable");
    }
    let nothing = json!({"id": Uuid::now_v7()});
    let answer = place(&nothing, json!({"after": id(a)})).await;
    answer.expect_problem(404, "task_not_found");
}

#[tokio::test]
async fn tasks_are_found_by_what_they_are() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let elsewhere = alice.workspace().await;
    let note = alice.note(cast.workspace_id, "Tea", "").await;
    let make = async |title: &str, more: Value| {
        let mut new = cast.titled(title);
        for (field, value) in more.as_object().unwrap() {
            new[field] = value.clone();
        }
        alice.post("/v1/tasks", new).await.expect(201)
    };
    make(
        "mine",
        json!({"assignee": alice.actor_id, "note_id": id(&note)}),
    )
    .await;
    make(
        "theirs",
        json!({"assignee": cast.editor.actor_id, "due_on": in_days(-2)}),
    )
    .await;
    make(
        "today",
        json!({"due_on": in_days(0), "labels": ["Tea", "shop", "Cafe\u{301}", "CAFÉ"]}),
    )
    .await;
    make("late", json!({"due_on": in_days(-1), "labels": ["tea"]})).await;
    let done = make(
        "done",
        json!({"due_on": in_days(-3), "assignee": alice.actor_id}),
    )
    .await;
    let complete = format!("{}/complete", at(&done));
    alice.post_empty(&complete).await.expect(200);
    make("elsewhere", json!({"workspace_id": elsewhere})).await;
    cast.suggestion("suggested").await;

    for (query, expected) in [
        ("", "suggested elsewhere done late today theirs mine"),
        (&format!("workspace_id={elsewhere}"), "elsewhere"),
        (&format!("note_id={}", id(&note)), "mine"),
        ("assignee=me", "done mine"),
        ("assignee=me&status=open", "mine"),
        (&format!("assignee={}", cast.editor.actor_id), "theirs"),
        ("label=%20TEA", "late today"),
        ("label=CAF%C3%89", "today"),
        ("label=tea&overdue=true", "late"),
        ("overdue=true", "late theirs"),
        ("overdue=false&label=shop", "today"),
        (&format!("due_before={}", in_days(0)), "done late theirs"),
        (&format!("due_before={}&status=done", in_days(0)), "done"),
        ("status=suggested", "suggested"),
        ("status=dismissed", ""),
        ("order=newest&assignee=me", "done mine"),
    ] {
        for limit in [1, 2, 200] {
            let found = cast.titles(&format!("{query}&limit={limit}")).await;
            assert_eq!(found.join(" "), expected, "{query} {limit}");
        }
    }
    assert_eq!(titles(&cast.editor, "assignee=me").await, ["theirs"]);
    assert_eq!(
        titles(&cast.editor, &format!("workspace_id={elsewhere}")).await,
        Vec::<String>::new()
    );
    for query in [
        "status=lost",
        "assignee=you",
        "overdue=perhaps",
        "due_before=soon",
        "order=random",
        "note_id=7",
    ] {
        let answer = alice.get(&format!("/v1/tasks?{query}")).await;
        let problem = answer.expect_problem(400, "malformed_query");
        assert_eq!(pointers(&problem), [query.split('=').next().unwrap()]);
    }
}

#[tokio::test]
async fn a_page_by_rank_goes_on_where_a_removed_task_was() {
    let cast = Cast::assemble().await;
    for title in ["a", "b", "c"] {
        cast.task(title).await;
    }
    let page = cast
        .app
        .alice
        .get("/v1/tasks?order=rank&limit=2")
        .await
        .expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let last = id(&page["items"][1]);
    let gone = cast.app.alice.delete(&format!("/v1/tasks/{last}")).await;
    gone.expect(204);
    let query = format!("order=rank&limit=2&cursor={cursor}");
    let rest = cast
        .app
        .alice
        .get(&format!("/v1/tasks?{query}"))
        .await
        .expect(200);
    assert_eq!(rest["items"][0]["title"], "c");
}

#[tokio::test]
async fn a_command_repeated_under_its_key_is_done_once() {
    let cast = Cast::assemble().await;
    let send = async || {
        let request = cast
            .app
            .alice
            .request(Method::POST, "/v1/tasks")
            .header("Idempotency-Key", "k")
            .json(&cast.titled("Buy tea"));
        cast.app.alice.send(request).await
    };
    let first = send().await.expect(201);
    let again = send().await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(201), first);
    assert_eq!(cast.titles("").await, ["Buy tea"]);
}

#[tokio::test]
async fn nothing_changes_in_an_archived_workspace() {
    let cast = Cast::assemble().await;
    let task = cast.task("Buy tea").await;
    let archive = format!("/v1/workspaces/{}/archive", cast.workspace_id);
    cast.app.alice.post_empty(&archive).await.expect(200);
    for path in ["/v1/tasks", "/v1/tasks/suggestions"] {
        let answer = cast.app.alice.post(path, cast.titled("More")).await;
        answer.expect_problem(422, "workspace_archived");
    }
    let answer = cast
        .editor
        .post_empty(&format!("{}/complete", at(&task)))
        .await;
    answer.expect_problem(422, "workspace_archived");
    assert_eq!(cast.titles("").await, ["Buy tea"]);
}
