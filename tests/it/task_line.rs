//! Tasks from lines of notes.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, OwnApp, TestApp, id, types};

/// A note of Alice's with task lines.
struct Page {
    app: TestApp,
    workspace_id: Uuid,
    note: Value,
}

impl Page {
    async fn write(body: &str) -> Self {
        Self::write_in(TestApp::start().await, body).await
    }

    async fn write_in(app: TestApp, body: &str) -> Self {
        let workspace_id = app.alice.workspace().await;
        let note = app.alice.note(workspace_id, "Tea", body).await;
        app.settle().await;
        Self {
            app,
            workspace_id,
            note,
        }
    }

    fn alice(&self) -> &Client {
        &self.app.alice
    }

    async fn rewrite(&self, body: &str) {
        let path = format!("/v1/notes/{}", id(&self.note));
        let revision = json!({"body": body});
        self.alice().patch(&path, revision).await.expect(200);
        self.app.settle().await;
    }

    /// Returns the tasks in order.
    async fn tasks(&self) -> Vec<Value> {
        let path = format!("/v1/tasks?note_id={}&order=rank", id(&self.note));
        self.alice().pages(&path).await.concat()
    }

    async fn task(&self, title: &str) -> Value {
        let mut tasks = self.tasks().await.into_iter();
        tasks.find(|task| task["title"] == title).expect(title)
    }

    /// Returns the tasks in order, as `title: status`.
    async fn told(&self) -> Vec<String> {
        let tell = |task: &Value| {
            format!(
                "{}: {}",
                task["title"].as_str().unwrap(),
                task["status"].as_str().unwrap()
            )
        };
        self.tasks().await.iter().map(tell).collect()
    }

    async fn command(&self, task: &Value, command: &str) {
        let path = format!("/v1/tasks/{}/{command}", id(task));
        self.alice().post_empty(&path).await.expect(200);
    }
}

#[tokio::test]
async fn every_line_of_a_new_note_is_a_task_of_it() {
    let page = Page::write(
        "# Tea\n\n- [ ] Buy **sencha**\n- [x] Boil `water`\n  - [ ] in a kettle\n\n```\n- [ ] no task\n```\n",
    )
    .await;
    assert_eq!(
        page.told().await,
        ["Buy sencha: open", "Boil water: done", "in a kettle: open"]
    );
    let task = page.task("Buy sencha").await;
    assert_eq!(task["workspace_id"], json!(page.workspace_id));
    assert_eq!(task["note_id"], page.note["id"]);
    let created = page.alice().events("type=task.created").await.remove(0);
    let metadata = &created["metadata"];
    let cause = page.alice().events("type=note.created").await.remove(0);
    assert_eq!(metadata["causation_id"], cause["event_id"]);
    assert_eq!(
        metadata["correlation_id"],
        cause["metadata"]["correlation_id"]
    );
    assert_eq!(metadata["on_behalf_of"]["id"], json!(page.alice().actor_id));
    assert_eq!(metadata["command"], "checklist.follow");
}

#[tokio::test]
async fn through_its_revisions_a_line_stays_its_task() {
    let page = Page::write("- [ ] a\n- [ ] b\n- [ ] c\n").await;
    let ids: Vec<Uuid> = page.tasks().await.iter().map(id).collect();

    page.rewrite("Prose.\n\n- [ ] a\n- [x] b\n- [ ] C!\n").await;
    assert_eq!(page.told().await, ["a: open", "b: done", "C!: open"]);
    let now: Vec<Uuid> = page.tasks().await.iter().map(id).collect();
    assert_eq!(now, ids);

    page.rewrite("- [ ] a\n- [ ] new\n- [ ] b\n\n* [x] C!\n")
        .await;
    assert_eq!(
        page.told().await,
        ["a: open", "new: open", "b: open", "C!: done"]
    );
    for (title, was) in [("a", 0), ("b", 1), ("C!", 2)] {
        assert_eq!(id(&page.task(title).await), ids[was], "{title}");
    }

    page.rewrite("- [x] C!\n- [ ] a\n").await;
    assert_eq!(
        page.told().await,
        ["a: open", "C!: done"],
        "a line that moves moves no task"
    );
    assert_eq!(id(&page.task("C!").await), ids[2]);

    page.rewrite("No tasks any more.\n").await;
    assert_eq!(page.told().await, Vec::<String>::new());

    page.rewrite("- [ ] a\n").await;
    assert_eq!(
        id(&page.task("a").await),
        ids[0],
        "what comes back is what it was"
    );
    page.rewrite("- [x] a\n- [ ] c\n").await;
    assert_eq!(page.told().await, ["a: done", "c: open"]);
    assert_eq!(id(&page.task("a").await), ids[0]);
}

