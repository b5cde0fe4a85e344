//! Proposals to change tasks.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::cast::{Cast, approve, at, preview, retitle};
use crate::harness::{id, types};

impl Cast {
    async fn task(&self, title: &str) -> Value {
        let body = json!({"workspace_id": self.workspace_id, "title": title});
        self.app.alice.post("/v1/tasks", body).await.expect(201)
    }

    async fn task_now(&self, id: &Value) -> Value {
        let path = format!("/v1/tasks/{}", id.as_str().unwrap());
        self.app.alice.get(&path).await.expect(200)
    }

    async fn revise_task(&self, task: &Value, change: Value) -> Value {
        let path = format!("/v1/tasks/{}", id(task));
        self.app.alice.patch(&path, change).await.expect(200)
    }

    async fn undo(&self, proposal: &Value) -> crate::harness::Answer {
        let path = format!("{}/revert", at(proposal));
        self.editor.post_empty(&path).await
    }
}

#[tokio::test]
async fn notes_and_tasks_are_changed_and_changed_back_in_one_append() {
    let cast = Cast::assemble().await;
    let note = cast.note("Tea").await;
    let (water, cups, pot) = (
        cast.task("Water").await,
        cast.task("Cups").await,
        cast.task("Pot").await,
    );
    let editor = cast.editor.actor_id;
    let proposal = cast
        .propose(json!([
            retitle(&note, "Green tea"),
            {"type": "task.create", "note_id": id(&note), "title": "Buy tea", "due_on": "2030-01-31", "labels": ["Shop"]},
            {"type": "task.revise", "task_id": id(&water), "base_version": 1, "title": "Boil water", "assignee": editor, "labels": ["hot"]},
            {"type": "task.complete", "task_id": id(&cups), "base_version": 1},
            {"type": "task.move", "task_id": id(&pot), "before": id(&water)},
        ]))
        .await;
    let shown = preview(&cast.agent, &proposal).await;
    assert_eq!(shown["applies"], true, "{shown:#}");
    let made = &shown["tasks"][0];
    assert_eq!(
        (&made["task_id"], &made["title"]),
        (&Value::Null, &json!("Buy tea"))
    );
    assert!(
        made["diff"]
            .as_str()
            .unwrap()
            .contains("+due: 2030-01-31\n")
    );
    let revised = &shown["tasks"][1];
    assert_eq!(
        (&revised["task_id"], &revised["from_version"]),
        (&json!(id(&water)), &json!(1))
    );
    let diff = revised["diff"].as_str().unwrap();
    for line in ["-title: Water\n", "+title: Boil water\n", "+labels: hot\n"] {
        assert!(diff.contains(line), "{diff}");
    }

    let answer = approve(&cast.editor, &proposal).await;
    let correlation = answer.header("daybook-correlation-id").to_owned();
    let applied = answer.expect(200);
    assert_eq!(applied["status"], "applied", "{applied:#}");
    let events = cast
        .app
        .alice
        .events(&format!("correlation_id={correlation}"))
        .await;
    assert_eq!(
        types(&events)[..8],
        [
            "proposal.approved",
            "note.revised",
            "task.created",
            "task.retitled",
            "task.assigned",
            "task.labelled",
            "task.completed",
            "task.moved"
        ]
    );
    let made = applied["tasks"][0]["task_id"].clone();
    assert_eq!(
        applied["tasks"],
        json!([
            {"task_id": made, "version": 1, "base_version": 0},
            {"task_id": id(&water), "version": 4, "base_version": 1},
            {"task_id": id(&cups), "version": 2, "base_version": 1},
            {"task_id": id(&pot), "version": 2, "base_version": 1},
        ])
    );
    let task = cast.task_now(&made).await;
    assert_eq!(
        (&task["status"], &task["note_id"], &task["labels"]),
        (&json!("open"), &json!(id(&note)), &json!(["shop"]))
    );
    assert_eq!(cast.task_now(&cups["id"]).await["status"], "done");

    let reverted = cast.undo(&proposal).await.expect(200);
    assert_eq!(reverted["status"], "reverted");
    let path = format!("/v1/tasks/{}", made.as_str().unwrap());
    cast.app
        .alice
        .get(&path)
        .await
        .expect_problem(404, "not_found");
    for task in [&water, &cups, &pot] {
        let back = cast.task_now(&task["id"]).await;
        for field in ["title", "status", "assignee", "labels", "rank", "due_on"] {
            assert_eq!(back[field], task[field], "{field}");
        }
    }
}

