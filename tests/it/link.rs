//! Links between notes: typed links, wiki links in bodies, and the graph of both.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Client, OwnApp, TestApp, command, id, items, pointers, types};

fn at(note: &Value) -> String {
    format!("/v1/notes/{}", id(note))
}

async fn make(by: &Client, from: &Value, relation: &str, to: &Value) -> Answer {
    let body = json!({"target_id": id(to), "relation": relation});
    by.post(&format!("{}/links", at(from)), body).await
}

async fn undo(by: &Client, from: &Value, relation: &str, to: &Value) -> Answer {
    let path = format!("{}/links/{}?{relation}", at(from), id(to));
    by.delete(&path).await
}

async fn purge(by: &Client, note: &Value) {
    let trash = format!("{}/trash", at(note));
    by.post_empty(&trash).await.expect(200);
    by.delete(&at(note)).await.expect(204);
}

async fn links(by: &Client, note: &Value) -> Vec<Value> {
    by.pages(&format!("{}/links", at(note))).await.concat()
}

async fn backlinks(by: &Client, note: &Value) -> Vec<Value> {
    by.pages(&format!("{}/backlinks", at(note))).await.concat()
}

/// Returns the only link of a note.
async fn link(by: &Client, note: &Value) -> Value {
    let [link] = links(by, note).await.try_into().unwrap();
    link
}

/// Returns the target of the only link of a note, and the target's title.
async fn leads_to(by: &Client, note: &Value) -> (Option<Uuid>, Option<String>) {
    let link = link(by, note).await;
    assert_eq!(link["dangling"], link["target_title"].is_null());
    let title = link["target_title"].as_str().map(str::to_owned);
    let target = link["target_id"].as_str().map(|id| id.parse().unwrap());
    (target, title)
}

fn somewhere(note: &Value, title: &str) -> (Option<Uuid>, Option<String>) {
    (Some(id(note)), Some(title.to_owned()))
}

const NOWHERE: (Option<Uuid>, Option<String>) = (None, None);

#[tokio::test]
async fn a_note_is_linked_to_another_and_both_tell() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let kettle = alice.note(workspace_id, "Kettle", "").await;
    let tea = alice.note(workspace_id, "Tea", "").await;
    let linked = make(alice, &kettle, "relates_to", &tea).await;
    assert_eq!(linked.header("etag"), "\"2\"");
    let position = linked.position();
    let linked = linked.expect(200);
    assert_eq!(
        linked["links"],
        json!([{"target_id": id(&tea), "relation": "relates_to"}])
    );
    assert_eq!(alice.get(&at(&kettle)).await.expect(200), linked);

    let out = format!("{}/links", at(&kettle));
    let out = items(alice.get_at(&out, position).await.expect(200));
    let [link] = out.as_slice() else {
        panic!("{out:#?}")
    };
    for (field, value) in [
        ("workspace_id", json!(workspace_id)),
        ("kind", json!("typed")),
        ("relation", json!("relates_to")),
        ("text", Value::Null),
        ("source_id", json!(id(&kettle))),
        ("source_title", json!("Kettle")),
        ("target_id", json!(id(&tea))),
        ("target_title", json!("Tea")),
        ("dangling", json!(false)),
    ] {
        assert_eq!(link[field], value, "{field}");
    }
    assert_eq!(id(link).get_version_num(), 7);
    assert_eq!(backlinks(alice, &tea).await, out);
    assert_eq!(links(alice, &tea).await, Vec::<Value>::new());
    assert_eq!(backlinks(alice, &kettle).await, Vec::<Value>::new());

    let history = alice.get(&format!("{}/history", at(&kettle))).await;
    let version = items(history.expect(200)).remove(0);
    assert_eq!(version["command"], "note.link");
    let diff = version["diff"].as_str().unwrap();
    assert!(
        diff.contains(&format!("\n+relates_to: {}\n", id(&tea))),
        "{diff}"
    );
}

