//! Proposals for notes that have changed meanwhile: merges, conflicts, previews.

use serde_json::{Value, json};

use crate::cast::{Cast, approval, approve, at, preview, recorded, retitle};
use crate::harness::{id, types};

const BODY: &str = "# Tea\n\nBoil the water.\n\nSteep it.\n\nDrink it.\n";

/// Builds a revision of a note's body, based on the note's version.
fn rewrite(note: &Value, body: &str) -> Value {
    json!({"type": "note.revise", "note_id": id(note), "base_version": note["version"], "body": body})
}

impl Cast {
    async fn tea(&self) -> Value {
        self.app.alice.note(self.workspace_id, "Tea", BODY).await
    }

    async fn patch(&self, note: &Value, change: Value) -> Value {
        let path = format!("/v1/notes/{}", id(note));
        self.app.alice.patch(&path, change).await.expect(200)
    }

    /// Changes the body as Alice.
    async fn rewritten(&self, note: &Value, from: &str, to: &str) -> Value {
        let body = self.now(note).await["body"]
            .as_str()
            .unwrap()
            .replace(from, to);
        self.patch(note, json!({"body": body})).await
    }
}

#[tokio::test]
async fn revisions_of_one_note_in_one_proposal_are_joined_or_in_conflict() {
    let cast = Cast::assemble().await;
    let tea = cast.tea().await;
    let boil = BODY.replace("Boil the water.", "Boil fresh water.");
    let drink = BODY.replace("Drink it.", "Drink it hot.");
    let joined = cast
        .propose(json!([rewrite(&tea, &boil), rewrite(&tea, &drink)]))
        .await;
    let cold = BODY.replace("Drink it.", "Drink it cold.");
    let torn = cast
        .propose(json!([rewrite(&tea, &drink), rewrite(&tea, &cold)]))
        .await;
    assert_eq!(preview(&cast.agent, &torn).await["applies"], false);

    cast.rewritten(&tea, "Steep it.", "Steep it well.").await;
    let applied = approve(&cast.editor, &joined).await.expect(200);
    assert_eq!(applied["status"], "applied");
    let body = boil
        .replace("Steep it.", "Steep it well.")
        .replace("Drink it.", "Drink it hot.");
    assert_eq!(cast.now(&tea).await["body"], body);

    let failed = approve(&cast.editor, &torn).await.expect(200);
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["conflicts"][0]["action"], 1);
}

#[tokio::test]
async fn what_archives_a_note_is_seen_beforehand() {
    let cast = Cast::assemble().await;
    let tea = cast.tea().await;
    let archive = json!([{"type": "note.archive", "note_id": id(&tea)}]);
    let proposal = cast.propose(archive).await;
    let shown = preview(&cast.agent, &proposal).await;
    let diff = shown["notes"][0]["diff"].as_str().unwrap();
    assert!(diff.contains("+status: archived\n"), "{diff}");
}