#[tokio::test]
async fn of_two_lines_alike_the_open_one_keeps_its_date_when_the_done_one_goes() {
    let page = Page::write("- [x] water plants\n- [ ] water plants\n").await;
    let open = page
        .tasks()
        .await
        .into_iter()
        .find(|task| task["status"] == "open");
    let open = id(&open.unwrap());
    let change = json!({"due_on": "2030-01-01", "assignee": page.alice().actor_id});
    let path = format!("/v1/tasks/{open}");
    page.alice().patch(&path, change).await.expect(200);
    page.rewrite("- [ ] water plants\n").await;
    let [task] = page.tasks().await.try_into().unwrap();
    assert_eq!((id(&task), &task["status"]), (open, &json!("open")));
    assert_eq!(
        (&task["due_on"], &task["assignee"]),
        (&json!("2030-01-01"), &json!(page.alice().actor_id))
    );
}

#[tokio::test]
async fn a_line_break_in_html_is_a_blank_in_a_title() {
    let page =
        Page::write("- [ ] call Ann<br>about the boat\n- [ ] see[^1]\n\n[^1]: a note\n").await;
    assert_eq!(
        page.told().await,
        ["call Ann about the boat: open", "see: open"]
    );
}

#[tokio::test]
async fn only_a_change_of_the_line_itself_changes_its_task() {
    let page = Page::write("- [ ] a\n- [ ] b\n- [ ] c\n").await;
    let [a, b, c] = ["a", "b", "c"];
    page.command(&page.task(a).await, "complete").await;
    let path = format!("/v1/tasks/{}", id(&page.task(b).await));
    let revision = json!({"title": "B by hand", "due_on": "2030-01-31", "labels": ["x"]});
    page.alice().patch(&path, revision).await.expect(200);
    let path = format!("/v1/tasks/{}", id(&page.task(c).await));
    page.alice().delete(&path).await.expect(204);

    page.rewrite("More prose.\n\n- [x] a\n- [ ] b\n- [ ] c\n- [ ] d\n")
        .await;
    assert_eq!(page.told().await, ["a: done", "B by hand: open", "d: open"]);

    page.rewrite("- [x] a\n- [ ] b\n- [x] c\n- [ ] d\n").await;
    assert_eq!(page.told().await, ["a: done", "B by hand: open", "d: open"]);

    page.rewrite("- [ ] a\n- [ ] b, too\n- [x] c\n- [ ] d\n")
        .await;
    assert_eq!(page.told().await, ["a: open", "b, too: open", "d: open"]);
    let b = page.task("b, too").await;
    assert_eq!(
        (&b["due_on"], &b["labels"]),
        (&json!("2030-01-31"), &json!(["x"]))
    );
}

#[tokio::test]
async fn completing_a_task_marks_its_line_and_reopening_it_takes_the_mark_away() {
    let page = Page::write("- [ ] a\n- [ ] **b**\n  - [ ] a\n").await;
    let path = format!("/v1/notes/{}", id(&page.note));
    let b = page.task("b").await;
    page.command(&b, "complete").await;
    let note = page.alice().get(&path).await.expect(200);
    assert_eq!(note["body"], "- [ ] a\n- [x] **b**\n  - [ ] a\n");
    let revised = page.alice().events("type=note.revised").await.remove(0);
    let completed = page.alice().events("type=task.completed").await.remove(0);
    let correlation = |event: &Value| event["metadata"]["correlation_id"].clone();
    assert_eq!(correlation(&revised), correlation(&completed));

    let seconds = page.tasks().await.remove(2);
    page.command(&seconds, "complete").await;
    page.command(&b, "reopen").await;
    let note = page.alice().get(&path).await.expect(200);
    assert_eq!(note["body"], "- [ ] a\n- [ ] **b**\n  - [x] a\n");
    page.app.settle().await;
    assert_eq!(page.told().await, ["a: open", "b: open", "a: done"]);

    page.alice()
        .post_empty(&format!("{path}/archive"))
        .await
        .expect(200);
    page.command(&b, "complete").await;
    let archived = page.alice().get(&path).await.expect(200);
    assert_eq!(
        archived["body"], note["body"],
        "what is archived stays as it is"
    );
}