#[tokio::test]
async fn what_is_linked_or_unlinked_already_is_so_without_an_event() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let kettle = alice.note(workspace_id, "Kettle", "").await;
    let tea = alice.note(workspace_id, "Tea", "").await;
    for relation in ["blocks", "cites", "relates_to"] {
        let linked = make(alice, &kettle, relation, &tea).await.expect(200);
        let again = make(alice, &kettle, relation, &tea).await;
        assert_eq!(again.expect(200), linked);
    }
    let one = undo(alice, &kettle, "relation=blocks", &tea).await;
    assert_eq!(one.expect(200)["version"], 5);
    let again = undo(alice, &kettle, "relation=blocks", &tea).await;
    assert_eq!(again.expect(200)["version"], 5);
    let relations: Vec<Value> = links(alice, &kettle).await;
    let relations: Vec<&Value> = relations.iter().map(|link| &link["relation"]).collect();
    assert_eq!(relations, ["relates_to", "cites"], "the newest first");
    let rest = undo(alice, &kettle, "", &tea).await.expect(200);
    assert_eq!((&rest["version"], &rest["links"]), (&json!(7), &json!([])));
    assert_eq!(links(alice, &kettle).await, Vec::<Value>::new());
    let stream = alice.events(&format!("stream=note-{}", id(&kettle))).await;
    assert_eq!(
        types(&stream)[1..],
        [
            "note.linked",
            "note.linked",
            "note.linked",
            "note.unlinked",
            "note.unlinked",
            "note.unlinked"
        ]
    );
}

#[tokio::test]
async fn linking_is_repeated_under_its_key_guarded_and_shown_beforehand() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let kettle = alice.note(workspace_id, "Kettle", "").await;
    let tea = alice.note(workspace_id, "Tea", "").await;
    let path = format!("{}/links", at(&kettle));
    let ask = async |query: &str, header: (&str, &str)| {
        let request = alice.request(Method::POST, &format!("{path}{query}"));
        let body = json!({"target_id": id(&tea), "relation": "cites"});
        let request = request.header(header.0, header.1).json(&body);
        alice.send(request).await
    };
    let stale = ask("", ("If-Match", "\"2\"")).await;
    stale.expect_problem(412, "version_mismatch");
    let planned = ask("?dry_run=true", ("If-Match", "\"1\""))
        .await
        .expect(200);
    assert_eq!(
        planned["events"],
        json!([{"stream": format!("note-{}", id(&kettle)), "version": 2, "type": "note.linked",
            "data": {"target_id": id(&tea), "relation": "cites"}}])
    );
    let first = ask("", ("Idempotency-Key", "k")).await.expect(200);
    undo(alice, &kettle, "relation=cites", &tea)
        .await
        .expect(200);
    let again = ask("", ("Idempotency-Key", "k")).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(200), first);
    assert_eq!(links(alice, &kettle).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_link_leads_to_another_note_of_the_workspace_or_is_refused() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let kettle = alice.note(workspace_id, "Kettle", "").await;
    let elsewhere = alice.note(alice.workspace().await, "Elsewhere", "").await;
    let stranger = app.stranger().await;
    let theirs = stranger
        .note(stranger.workspace().await, "Theirs", "")
        .await;
    let gone = alice.note(workspace_id, "Gone", "").await;
    purge(alice, &gone).await;
    let nothing = json!({"id": Uuid::now_v7()});
    let head = app.position().await;
    for target in [&elsewhere, &theirs, &gone, &nothing] {
        let answer = make(alice, &kettle, "cites", target).await;
        answer.expect_problem(404, "note_target_not_found");
    }
    let itself = make(alice, &kettle, "cites", &kettle).await;
    itself.expect_problem(422, "note_self_link");
    for relation in ["", "Cites", "cites it", &"x".repeat(41)] {
        let answer = make(alice, &kettle, relation, &elsewhere).await;
        let problem = answer.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&problem), ["/relation"]);
    }
    for (source, code) in [(&theirs, "note_not_found"), (&gone, "note_not_found")] {
        let answer = make(alice, source, "cites", &kettle).await;
        answer.expect_problem(404, code);
        let answer = undo(alice, source, "", &kettle).await;
        answer.expect_problem(404, code);
    }
    assert_eq!(app.position().await, head);
}

#[tokio::test]
async fn only_an_active_note_is_linked_to_others_and_whatever_is_there_can_be_linked_to() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let kettle = alice.note(workspace_id, "Kettle", "").await;
    let tea = alice.note(workspace_id, "Tea", "").await;
    for command in ["archive", "trash"] {
        let path = format!("{}/{command}", at(&tea));
        alice.post_empty(&path).await.expect(200);
        make(alice, &kettle, command, &tea).await.expect(200);
        let answer = make(alice, &tea, "cites", &kettle).await;
        answer.expect_problem(422, "note_not_active");
        let answer = undo(alice, &tea, "", &kettle).await;
        answer.expect_problem(422, "note_not_active");
    }
    let leads: Vec<Value> = links(alice, &kettle).await;
    assert!(leads.iter().all(|link| link["target_title"] == "Tea"));
}

