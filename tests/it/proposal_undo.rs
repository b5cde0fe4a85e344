//! Reverting a proposal: the changes that prevent it, and those that do not.

use serde_json::{Value, json};

use crate::cast::{Cast, approve, at};
use crate::harness::{Answer, id};

async fn undo(cast: &Cast, proposal: &Value) -> Answer {
    let path = format!("{}/revert", at(proposal));
    cast.editor.post_empty(&path).await
}

/// Creates a note by an agent's proposal; returns both.
async fn written(cast: &Cast, body: &str) -> (Value, Value) {
    let actions = json!([{"type": "note.create", "title": "Tea", "body": body}]);
    let proposal = cast.propose(actions).await;
    let applied = approve(&cast.editor, &proposal).await.expect(200);
    cast.app.settle().await;
    let note = json!({"id": applied["notes"][0]["note_id"]});
    (cast.now(&note).await, proposal)
}

async fn tasks(cast: &Cast, note: &Value) -> Vec<Value> {
    let path = format!("/v1/tasks?note_id={}&order=rank", id(note));
    cast.app.alice.pages(&path).await.concat()
}

fn path(task: &Value) -> String {
    format!("/v1/tasks/{}", id(task))
}

#[tokio::test]
async fn a_note_that_others_have_put_something_into_is_not_trashed() {
    let cast = Cast::assemble().await;
    let alice = &cast.app.alice;
    let (note, proposal) = written(&cast, "- [ ] boil\n").await;
    let artifacts = format!("/v1/notes/{}/artifacts", id(&note));
    let body = json!({"url": "https://tea.example/", "name": "tea", "media_type": "text/html"});
    let artifact = alice.post(&artifacts, body).await.expect(201);
    let problem = undo(&cast, &proposal).await;
    let problem = problem.expect_problem(422, "proposal_note_in_use");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&id(&artifact).to_string()), "{detail}");
    alice
        .delete(&format!("/v1/artifacts/{}", id(&artifact)))
        .await
        .expect(200);

    let body = json!({"workspace_id": cast.workspace_id, "title": "Pour", "note_id": id(&note)});
    let task = alice.post("/v1/tasks", body).await.expect(201);
    undo(&cast, &proposal)
        .await
        .expect_problem(422, "proposal_note_in_use");
    alice.delete(&path(&task)).await.expect(204);

    let line = &tasks(&cast, &note).await[0];
    let due = json!({"due_on": "2030-01-31"});
    alice.patch(&path(line), due).await.expect(200);
    undo(&cast, &proposal)
        .await
        .expect_problem(422, "proposal_note_in_use");
    let whenever = json!({"due_on": null});
    alice.patch(&path(line), whenever).await.expect(200);
    undo(&cast, &proposal).await.expect(200);
    assert_eq!(cast.now(&note).await["status"], "trashed");
}

#[tokio::test]
async fn what_the_proposal_has_put_into_its_note_itself_goes_with_it() {
    let cast = Cast::assemble().await;
    let (note, _) = written(&cast, "").await;
    let proposal = cast
        .propose(json!([
            {"type": "task.create", "title": "Pour", "note_id": id(&note), "labels": ["hot"]},
            {"type": "artifact.attach", "note_id": id(&note), "url": "https://tea.example/", "name": "tea", "media_type": "text/html"},
        ]))
        .await;
    approve(&cast.editor, &proposal).await.expect(200);
    undo(&cast, &proposal).await.expect(200);
    assert!(tasks(&cast, &note).await.is_empty());
}