#[tokio::test]
async fn a_revision_that_leaves_the_lines_alone_appends_nothing_about_them() {
    let page = Page::write("- [ ] a\n").await;
    for body in ["- [ ] a\n\nProse.\n", "*  [ ] **a**\n", "- [ ] a"] {
        page.rewrite(body).await;
    }
    let path = format!("/v1/notes/{}", id(&page.note));
    let retitle = json!({"title": "Green tea", "tags": ["x"]});
    page.alice().patch(&path, retitle).await.expect(200);
    page.app.settle().await;
    let events = page.alice().events("category=task,checklist").await;
    assert_eq!(types(&events), ["checklist.read", "task.created"]);
}

#[tokio::test]
async fn what_a_note_says_while_it_is_put_aside_is_followed_too() {
    let page = Page::write("- [ ] a\n").await;
    let path = format!("/v1/notes/{}", id(&page.note));
    let body = json!({"body": "- [x] a\n- [ ] b\n"});
    page.alice().patch(&path, body).await.expect(200);
    let trash = format!("{path}/trash");
    page.alice().post_empty(&trash).await.expect(200);
    page.app.settle().await;
    assert_eq!(page.told().await, Vec::<String>::new());
    let restore = format!("{path}/restore");
    page.alice().post_empty(&restore).await.expect(200);
    page.app.settle().await;
    assert_eq!(page.told().await, ["a: done", "b: open"]);
}

#[tokio::test]
async fn a_note_that_an_approved_proposal_writes_has_tasks_as_well() {
    let page = Page::write("").await;
    let agent = page.app.actor("agent", &["*"]).await;
    page.alice().admit(page.workspace_id, &agent, "agent").await;
    let action = json!({
        "type": "note.revise", "note_id": id(&page.note), "base_version": 1, "body": "- [ ] proposed\n",
    });
    let draft =
        json!({"workspace_id": page.workspace_id, "actions": [action], "rationale": "plan"});
    let proposal = agent.post("/v1/proposals", draft).await.expect(201);
    let approve = format!("/v1/proposals/{}/approve", id(&proposal));
    let approval = json!({"actions_hash": proposal["actions_hash"]});
    page.alice().post(&approve, approval).await.expect(200);
    page.app.settle().await;
    assert_eq!(page.told().await, ["proposed: open"]);
}

#[tokio::test]
async fn a_proposal_that_completes_a_task_marks_its_line_and_reverting_takes_the_mark_away() {
    let page = Page::write("- [ ] a\n- [ ] b\n").await;
    let agent = page.app.actor("agent", &["*"]).await;
    page.alice().admit(page.workspace_id, &agent, "agent").await;
    let action = json!({"type": "task.complete", "task_id": id(&page.task("b").await)});
    let draft =
        json!({"workspace_id": page.workspace_id, "actions": [action], "rationale": "done"});
    let proposal = agent.post("/v1/proposals", draft).await.expect(201);
    let path = format!("/v1/proposals/{}", id(&proposal));
    let shown = agent.get(&path).await.expect(200);
    let diff = shown["preview"]["notes"][0]["diff"].as_str().unwrap();
    assert!(diff.contains("-- [ ] b\n+- [x] b\n"), "{diff}");

    let approval = json!({"actions_hash": proposal["actions_hash"]});
    let approve = format!("{path}/approve");
    page.alice().post(&approve, approval).await.expect(200);
    let body = async || {
        let note = format!("/v1/notes/{}", id(&page.note));
        page.alice().get(&note).await.expect(200)["body"].clone()
    };
    assert_eq!(body().await, "- [ ] a\n- [x] b\n");
    let revert = format!("{path}/revert");
    page.alice().post_empty(&revert).await.expect(200);
    assert_eq!(body().await, "- [ ] a\n- [ ] b\n");
    page.app.settle().await;
    assert_eq!(page.told().await, ["a: open", "b: open"]);
}

#[tokio::test]
async fn of_a_very_long_list_the_first_lines_are_tasks() {
    let body: String = (0..501).map(|n| format!("- [ ] {n}\n")).collect();
    let page = Page::write(&body).await;
    let tasks = page.told().await;
    assert_eq!(tasks.len(), 500);
    assert!(tasks[0].starts_with("0:") && tasks[499].starts_with("499:"));
}

#[tokio::test]
async fn notes_that_are_read_again_from_the_beginning_make_no_task_twice() {
    const FORGET: &str = "update log.checkpoints set position = 0 where name = 'checklist_notes'";
    let app = OwnApp::start().await;
    let page = Page::write_in(app.clone(), "- [ ] a\n").await;
    page.rewrite("- [ ] a\n- [ ] b\n").await;
    let before = app.alice.head().await;
    let forgotten = app.sql().await.execute(FORGET, &[]).await.unwrap();
    assert_eq!(forgotten, 1);
    let app = app.restart(&[]).await;
    app.settle().await;
    assert_eq!(app.alice.head().await, before);
}