#[tokio::test]
async fn a_note_has_200_links_at_most() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let kettle = alice.note(workspace_id, "Kettle", "").await;
    let tea = alice.note(workspace_id, "Tea", "").await;
    for n in 0..200 {
        let relation = format!("r{n}");
        make(alice, &kettle, &relation, &tea).await.expect(200);
    }
    let one_more = make(alice, &kettle, "one_more", &tea).await;
    one_more.expect_problem(422, "note_too_many_links");
    let pages = alice
        .pages(&format!("{}/links?limit=150", at(&kettle)))
        .await;
    let sizes: Vec<usize> = pages.iter().map(Vec::len).collect();
    assert_eq!(sizes, [150, 50]);
    undo(alice, &kettle, "relation=r7", &tea).await.expect(200);
    make(alice, &kettle, "one_more", &tea).await.expect(200);
}

#[tokio::test]
async fn a_body_links_to_notes_by_their_titles() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let tea = alice.note(workspace_id, "Green Tea", "").await;
    let body = "See [[ green  tea|what we drink]] and [[Water]], not `[[Code]]`.";
    let kettle = alice.note(workspace_id, "Kettle", body).await;
    let found = links(alice, &kettle).await;
    let told: Vec<Value> = found
        .iter()
        .map(|link| {
            json!([
                link["text"],
                link["target_id"],
                link["target_title"],
                link["dangling"]
            ])
        })
        .collect();
    let expected = [
        json!(["green tea", id(&tea), "Green Tea", false]),
        json!(["Water", null, null, true]),
    ];
    assert!(
        expected.iter().all(|link| told.contains(link)) && told.len() == 2,
        "{told:#?}"
    );
    assert!(
        found
            .iter()
            .all(|link| link["kind"] == "wiki" && link["relation"].is_null())
    );
    let [back] = backlinks(alice, &tea).await.try_into().unwrap();
    assert!(found.contains(&back));
}

#[tokio::test]
async fn a_title_is_found_however_it_is_typed() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    for (title, text) in [
        ("Café Zürich", "CAFE\u{301} zu\u{308}rich"),
        ("\u{1112}\u{1161}\u{11ab}국어", "한국어"),
        ("Straße", "STRASSE"),
        ("ΟΔΟΣ", "οδος"),
        ("Page one", "Page one\\|shown"),
    ] {
        let note = alice.note(workspace_id, title, "").await;
        let body = format!("| a | b |\n|---|---|\n| [[{text}]] | x |\n");
        let from = alice.note(workspace_id, "from", &body).await;
        assert_eq!(leads_to(alice, &from).await, somewhere(&note, title));
        // The link keeps its written text.
        let written = text.split('\\').next().unwrap();
        assert_eq!(link(alice, &from).await["text"], written);
    }
    let body = "As [[1]](https://example.com) says[^1], ![[x]](pic.png)[[^1]].\n\n[^1]: a note\n";
    let cited = alice.note(workspace_id, "cited", body).await;
    assert_eq!(links(alice, &cited).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_link_to_a_heading_leads_to_its_note_and_keeps_the_heading() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let tea = alice.note(workspace_id, "Tea", "").await;
    let c = alice.note(workspace_id, "C", "").await;
    let anchor = async |note: &Value| link(alice, note).await["anchor"].clone();
    for (body, text, expected) in [
        ("[[Tea#Brewing]]", "Tea#Brewing", json!("Brewing")),
        (
            "[[tea # Hot water|how]]",
            "tea # Hot water",
            json!("Hot water"),
        ),
        ("[[Tea#^b1]]", "Tea#^b1", json!("^b1")),
        ("[[Tea#]]", "Tea#", Value::Null),
        ("[[Tea]]", "Tea", Value::Null),
    ] {
        let from = alice.note(workspace_id, "from", body).await;
        assert_eq!(
            leads_to(alice, &from).await,
            somewhere(&tea, "Tea"),
            "{body}"
        );
        assert_eq!(
            (&link(alice, &from).await["text"], anchor(&from).await),
            (&json!(text), expected)
        );
    }
    let own = alice.note(workspace_id, "own", "[[#Heading]]").await;
    assert_eq!(links(alice, &own).await, Vec::<Value>::new());

    // A whole title with a number sign takes precedence over a heading, even if it was created later.
    let from = alice.note(workspace_id, "from", "[[C# notes#Use]]").await;
    assert_eq!(leads_to(alice, &from).await, somewhere(&c, "C"));
    assert_eq!(anchor(&from).await, "notes#Use");
    let sharp = alice.note(workspace_id, "C# notes", "").await;
    assert_eq!(leads_to(alice, &from).await, somewhere(&sharp, "C# notes"));
    assert_eq!(anchor(&from).await, "Use");
    purge(alice, &sharp).await;
    assert_eq!(leads_to(alice, &from).await, somewhere(&c, "C"));
    purge(alice, &c).await;
    assert_eq!(leads_to(alice, &from).await, NOWHERE);
    assert_eq!(anchor(&from).await, Value::Null);
}