#[tokio::test]
async fn a_task_that_has_followed_its_line_is_changed_back_in_what_the_proposal_changed() {
    let cast = Cast::assemble().await;
    let body = "- [ ] boil\n- [ ] pour\n";
    let note = cast.app.alice.note(cast.workspace_id, "Tea", body).await;
    cast.app.settle().await;
    let boil = tasks(&cast, &note).await.swap_remove(0);
    let proposal = cast
        .propose(json!([{"type": "task.revise", "task_id": id(&boil), "labels": ["hot"]}]))
        .await;
    approve(&cast.editor, &proposal).await.expect(200);
    let edited = json!({"body": "- [ ] boil water\n- [ ] pour\n"});
    let at_note = format!("/v1/notes/{}", id(&note));
    cast.app.alice.patch(&at_note, edited).await.expect(200);
    cast.app.settle().await;
    undo(&cast, &proposal).await.expect(200);
    let boil = cast.app.alice.get(&path(&boil)).await.expect(200);
    assert_eq!(
        (&boil["title"], &boil["labels"]),
        (&json!("boil water"), &json!([]))
    );
}

#[tokio::test]
async fn a_proposal_that_edits_a_line_and_its_task_is_undone_with_both() {
    let cast = Cast::assemble().await;
    let note = cast
        .app
        .alice
        .note(cast.workspace_id, "Tea", "- [ ] boil\n")
        .await;
    cast.app.settle().await;
    let boil = tasks(&cast, &note).await.swap_remove(0);
    let proposal = cast
        .propose(json!([
            {"type": "note.revise", "note_id": id(&note), "base_version": 1, "body": "- [ ] boil water\n"},
            {"type": "task.revise", "task_id": id(&boil), "due_on": "2030-01-31"},
        ]))
        .await;
    approve(&cast.editor, &proposal).await.expect(200);
    cast.app.settle().await;
    let now = cast.app.alice.get(&path(&boil)).await.expect(200);
    assert_eq!(
        (&now["title"], &now["due_on"]),
        (&json!("boil water"), &json!("2030-01-31"))
    );
    undo(&cast, &proposal).await.expect(200);
    cast.app.settle().await;
    let now = cast.app.alice.get(&path(&boil)).await.expect(200);
    assert_eq!(
        (&now["title"], &now["due_on"]),
        (&json!("boil"), &Value::Null)
    );
}

#[tokio::test]
async fn a_line_that_comes_back_with_the_undoing_is_the_task_that_it_was() {
    let cast = Cast::assemble().await;
    let body = "- [ ] boil\n- [ ] pour\n";
    for touch in ["", "task.revise", "task.delete"] {
        let note = cast.app.alice.note(cast.workspace_id, "Tea", body).await;
        cast.app.settle().await;
        let pour = tasks(&cast, &note).await.swap_remove(1);
        let set = json!({"labels": ["keep"], "due_on": "2030-01-31"});
        cast.app.alice.patch(&path(&pour), set).await.expect(200);
        let mut actions = vec![
            json!({"type": "note.revise", "note_id": id(&note), "base_version": 1, "body": "- [ ] boil\n"}),
        ];
        if !touch.is_empty() {
            let mut action = json!({"type": touch, "task_id": id(&pour)});
            if touch == "task.revise" {
                action["labels"] = json!(["hot"]);
            }
            actions.push(action);
        }
        let proposal = cast.propose(json!(actions)).await;
        approve(&cast.editor, &proposal).await.expect(200);
        cast.app.settle().await;
        assert_eq!(tasks(&cast, &note).await.len(), 1, "{touch}");
        undo(&cast, &proposal).await.expect(200);
        cast.app.settle().await;
        let back = tasks(&cast, &note).await;
        assert_eq!(back.len(), 2, "{touch}: {back:#?}");
        let same = back.iter().find(|task| task["id"] == pour["id"]).unwrap();
        assert_eq!(
            (&same["labels"], &same["due_on"]),
            (&json!(["keep"]), &json!("2030-01-31")),
            "{touch}"
        );
        // The task is linked to its line again.
        let complete = format!("{}/complete", path(same));
        cast.app.alice.post_empty(&complete).await.expect(200);
        let body = cast.now(&note).await["body"].clone();
        assert_eq!(body, "- [ ] boil\n- [x] pour\n", "{touch}");
    }
}