#[tokio::test]
async fn what_was_written_for_an_earlier_version_is_merged_and_recorded_as_a_merge() {
    let cast = Cast::assemble().await;
    let tea = cast.tea().await;
    let steep = BODY.replace("Steep it.", "Steep it for two minutes.");
    let proposal = cast
        .propose(json!([rewrite(&tea, &steep), {"type": "note.tag", "note_id": id(&tea), "add": ["drink"]}]))
        .await;
    cast.patch(&tea, json!({"title": "Green tea"})).await;
    cast.rewritten(&tea, "Boil the water.", "Boil fresh water.")
        .await;

    let shown = preview(&cast.agent, &proposal).await;
    assert_eq!(
        (&shown["applies"], &shown["conflicts"]),
        (&json!(true), &json!([]))
    );
    let merge = json!({"base_version": 1, "onto_version": 3});
    let note = &shown["notes"][0];
    for (field, value) in [
        ("note_id", json!(id(&tea))),
        ("title", json!("Green tea")),
        ("from_version", json!(3)),
        ("to_version", json!(5)),
        ("merged", merge.clone()),
    ] {
        assert_eq!(note[field], value, "{field}");
    }
    let diff = "--- version 3\n+++ version 5\n@@ -1,10 +1,10 @@\n title: Green tea\n-tags: \n+tags: drink\n \n # Tea\n \n Boil fresh water.\n \n-Steep it.\n+Steep it for two minutes.\n \n Drink it.\n";
    assert_eq!(note["diff"].as_str().unwrap().trim_end(), diff.trim_end());

    let applied = approve(&cast.editor, &proposal).await.expect(200);
    assert_eq!(applied["status"], "applied");
    assert_eq!(
        applied["notes"],
        json!([
            {"note_id": id(&tea), "version": 4, "base_version": 3, "merged": merge},
            {"note_id": id(&tea), "version": 5, "base_version": 3},
        ])
    );
    let merged = steep.replace("Boil the water.", "Boil fresh water.");
    let now = cast.now(&tea).await;
    assert_eq!(
        (&now["title"], &now["body"]),
        (&json!("Green tea"), &json!(merged))
    );

    let history = format!("/v1/notes/{}/history", id(&tea));
    let history = cast.app.alice.get(&history).await.expect(200);
    assert_eq!(history["items"][1]["merged"], merge);
    assert_eq!(history["items"][2].get("merged"), None);
    let revised = cast.app.alice.events("type=note.revised").await;
    assert_eq!(revised.last().unwrap()["data"]["merged"], merge);
    assert!(recorded(&cast.agent, &proposal).await == applied);

    // The reversal restores the state before the merge.
    let revert = format!("{}/revert", at(&proposal));
    cast.editor.post_empty(&revert).await.expect(200);
    let undone = cast.now(&tea).await;
    let before = BODY.replace("Boil the water.", "Boil fresh water.");
    assert_eq!(
        (&undone["title"], &undone["body"], &undone["tags"]),
        (&json!("Green tea"), &json!(before), &json!([]))
    );
}

#[tokio::test]
async fn where_both_have_changed_a_line_the_proposal_fails_and_shows_where() {
    let cast = Cast::assemble().await;
    let (tea, other) = (cast.tea().await, cast.note("Other").await);
    let steep = BODY.replace("Steep it.", "Steep it for two minutes.");
    let proposal = cast
        .propose(json!([retitle(&other, "Fine"), rewrite(&tea, &steep)]))
        .await;
    cast.rewritten(&tea, "# Tea\n", "# Tea\n\nFor one cup.\n")
        .await;
    cast.rewritten(&tea, "Steep it.", "Wait a while.").await;
    let conflict = json!([{
        "action": 1, "note_id": id(&tea), "base_version": 1, "current_version": 3,
        "reason": "it has moved on: others have changed a place that this changes",
        "hunks": [{
            "field": "body",
            "base": {"line": 5, "lines": 1, "text": "Steep it.\n"},
            "current": {"line": 7, "lines": 1, "text": "Wait a while.\n"},
            "proposed": {"line": 5, "lines": 1, "text": "Steep it for two minutes.\n"},
        }],
    }]);
    let shown = preview(&cast.editor, &proposal).await;
    assert_eq!(
        (&shown["applies"], &shown["conflicts"]),
        (&json!(false), &conflict)
    );
    assert_eq!(shown["notes"][0]["note_id"], json!(id(&other)));
    let failed = approve(&cast.editor, &proposal).await.expect(200);
    assert_eq!(
        (&failed["status"], &failed["conflicts"]),
        (&json!("failed"), &conflict)
    );
    assert_eq!(cast.now(&other).await, other);
    assert_eq!(preview(&cast.agent, &proposal).await, Value::Null);
}