#[tokio::test]
async fn a_link_keeps_to_its_note_through_a_rename_and_through_revisions_of_its_source() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let tea = alice.note(workspace_id, "Tea", "").await;
    let kettle = alice.note(workspace_id, "Kettle", "[[Tea]]").await;
    let before = link(alice, &kettle).await;
    let revise = async |note: &Value, change: Value| {
        alice.patch(&at(note), change).await.expect(200);
    };
    revise(&tea, json!({"title": "Green tea"})).await;
    assert_eq!(leads_to(alice, &kettle).await, somewhere(&tea, "Green tea"));
    let other = alice.note(workspace_id, "Tea", "").await;
    revise(&kettle, json!({"body": "Pour it over [[TEA]]."})).await;
    assert_eq!(leads_to(alice, &kettle).await, somewhere(&tea, "Green tea"));
    let after = link(alice, &kettle).await;
    assert_eq!(
        (&after["id"], &after["text"]),
        (&before["id"], &json!("TEA"))
    );
    // A new link leads to the note that has the title now.
    let pot = alice.note(workspace_id, "Pot", "[[Tea]]").await;
    assert_eq!(leads_to(alice, &pot).await, somewhere(&other, "Tea"));
    // So does a link that was removed and added again.
    revise(&kettle, json!({"body": ""})).await;
    assert_eq!(links(alice, &kettle).await, Vec::<Value>::new());
    revise(&kettle, json!({"body": "[[Tea]]"})).await;
    assert_eq!(leads_to(alice, &kettle).await, somewhere(&other, "Tea"));
    assert_eq!(backlinks(alice, &tea).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_link_dangles_until_a_note_has_its_title_and_again_when_that_is_purged() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let kettle = alice.note(workspace_id, "Kettle", "[[Tea]]").await;
    assert_eq!(leads_to(alice, &kettle).await, NOWHERE);
    let elsewhere = alice.workspace().await;
    alice.note(elsewhere, "Tea", "").await;
    assert_eq!(leads_to(alice, &kettle).await, NOWHERE);
    let created = alice.note(workspace_id, " tea ", "").await;
    assert_eq!(leads_to(alice, &kettle).await, somewhere(&created, " tea "));
    purge(alice, &created).await;
    assert_eq!(leads_to(alice, &kettle).await, NOWHERE);
    let renamed = alice.note(workspace_id, "Leaves", "").await;
    let retitle = json!({"title": "TEA"});
    alice.patch(&at(&renamed), retitle).await.expect(200);
    assert_eq!(leads_to(alice, &kettle).await, somewhere(&renamed, "TEA"));
    // A link still leads to a note in the trash.
    let trash = format!("{}/trash", at(&renamed));
    alice.post_empty(&trash).await.expect(200);
    assert_eq!(leads_to(alice, &kettle).await, somewhere(&renamed, "TEA"));
}

#[tokio::test]
async fn of_several_notes_with_one_title_the_oldest_is_linked_to() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let first = alice.note(workspace_id, "Other", "").await;
    let second = alice.note(workspace_id, "Tea", "").await;
    let third = alice.note(workspace_id, "Tea", "").await;
    let kettle = alice.note(workspace_id, "Kettle", "[[Tea]]").await;
    assert_eq!(leads_to(alice, &kettle).await, somewhere(&second, "Tea"));
    let retitle = json!({"title": "tea"});
    alice.patch(&at(&first), retitle).await.expect(200);
    assert_eq!(leads_to(alice, &kettle).await, somewhere(&second, "Tea"));
    purge(alice, &second).await;
    assert_eq!(leads_to(alice, &kettle).await, somewhere(&first, "tea"));
    purge(alice, &first).await;
    assert_eq!(leads_to(alice, &kettle).await, somewhere(&third, "Tea"));
}