#[tokio::test]
async fn a_task_that_has_moved_on_is_merged_by_field_or_in_conflict() {
    let cast = Cast::assemble().await;
    let (water, cups) = (cast.task("Water").await, cast.task("Cups").await);
    let revise = |change: Value| {
        let mut action = json!({"type": "task.revise", "task_id": id(&water), "base_version": 1});
        action
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        action
    };
    let merged = cast
        .propose(json!([revise(
            json!({"due_on": "2030-01-31", "labels": ["hot"]})
        )]))
        .await;
    let clash = cast.propose(json!([
        revise(json!({"title": "Hot water"})),
        {"type": "task.delete", "task_id": id(&cups), "base_version": 1},
    ]));
    let clash = clash.await;
    cast.revise_task(&water, json!({"title": "Cold water", "labels": ["cold"]}))
        .await;
    cast.revise_task(&cups, json!({"title": "Four cups"})).await;
    let applied = approve(&cast.editor, &merged).await.expect(200);
    let merge = json!({"base_version": 1, "onto_version": 3});
    assert_eq!(applied["tasks"][0]["merged"], merge, "{applied:#}");
    let now = cast.task_now(&water["id"]).await;
    assert_eq!(
        (&now["title"], &now["due_on"], &now["labels"]),
        (
            &json!("Cold water"),
            &json!("2030-01-31"),
            &json!(["cold", "hot"])
        )
    );
    let failed = approve(&cast.editor, &clash).await.expect(200);
    assert_eq!(failed["status"], "failed");
    let conflict = &failed["conflicts"][0];
    assert_eq!(
        (&conflict["task_id"], &conflict["note_id"]),
        (&json!(id(&water)), &Value::Null)
    );
    let hunk = &conflict["hunks"][0];
    assert_eq!(
        (
            &hunk["field"],
            &hunk["current"]["text"],
            &hunk["proposed"]["text"]
        ),
        (&json!("title"), &json!("Cold water"), &json!("Hot water"))
    );
    assert_eq!(
        failed["conflicts"][1]["reason"],
        "it has moved on: the task was changed since"
    );
    assert_eq!(cast.task_now(&cups["id"]).await["title"], "Four cups");
}

#[tokio::test]
async fn what_stands_on_a_changed_task_is_not_undone_and_a_deleted_one_comes_back() {
    let cast = Cast::assemble().await;
    let (water, cups) = (cast.task("Water").await, cast.task("Cups").await);
    let done = cast
        .propose(json!([{"type": "task.complete", "task_id": id(&water)}]))
        .await;
    approve(&cast.editor, &done).await.expect(200);
    cast.revise_task(&water, json!({"title": "Tap water"}))
        .await;
    cast.undo(&done)
        .await
        .expect_problem(422, "proposal_later_changes");
    let gone = cast
        .propose(json!([{"type": "task.delete", "task_id": id(&cups)}]))
        .await;
    approve(&cast.editor, &gone).await.expect(200);
    cast.undo(&gone).await.expect(200);
    assert_eq!(cast.task_now(&cups["id"]).await["title"], "Cups");
    let reopen = cast
        .propose(json!([{"type": "task.reopen", "task_id": id(&water)}]))
        .await;
    approve(&cast.editor, &reopen).await.expect(200);
    assert_eq!(cast.task_now(&water["id"]).await["status"], "open");
}

#[tokio::test]
async fn a_task_of_another_workspace_or_version_is_out_of_reach() {
    let cast = Cast::assemble().await;
    let water = cast.task("Water").await;
    let elsewhere = cast.app.alice.workspace().await;
    let body = json!({"workspace_id": elsewhere, "title": "Foreign"});
    let foreign = cast.app.alice.post("/v1/tasks", body).await.expect(201);
    for task_id in [id(&foreign), Uuid::now_v7()] {
        let actions = json!([{"type": "task.complete", "task_id": task_id}]);
        let answer = cast.agent.post("/v1/proposals", cast.draft(actions)).await;
        answer.expect_problem(422, "proposal_task_unavailable");
    }
    let actions = json!([{"type": "task.complete", "task_id": id(&water), "base_version": 2}]);
    let answer = cast.agent.post("/v1/proposals", cast.draft(actions)).await;
    answer.expect_problem(422, "proposal_no_such_version");
    let foreign_note = cast.app.alice.note(elsewhere, "Foreign", "").await;
    let actions = json!([{"type": "task.create", "title": "X", "note_id": id(&foreign_note)}]);
    let answer = cast.agent.post("/v1/proposals", cast.draft(actions)).await;
    answer.expect_problem(422, "proposal_note_unavailable");

    let outsider = cast.app.actor("person", &["*"]).await.actor_id;
    let actions = json!([{"type": "task.revise", "task_id": id(&water), "assignee": outsider}]);
    let refused = cast.agent.post("/v1/proposals", cast.draft(actions)).await;
    let refused = refused.expect_problem(422, "proposal_impossible");
    assert_eq!(refused["conflicts"][0]["code"], "task_assignee_not_member");
}