#[tokio::test]
async fn tags_and_links_are_sets_and_an_archive_is_of_what_was_read() {
    let cast = Cast::assemble().await;
    let (tea, water) = (cast.tea().await, cast.note("Water").await);
    let archive = json!({"type": "note.archive", "note_id": id(&tea), "base_version": 1});
    let actions = json!([
        {"type": "note.tag", "note_id": id(&tea), "add": ["hot"], "remove": ["cold"]},
        {"type": "note.link", "note_id": id(&tea), "target_id": id(&water), "relation": "needs"},
        archive,
    ]);
    let (proposal, late) = (
        cast.propose(actions).await,
        cast.propose(json!([archive])).await,
    );
    cast.patch(&tea, json!({"tags": ["cold", "green"]})).await;
    let applied = approve(&cast.editor, &proposal).await.expect(200);
    assert_eq!(applied["status"], "applied", "{applied:#}");
    let now = cast.now(&tea).await;
    assert_eq!(
        (&now["tags"], &now["status"]),
        (&json!(["green", "hot"]), &json!("archived"))
    );

    cast.app
        .alice
        .post_empty(&format!("/v1/notes/{}/restore", id(&tea)))
        .await
        .expect(200);
    cast.rewritten(&tea, "Steep it.", "Wait.").await;
    let failed = approve(&cast.editor, &late).await.expect(200);
    assert_eq!(
        failed["conflicts"][0]["reason"],
        "it has moved on: it was rewritten since"
    );
}

#[tokio::test]
async fn a_preview_is_as_of_now_and_the_same_as_the_approval_that_follows() {
    let cast = Cast::assemble().await;
    let tea = cast.tea().await;
    let proposal = cast
        .propose(json!([
            {"type": "note.create", "title": "Coffee", "body": "Grind it.\n"},
            retitle(&tea, "Green tea"),
        ]))
        .await;
    let shown = preview(&cast.agent, &proposal).await;
    let coffee = &shown["notes"][0];
    assert_eq!(
        (&coffee["note_id"], &coffee["from_version"]),
        (&Value::Null, &json!(0))
    );
    assert!(coffee["diff"].as_str().unwrap().contains("+Grind it."));
    assert_eq!(shown["notes"][1]["from_version"], 1);

    // An event of another stream must invalidate any cached preview.
    cast.rewritten(&tea, "Steep it.", "Wait.").await;
    let shown = preview(&cast.agent, &proposal).await;
    assert_eq!(shown["notes"][1]["from_version"], 2);
    let before = cast.app.position().await;
    let dry = cast
        .editor
        .post(
            &format!("{}/approve?dry_run=true", at(&proposal)),
            approval(&proposal),
        )
        .await;
    let planned = dry.expect(200)["events"].as_array().unwrap().clone();
    assert_eq!(
        types(&planned),
        [
            "proposal.approved",
            "note.created",
            "note.revised",
            "proposal.applied"
        ]
    );
    assert_eq!(planned[2]["data"]["merged"], shown["notes"][1]["merged"]);
    assert_eq!(planned[2]["version"], shown["notes"][1]["to_version"]);
    assert_eq!(cast.app.position().await, before);

    let list = format!("/v1/proposals?workspace_id={}", cast.workspace_id);
    let listed = cast.agent.pages(&list).await.concat();
    assert_eq!(listed[0].get("preview"), None);
    let stranger = cast.app.stranger().await;
    stranger
        .get(&at(&proposal))
        .await
        .expect_problem(404, "not_found");
    let outsider = cast.app.actor("person", &["*"]).await;
    outsider
        .get(&at(&proposal))
        .await
        .expect_problem(404, "not_found");

    let mut edited = approval(&proposal);
    edited["edited_actions"] =
        json!([{"type": "note.revise", "note_id": id(&tea), "base_version": 9, "title": "X"}]);
    let failed = cast
        .editor
        .post(&format!("{}/approve", at(&proposal)), edited)
        .await
        .expect(200);
    assert_eq!(failed["conflicts"][0]["reason"], "it is only at version 2");
}