#[tokio::test]
async fn links_to_and_from_a_purged_note_are_told_or_gone() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let tea = alice.note(workspace_id, "Tea", "[[Kettle]] [[Tea]]").await;
    let kettle = alice.note(workspace_id, "Kettle", "").await;
    make(alice, &kettle, "cites", &tea).await.expect(200);
    make(alice, &tea, "cites", &kettle).await.expect(200);
    assert_eq!(backlinks(alice, &kettle).await.len(), 2);
    purge(alice, &tea).await;
    assert_eq!(backlinks(alice, &kettle).await, Vec::<Value>::new());
    let left = link(alice, &kettle).await;
    assert_eq!(left["target_id"], json!(id(&tea)));
    assert_eq!(
        (&left["dangling"], &left["target_title"]),
        (&json!(true), &Value::Null)
    );
    for query in ["links", "backlinks", "graph"] {
        let answer = alice.get(&format!("{}/{query}", at(&tea))).await;
        answer.expect_problem(404, "not_found");
    }
    let again = make(alice, &kettle, "cites", &tea).await;
    again.expect(200);
    undo(alice, &kettle, "relation=cites", &tea)
        .await
        .expect(200);
    assert_eq!(links(alice, &kettle).await, Vec::<Value>::new());
}

#[tokio::test]
async fn links_are_listed_by_workspace_relation_and_whether_they_dangle() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let (here, there) = (alice.workspace().await, alice.workspace().await);
    let tea = alice.note(here, "Tea", "").await;
    let kettle = alice
        .note(here, "Kettle", "[[Tea]] [[Water]] [[Fire]]")
        .await;
    make(alice, &kettle, "cites", &tea).await.expect(200);
    alice.note(there, "Pot", "[[Clay]]").await;
    let count = async |query: &str| alice.ids(&format!("/v1/links?{query}")).await.len();
    let within = format!("workspace_id={here}");
    for (query, expected) in [
        (String::new(), 5),
        (within.clone(), 4),
        ("dangling=true".into(), 3),
        (format!("{within}&dangling=true"), 2),
        (format!("{within}&dangling=false"), 2),
        (format!("{within}&dangling=true&limit=1"), 2),
        (format!("{within}&relation=cites"), 1),
        (format!("{within}&relation=blocks"), 0),
        (format!("workspace_id={}", Uuid::now_v7()), 0),
    ] {
        assert_eq!(count(&query).await, expected, "{query}");
    }
    let pages = alice.pages("/v1/links?limit=2").await;
    let ids: Vec<Uuid> = pages.concat().iter().map(id).collect();
    assert!(ids.is_sorted_by(|one, next| one > next), "the newest first");
    let answer = alice.get("/v1/links?dangling=maybe").await;
    answer.expect_problem(400, "malformed_query");
}

#[tokio::test]
async fn only_members_see_links_and_only_editors_make_them() {
    let app = OwnApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let tea = alice.note(workspace_id, "Tea", "").await;
    let kettle = alice.note(workspace_id, "Kettle", "[[Tea]]").await;
    let viewer = app.actor("person", &["*"]).await;
    alice.admit(workspace_id, &viewer, "viewer").await;
    let outsider = app.actor("person", &["*"]).await;
    let stranger = app.stranger().await;
    let queries = ["links", "backlinks", "graph"];
    for (by, sees) in [
        (&viewer, true),
        (&app.operator, true),
        (&outsider, false),
        (&stranger, false),
    ] {
        for query in queries {
            let answer = by.get(&format!("{}/{query}", at(&kettle))).await;
            if sees {
                answer.expect(200);
            } else {
                answer.expect_problem(404, "not_found");
            }
        }
        assert_eq!(by.ids("/v1/links").await.len(), usize::from(sees));
    }
    for (by, status, code) in [
        (&viewer, 403, "workspace_role_insufficient"),
        (&outsider, 404, "workspace_not_found"),
        (&stranger, 404, "note_not_found"),
    ] {
        let answer = make(by, &kettle, "cites", &tea).await;
        answer.expect_problem(status, code);
        let answer = undo(by, &kettle, "", &tea).await;
        answer.expect_problem(status, code);
    }
    let reader = app
        .operator
        .actor(app.product_id, "person", &["notes:read"])
        .await;
    let answer = make(&reader, &kettle, "cites", &tea).await;
    answer.expect_problem(403, "scope_missing");
    let writer = app
        .operator
        .actor(app.product_id, "person", &["notes:write"])
        .await;
    let answer = writer.get("/v1/links").await;
    answer.expect_problem(403, "scope_missing");
}

/// Returns the nodes with their depth, by title, and the edges by the titles of their ends.
fn told(graph: &Value) -> (Vec<(String, i64)>, Vec<String>) {
    let title = |id: &Value| {
        let nodes = graph["nodes"].as_array().unwrap();
        let node = nodes.iter().find(|node| node["id"] == *id).unwrap();
        node["title"].as_str().unwrap().to_owned()
    };
    let mut nodes: Vec<(String, i64)> = graph["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (title(&node["id"]), node["depth"].as_i64().unwrap()))
        .collect();
    nodes.sort();
    let edges = graph["edges"].as_array().unwrap().iter();
    let mut edges: Vec<String> = edges
        .map(|edge| {
            let relation = edge["relation"].as_str().unwrap_or("names");
            format!(
                "{} {relation} {}",
                title(&edge["source_id"]),
                title(&edge["target_id"])
            )
        })
        .collect();
    edges.sort();
    (nodes, edges)
}

#[tokio::test]
async fn the_graph_around_a_note_goes_as_deep_as_it_is_asked_to() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    // a → b → c → d → e → f → g, and back from c to a; x names c; y names no note.
    let mut chain = vec![];
    for title in ["a", "b", "c", "d", "e", "f", "g"] {
        chain.push(alice.note(workspace_id, title, "").await);
    }
    for pair in chain.windows(2) {
        make(alice, &pair[0], "blocks", &pair[1]).await.expect(200);
    }
    make(alice, &chain[2], "cites", &chain[0]).await.expect(200);
    alice.note(workspace_id, "x", "[[C]] [[nobody]]").await;
    alice.note(workspace_id, "y", "[[nobody]]").await;
    let graph = async |note: &Value, query: &str| {
        let graph = alice.get(&format!("{}/graph{query}", at(note))).await;
        let graph = graph.expect(200);
        assert_eq!(graph["truncated"], false);
        assert_eq!(graph["nodes"][0]["id"], json!(id(note)));
        told(&graph)
    };
    let nodes = |nodes: &[(&str, i64)]| -> Vec<(String, i64)> {
        nodes
            .iter()
            .map(|(title, depth)| ((*title).to_owned(), *depth))
            .collect()
    };
    let (one, edges) = graph(&chain[0], "").await;
    assert_eq!(one, nodes(&[("a", 0), ("b", 1), ("c", 1)]));
    assert_eq!(edges, ["a blocks b", "b blocks c", "c cites a"]);
    assert_eq!(graph(&chain[0], "?depth=1").await, (one, edges));
    let (two, edges) = graph(&chain[0], "?depth=2").await;
    assert_eq!(
        two,
        nodes(&[("a", 0), ("b", 1), ("c", 1), ("d", 2), ("x", 2)])
    );
    assert!(
        edges.contains(&"x names c".to_owned()) && edges.len() == 5,
        "{edges:?}"
    );
    let (all, edges) = graph(&chain[0], "?depth=5").await;
    assert_eq!(all.last(), Some(&("x".to_owned(), 2)));
    assert_eq!((all.len(), edges.len()), (8, 8));
    let (four, _) = graph(&chain[0], "?depth=4").await;
    assert_eq!(four.len(), 7, "g is five links away");
    for depth in ["0", "6", "-1", "deep", ""] {
        let answer = alice
            .get(&format!("{}/graph?depth={depth}", at(&chain[0])))
            .await;
        let problem = answer.expect_problem(400, "malformed_query");
        assert_eq!(pointers(&problem), ["depth"]);
    }
    let lonely = alice.note(workspace_id, "lonely", "").await;
    assert_eq!(
        graph(&lonely, "?depth=5").await,
        (nodes(&[("lonely", 0)]), vec![])
    );
}

#[tokio::test]
async fn a_graph_that_is_too_large_is_cut_off_and_says_so() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let hub = alice.note(workspace_id, "Hub", "").await;
    let spokes: String = (0..199).map(|n| format!("[[s{n}]] ")).collect();
    let index = alice.note(workspace_id, "Index", &spokes).await;
    for n in 0..199 {
        alice.note(workspace_id, &format!("s{n}"), "[[Hub]]").await;
    }
    let graph = async |note: &Value, depth: usize| {
        let graph = alice
            .get(&format!("{}/graph?depth={depth}", at(note)))
            .await;
        let graph = graph.expect(200);
        let nodes = graph["nodes"].as_array().unwrap();
        let depths: Vec<i64> = nodes
            .iter()
            .map(|node| node["depth"].as_i64().unwrap())
            .collect();
        assert!(depths.is_sorted(), "the nearest first");
        let (_, edges) = told(&graph);
        (nodes.len(), edges.len(), graph["truncated"] == true)
    };
    assert_eq!(graph(&hub, 1).await, (200, 199, false));
    assert_eq!(
        graph(&hub, 2).await,
        (200, 199, true),
        "the index is one too many"
    );
    assert_eq!(graph(&index, 5).await, (200, 199, true));
}

/// Returns pseudorandom numbers, the same in every run.
fn drawn(seed: &mut u64) -> usize {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 33).unwrap()
}

#[tokio::test]
async fn links_that_are_built_anew_are_those_that_there_are() {
    let app = OwnApp::start().await;
    let alice = &app.alice;
    let workspaces = [alice.workspace().await, alice.workspace().await];
    let mut notes: Vec<Value> = vec![];
    let mut seed = 7;
    let sql = app.sql().await;
    for round in 0..400 {
        // Some batches are applied as they come, others all at once.
        if round % 80 == 0 {
            sql.batch_execute("begin; lock table read.links in exclusive mode")
                .await
                .unwrap();
        } else if round % 80 == 40 {
            sql.batch_execute("rollback").await.unwrap();
        }
        let mut draw = |of: usize| drawn(&mut seed) % of;
        let mut title = || format!("{}{}", ["t", "T", " t", "t1#"][draw(4)], draw(25));
        let (title, body) = (title(), format!("[[{}]] [[{}|x]]", title(), title()));
        let what = if notes.len() < 2 { 0 } else { draw(12) };
        let (one, other) = (draw(notes.len().max(1)), draw(notes.len().max(1)));
        match what {
            0..=3 => {
                let note = alice.note(workspaces[draw(2)], &title, &body).await;
                notes.push(note);
            }
            4 => {
                let change = json!({"title": title});
                alice.patch(&at(&notes[one]), change).await.expect(200);
            }
            5 => {
                let change = json!({"body": body});
                alice.patch(&at(&notes[one]), change).await.expect(200);
            }
            6..=9 => {
                make(alice, &notes[one], "cites", &notes[other]).await;
                if what == 9 {
                    undo(alice, &notes[one], "", &notes[other])
                        .await
                        .expect(200);
                }
            }
            _ => purge(alice, &notes.swap_remove(one)).await,
        }
    }
    let all = alice.pages("/v1/links").await.concat();
    for (dangling, kind) in [
        (true, "wiki"),
        (false, "wiki"),
        (true, "typed"),
        (false, "typed"),
    ] {
        let some = |link: &&Value| link["dangling"] == dangling && link["kind"] == kind;
        assert!(all.iter().any(|link| some(&link)), "{kind} {dangling}");
    }
    let compared = command(&app.database_url, &[])
        .args(["projections", "diff", "link"])
        .output()
        .await
        .unwrap();
    let compared = String::from_utf8(compared.stdout).unwrap();
    assert!(compared.ends_with("equal to the live one\n"), "{compared}");

    let rebuilt = command(&app.database_url, &[])
        .args(["projections", "rebuild", "link"])
        .output()
        .await
        .unwrap();
    assert!(rebuilt.status.success());
    assert_eq!(alice.pages("/v1/links").await.concat(), all);
    let note = alice.note(workspaces[0], "After", "[[Tea]]").await;
    assert_eq!(links(alice, &note).await.len(), 1, "and it goes on");
}

#[tokio::test]
async fn an_agent_proposes_a_link_and_a_person_approves_it() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let agent = app.actor("agent", &["*"]).await;
    alice.admit(workspace_id, &agent, "agent").await;
    let tea = alice.note(workspace_id, "Tea", "").await;
    let kettle = alice.note(workspace_id, "Kettle", "").await;
    let elsewhere = alice.note(alice.workspace().await, "Elsewhere", "").await;
    let propose = async |actions: Value| {
        let draft = json!({"workspace_id": workspace_id, "rationale": "they belong together", "actions": actions});
        agent.post("/v1/proposals", draft).await
    };
    let approve = async |proposal: &Value| {
        let path = format!("/v1/proposals/{}/approve", id(proposal));
        let body = json!({"actions_hash": proposal["actions_hash"]});
        alice.post(&path, body).await.expect(200)
    };
    let to = |target: &Value| json!({"type": "note.link", "note_id": id(&kettle), "target_id": id(target), "relation": "cites"});
    let unavailable = propose(json!([to(&elsewhere)])).await;
    unavailable.expect_problem(422, "proposal_note_unavailable");
    let malformed = propose(
        json!([to(&kettle), {"type": "note.link", "note_id": id(&kettle),
        "target_id": id(&tea), "relation": "Cites"}]),
    )
    .await;
    let problem = malformed.expect_problem(400, "validation_failed");
    assert_eq!(
        pointers(&problem),
        ["/actions/0/target_id", "/actions/1/relation"]
    );

    let proposal = propose(json!([to(&tea)])).await.expect(201);
    assert_eq!(links(alice, &kettle).await, Vec::<Value>::new());
    assert_eq!(approve(&proposal).await["status"], "applied");
    assert_eq!(leads_to(alice, &kettle).await, somewhere(&tea, "Tea"));
    let unlink = json!({"type": "note.unlink", "note_id": id(&kettle), "target_id": id(&tea)});
    let proposal = propose(json!([unlink])).await.expect(201);
    assert_eq!(approve(&proposal).await["status"], "applied");
    assert_eq!(links(alice, &kettle).await, Vec::<Value>::new());

    let late = propose(json!([to(&tea)])).await.expect(201);
    purge(alice, &tea).await;
    let late = approve(&late).await;
    assert_eq!(late["status"], "failed");
    assert_eq!(
        late["conflicts"][0]["reason"],
        "there is no such note in the workspace to link to"
    );
    assert_eq!(links(alice, &kettle).await, Vec::<Value>::new());
}

/// Creates a note from a file at a path.
async fn of_file(by: &Client, workspace_id: Uuid, path: &str, body: &str) -> Value {
    let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
    let note = json!({
        "workspace_id": workspace_id, "title": name.trim_end_matches(".md"), "body": body,
        "file": {"path": path, "sha256": "5e".repeat(32)},
    });
    by.post("/v1/notes", note).await.expect(201)
}

#[tokio::test]
async fn a_link_finds_a_note_by_alias_file_name_and_path() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let body =
        "[[hut]] [[Tool shed]] [[garden/tool shed.md]] [x](Garden/Tool%20shed.md#Rake) [y](No.md)";
    let home = of_file(alice, workspace_id, "Home.md", body).await;
    let shed = of_file(
        alice,
        workspace_id,
        "Garden/Tool shed.md",
        "[h](../Home.md)",
    )
    .await;
    let named = json!({"title": "The shed", "aliases": ["Hut"]});
    let named = alice.patch(&at(&shed), named).await.expect(200);
    assert_eq!(named["aliases"], json!(["Hut"]));
    assert_eq!(named["file"]["path"], "Garden/Tool shed.md");

    let found = links(alice, &home).await;
    let dangling: Vec<&Value> = found
        .iter()
        .filter(|l| l["dangling"] == true)
        .map(|l| &l["text"])
        .collect();
    assert_eq!((found.len(), dangling), (5, vec![&json!("No.md")]));
    assert!(
        found
            .iter()
            .all(|l| l["dangling"] == true || l["target_id"] == shed["id"])
    );
    assert_eq!(leads_to(alice, &shed).await, somewhere(&home, "Home"));
    // A note without a file has no folder to resolve paths from.
    let native = alice
        .note(workspace_id, "Native", "[h](Home.md) [[hut]]")
        .await;
    assert_eq!(leads_to(alice, &native).await, somewhere(&shed, "The shed"));

    alice
        .patch(&at(&shed), json!({"aliases": []}))
        .await
        .expect(200);
    let late = alice.note(workspace_id, "Late", "[[Hut]]").await;
    assert_eq!(leads_to(alice, &late).await, NOWHERE);
}

#[tokio::test]
async fn a_link_goes_over_to_the_file_beside_it_and_back_when_that_is_purged() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let elsewhere = of_file(alice, workspace_id, "Kitchen/Index.md", "").await;
    let tea = of_file(alice, workspace_id, "Garden/Tea.md", "[[Index]]").await;
    assert_eq!(leads_to(alice, &tea).await, somewhere(&elsewhere, "Index"));
    let beside = of_file(alice, workspace_id, "Garden/Index.md", "").await;
    assert_eq!(leads_to(alice, &tea).await, somewhere(&beside, "Index"));
    purge(alice, &beside).await;
    assert_eq!(leads_to(alice, &tea).await, somewhere(&elsewhere, "Index"));
    // After a move, paths are resolved from the new folder.
    let kitchen = of_file(alice, workspace_id, "Pantry/Index.md", "").await;
    let file = json!({"file": {"path": "Pantry/Tea.md", "sha256": "5e".repeat(32)}});
    alice.patch(&at(&tea), file).await.expect(200);
    assert_eq!(leads_to(alice, &tea).await, somewhere(&kitchen, "Index"));
}

#[tokio::test]
async fn a_file_outside_of_its_folder_is_refused() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let note = json!({"workspace_id": alice.workspace().await, "title": "x", "aliases": [" "],
        "file": {"path": "../x.md", "sha256": "x"}});
    let problem = alice.post("/v1/notes", note).await;
    let problem = problem.expect_problem(400, "validation_failed");
    assert_eq!(
        pointers(&problem),
        ["/aliases", "/file/path", "/file/sha256"]
    );
}
