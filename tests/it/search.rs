//! Search: the results, their order, and permissions.

use std::time::{Duration, Instant};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, OwnApp, TestApp, command, id, items, pointers};

/// Searches once everything written before is searchable.
async fn find(by: &Client, text: &str, filters: &str) -> Value {
    let path = format!("/v1/search?{filters}");
    let request = by.request(Method::GET, &path);
    let request = request.query(&[("q", text)]);
    let request = request.header("Daybook-Min-Position", by.head().await);
    by.send(request).await.expect(200)
}

/// Returns the titles of the results, the best first.
async fn titles(by: &Client, text: &str, filters: &str) -> Vec<String> {
    let found = items(find(by, text, filters).await);
    let title = |hit: &Value| hit["title"].as_str().unwrap().to_owned();
    found.iter().map(title).collect()
}

/// Returns the titles of the results in alphabetical order.
async fn sorted(by: &Client, text: &str, filters: &str) -> Vec<String> {
    let mut titles = titles(by, text, filters).await;
    titles.sort();
    titles
}

async fn suggestions(by: &Client, text: &str) -> Vec<String> {
    let request = by.request(Method::GET, "/v1/search/suggestions");
    let request = request.query(&[("q", text)]);
    let request = request.header("Daybook-Min-Position", by.head().await);
    let found = items(by.send(request).await.expect(200));
    let text = |suggestion: &Value| suggestion["text"].as_str().unwrap().to_owned();
    found.iter().map(text).collect()
}

/// Joins the pieces of a text, with matches in brackets.
fn shown(fragments: &Value) -> String {
    let fragments = fragments.as_array().unwrap().iter();
    let shown = fragments.map(|fragment| {
        let text = fragment["text"].as_str().unwrap();
        match fragment["matched"].as_bool().unwrap() {
            true => format!("[{text}]"),
            false => text.to_owned(),
        }
    });
    shown.collect()
}

async fn tagged(by: &Client, workspace_id: Uuid, title: &str, tags: &[&str]) -> Value {
    let note = json!({"workspace_id": workspace_id, "title": title, "body": "", "tags": tags});
    by.post("/v1/notes", note).await.expect(201)
}

async fn task(by: &Client, workspace_id: Uuid, title: &str, labels: &[&str]) -> Value {
    let task = json!({"workspace_id": workspace_id, "title": title, "labels": labels});
    by.post("/v1/tasks", task).await.expect(201)
}

fn at(note: &Value) -> String {
    format!("/v1/notes/{}", id(note))
}

async fn trash(by: &Client, note: &Value) {
    let path = format!("{}/trash", at(note));
    by.post_empty(&path).await.expect(200);
}

#[tokio::test]
async fn what_is_called_so_comes_before_what_only_says_so() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let tea = alice.note(workspace_id, "Tea", "").await;
    alice.note(workspace_id, "Green tea", "Leaves.").await;
    let often = "Boil it for tea, or for more tea. ".repeat(20);
    alice.note(workspace_id, "Water", &often).await;
    tagged(alice, workspace_id, "Leaves", &["tea"]).await;
    alice.note(workspace_id, "Stone", "").await;
    assert_eq!(
        titles(alice, "TEA", "").await,
        ["Tea", "Green tea", "Water", "Leaves"]
    );
    let found = find(alice, "tea", "").await;
    assert_eq!(found["next_cursor"], Value::Null);
    assert_eq!(found["did_you_mean"], Value::Null);
    assert_eq!(found["items"][0]["id"], json!(id(&tea)));
    let scores: Vec<f64> = items(found)
        .iter()
        .map(|hit| hit["score"].as_f64().unwrap())
        .collect();
    assert!(
        scores[0] >= 2.0 && scores[1] >= 1.0 && scores[2] < 1.0,
        "{scores:?}"
    );
    // All words must match, anywhere.
    assert_eq!(titles(alice, "leaves green", "").await, ["Green tea"]);
    assert_eq!(titles(alice, "stone tea", "").await, Vec::<String>::new());
}

#[tokio::test]
async fn what_was_found_is_shown_with_what_was_asked_for_marked() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let before = "Nothing of interest. ".repeat(40);
    let body = format!("{before}Then <b>Crème brûlée</b> [with] sugar.\n\n{before}");
    alice.note(workspace_id, "Dessert: crème", &body).await;
    let found = find(alice, "creme brulee", "").await;
    let hit = &found["items"][0];
    assert_eq!(shown(&hit["highlighted_title"]), "Dessert: [crème]");
    let snippet = shown(&hit["snippet"]);
    assert!(
        snippet.contains("Then <b>[Crème] [brûlée]</b> [with] sugar."),
        "{snippet}"
    );
    assert!(snippet.chars().count() < 300, "{snippet}");
    // The pieces together are the text of the body.
    let plain: String = hit["snippet"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["text"].as_str().unwrap())
        .collect();
    assert!(body.contains(&plain));
    // Without a match in the body, the snippet is its beginning.
    let found = find(alice, "dessert", "").await;
    let snippet = shown(&found["items"][0]["snippet"]);
    assert!(snippet.starts_with("Nothing of interest."), "{snippet}");
}

#[tokio::test]
async fn words_are_found_in_any_script_and_from_their_beginning() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    for (title, body) in [
        ("Straße", "Grüße aus Köln"),
        ("東京都の天気", ""),
        (
            "Release notes",
            "read_model_behind in projections::runner (v2.10) 🎉",
        ),
        ("Приветствие", ""),
        ("한국어 노트", ""),
    ] {
        alice.note(workspace_id, title, body).await;
    }
    for (text, expected) in [
        ("strasse", "Straße"),
        ("STRASSE", "Straße"),
        ("koln", "Straße"),
        ("Köl", "Straße"),
        ("東京", "東京都の天気"),
        ("天気", "東京都の天気"),
        ("京都", "東京都の天気"),
        ("気", "東京都の天気"),
        ("read_model_behind", "Release notes"),
        ("model behind", "Release notes"),
        ("projections::runner", "Release notes"),
        ("v2.10", "Release notes"),
        ("🎉", "Release notes"),
        ("проj приветст", ""),
        ("приветст", "Приветствие"),
        ("한국어", "한국어 노트"),
        ("proje* behind", "Release notes"),
        // Only the last word may be incomplete.
        ("proje behind", ""),
        ("東都", ""),
    ] {
        let expected: Vec<&str> = [expected].into_iter().filter(|e| !e.is_empty()).collect();
        assert_eq!(titles(alice, text, "").await, expected, "{text}");
    }
}

#[tokio::test]
async fn phrases_exclusions_and_alternatives() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    for (title, body) in [
        ("One", "hot tea in winter"),
        ("Two", "tea is hot"),
        ("Three", "coffee in winter"),
    ] {
        alice.note(workspace_id, title, body).await;
    }
    for (text, expected) in [
        ("hot tea", &["One", "Two"][..]),
        ("\"hot tea\"", &["One"]),
        ("\"hot tea", &["One"]),
        ("tea -winter", &["Two"]),
        ("hot -\"hot tea\"", &["Two"]),
        ("-tea", &["Three"]),
        ("\"tea in winter\" or coffee", &["One", "Three"]),
        ("tea winter OR coffee", &["One", "Three"]),
        ("hot-tea", &["One"]),
        // A phrase does not span title and body.
        ("\"one hot\"", &[]),
    ] {
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(sorted(alice, text, "").await, expected, "{text}");
    }
    assert_eq!(find(alice, "\"hot tea\"", "").await["facets"]["total"], 1);
}

#[tokio::test]
async fn a_phrase_is_found_however_long_the_note() {
    let app = OwnApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let cycle: String = (0..17_000_u32)
        .map(|n| char::from_u32(0x4e00 + n % 5_000).unwrap())
        .collect();
    // Distinct pairs, more than an index entry can hold.
    let distinct: String = (0..290_000_u32)
        .map(|n| {
            char::from_u32(
                0x4e00
                    + if n % 2 == 0 {
                        n / 2 / 380
                    } else {
                        400 + n / 2 % 380 + n / 2 / 380
                    },
            )
            .unwrap()
        })
        .collect();
    for (title, body) in [
        (
            "common",
            "we met the man on the hill. ".repeat(200)
                + "Then the kettle sang. "
                + &"nothing more. ".repeat(10),
        ),
        (
            "apostrophes",
            "I can't and I won't and it isn't so. ".repeat(100) + "But you shouldn't worry.",
        ),
        (
            "japanese",
            "これは何もない行です。".repeat(300) + "便利です。",
        ),
        ("late", cycle + "。全文検索。"),
        ("distinct", distinct + "。終末尾語。lastword of all"),
        (
            "decoy",
            "the man and a kettle, then nothing: 全文、検索".to_owned(),
        ),
    ] {
        alice.note(workspace_id, title, &body).await;
    }
    app.settle().await;
    for (text, expected) in [
        ("\"the kettle\"", "common"),
        ("the-kettle", "common"),
        ("\"kettle the\"", ""),
        ("\"the kettle\" or \"hill the\"", "common"),
        ("the -\"the hill\" ", "decoy"),
        ("shouldn't ", "apostrophes"),
        ("便利です", "japanese"),
        ("全文検索", "late"),
        ("全文検", "late"),
        ("\"検索 全文\"", ""),
        ("終末尾語", "distinct"),
        ("lastword ", "distinct"),
        ("\"lastword of all\"", "distinct"),
        ("lastword hill ", ""),
        ("distinct -lastword", ""),
        ("distinct lastwo", "distinct"),
    ] {
        let expected: Vec<&str> = [expected].into_iter().filter(|e| !e.is_empty()).collect();
        assert_eq!(titles(alice, text, "").await, expected, "{text}");
        let found = find(alice, text, "").await;
        assert_eq!(found["facets"]["total"], expected.len(), "{text}");
        for hit in items(found) {
            let shown = shown(&hit["snippet"]);
            assert!(shown.contains('['), "{text}: {shown}");
        }
    }
    // A new title keeps the words of the body in the index.
    let late = items(find(alice, "全文検索", "").await);
    let change = json!({"title": "later", "tags": ["long"]});
    alice.patch(&at(&late[0]), change).await.expect(200);
    assert_eq!(titles(alice, "全文検索", "tag=LONG").await, ["later"]);
    assert_eq!(titles(alice, "\"later\" 全文検索", "").await, ["later"]);
}

#[tokio::test]
async fn the_snippet_of_a_long_note_holds_what_was_found() {
    let app = OwnApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let pad = "The start of the partial article is smart. ".repeat(400);
    let line = "Nothing in this line. ".repeat(900);
    for (text, body, expected) in [
        (
            "art ",
            format!("{pad}A piece of art hangs here. {pad}"),
            "piece of [art] hangs",
        ),
        (
            "creme ",
            format!("{line}We had Crème brûlée. {line}"),
            "had [Crème] brûlée",
        ),
        (
            "strasse ",
            format!("{line}Die Straße. {line}"),
            "Die [Straße].",
        ),
        (
            "alpha beta ",
            format!(
                "alpha {}alpha beta {}",
                "x y z ".repeat(4_000),
                "x y z ".repeat(100)
            ),
            "z [alpha] [beta] x",
        ),
        (
            "\"beta alpha\" ",
            format!(
                "alpha beta {}beta alpha {}",
                "x y z ".repeat(4_000),
                "x y z ".repeat(100)
            ),
            "z [beta] [alpha] x",
        ),
    ] {
        let workspace_id = alice.workspace().await;
        alice.note(workspace_id, "n", &body).await;
        let found = find(alice, text, &format!("workspace_id={workspace_id}")).await;
        let snippet = shown(&found["items"][0]["snippet"]);
        assert!(snippet.contains(expected), "{text}: {snippet}");
    }
    alice
        .note(
            workspace_id,
            "hyphens",
            "an inter\u{ad}natio\u{ad}nal affair",
        )
        .await;
    let found = find(alice, "international ", "").await;
    let snippet = shown(&found["items"][0]["snippet"]);
    assert_eq!(snippet, "an [inter\u{ad}natio\u{ad}nal] affair");
}

#[tokio::test]
async fn every_emoji_is_a_word() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let symbols = [
        "⭐",
        "⌚",
        "🇯🇵",
        "🇩🇪",
        "ℹ️",
        "🀄",
        "🆗",
        "▶️",
        "↔️",
        "1️⃣",
        "👩‍🚀",
        "👩",
        "❤️",
    ];
    for symbol in symbols {
        alice
            .note(workspace_id, symbol, &format!("we have {symbol} here"))
            .await;
    }
    for symbol in symbols {
        assert_eq!(titles(alice, symbol, "").await, [symbol]);
        let found = find(alice, symbol, "").await;
        assert_eq!(
            shown(&found["items"][0]["snippet"]),
            format!("we have [{symbol}] here")
        );
    }
    // Neither style nor skin tone distinguishes emoji.
    assert_eq!(titles(alice, "▶", "").await, ["▶️"]);
    assert_eq!(titles(alice, "👩🏽", "").await, ["👩"]);
}

#[tokio::test]
async fn options_and_punctuation_are_no_operators() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    for (title, body) in [
        ("Git", "git commit --amend, then git rebase -i"),
        ("Pipe", "a 5\" pipe fitting, or so"),
        ("Other", "git pipe"),
    ] {
        alice.note(workspace_id, title, body).await;
    }
    for (text, expected) in [
        ("git --amend ", &["Git"][..]),
        ("rebase -i ", &["Git"]),
        ("5\" fitting pipe ", &["Pipe"]),
        ("or", &["Pipe"]),
        ("pipe or ", &["Pipe"]),
        ("git -pipe ", &["Git"]),
        ("amend or fitting ", &["Git", "Pipe"]),
    ] {
        assert_eq!(sorted(alice, text, "").await, expected, "{text}");
    }
}

#[tokio::test]
async fn what_is_mistyped_is_found_nevertheless() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    for n in 0..5 {
        let title = format!("Kettle {n}");
        alice
            .note(workspace_id, &title, "of the documentation")
            .await;
    }
    let found = find(alice, "kettel", "limit=2").await;
    assert_eq!(found["did_you_mean"], "kettle");
    assert_eq!(found["corrected"], true);
    assert_eq!(found["facets"]["total"], 5);
    assert_eq!(shown(&found["items"][0]["highlighted_title"]), "[Kettle] 4");
    let mut all = items(found.clone());
    let mut cursor = found["next_cursor"].clone();
    while let Some(next) = cursor.as_str() {
        let page = find(alice, "kettel", &format!("limit=2&cursor={next}")).await;
        cursor = page["next_cursor"].clone();
        all.extend(items(page));
    }
    all.dedup_by_key(|hit| id(hit));
    assert_eq!(all.len(), 5);
    for (text, meant) in [
        ("Dokumantation kettle", "documentation kettle"),
        ("\"ketle 3\"", "\"kettle 3\""),
        ("-tea ketle", "-tea kettle"),
    ] {
        assert_eq!(find(alice, text, "").await["did_you_mean"], meant, "{text}");
    }
    // If the word exists, it is not corrected.
    let rare = alice.note(workspace_id, "Kettel", "").await;
    let found = find(alice, "kettel", "").await;
    assert_eq!(
        (&found["did_you_mean"], &found["corrected"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(found["items"][0]["id"], json!(id(&rare)));
    // A document in the trash no longer counts.
    trash(alice, &rare).await;
    assert_eq!(find(alice, "kettel", "").await["did_you_mean"], "kettle");
    for text in ["xyzzyx", "ket", "1234"] {
        let found = find(alice, text, "").await;
        assert_eq!(found["did_you_mean"], Value::Null, "{text}");
    }
}

#[tokio::test]
async fn filters_narrow_down_and_facets_count_what_is_left() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let (home, work) = (alice.workspace().await, alice.workspace().await);
    tagged(alice, home, "Tea at home", &["drinks", "Green"]).await;
    tagged(alice, home, "Tea for two", &["drinks", "cafe\u{301}"]).await;
    let at_work = tagged(alice, work, "Tea at work", &["drinks", "office"]).await;
    let since = at_work["created_at"].as_str().unwrap();
    let buy = task(alice, work, "Buy tea", &["drinks", "errand"]).await;
    let brew = task(alice, home, "Brew tea", &[]).await;
    alice
        .post_empty(&format!("/v1/tasks/{}/complete", id(&brew)))
        .await
        .expect(200);

    let found = find(alice, "tea", "").await;
    let facets = &found["facets"];
    assert_eq!(
        (&facets["total"], &facets["complete"]),
        (&json!(5), &json!(true))
    );
    assert_eq!(
        facets["kinds"],
        json!([{"value": "note", "count": 3}, {"value": "task", "count": 2}])
    );
    assert_eq!(
        facets["workspaces"],
        json!([{"value": home, "count": 3}, {"value": work, "count": 2}])
    );
    assert_eq!(facets["tags"][0], json!({"value": "drinks", "count": 4}));
    for (filters, expected) in [
        ("kind=task", &["Brew tea", "Buy tea"][..]),
        (
            "kind=note,task&limit=100",
            &[
                "Brew tea",
                "Buy tea",
                "Tea at home",
                "Tea at work",
                "Tea for two",
            ],
        ),
        (&format!("workspace_id={work}"), &["Buy tea", "Tea at work"]),
        ("tag=green", &["Tea at home"]),
        ("tag=GREEN", &["Tea at home"]),
        ("tag=caf%C3%89", &["Tea for two"]),
        ("tag=errand", &["Buy tea"]),
        ("status=done", &["Brew tea"]),
        ("status=open,active&kind=task", &["Buy tea"]),
        (
            &format!("since={since}"),
            &["Brew tea", "Buy tea", "Tea at work"],
        ),
        (&format!("until={since}"), &["Tea at home", "Tea for two"]),
        (
            &format!("workspace_id={work}&kind=note&tag=drinks&since={since}&status=active"),
            &["Tea at work"],
        ),
        (&format!("workspace_id={}", Uuid::now_v7()), &[]),
        ("status=trashed", &[]),
    ] {
        let found = find(alice, "tea", filters).await;
        assert_eq!(found["facets"]["total"], expected.len(), "{filters}");
        assert_eq!(sorted(alice, "tea", filters).await, expected, "{filters}");
    }
    // Without words, everything that passes the filters, the last changed first.
    assert_eq!(
        titles(alice, "", "kind=task").await,
        ["Brew tea", "Buy tea"]
    );
    assert_eq!(id(&items(find(alice, "buy", "").await)[0]), id(&buy));
}

#[tokio::test]
async fn nobody_learns_of_what_they_may_not_see() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let bob = app.actor("person", &["*"]).await;
    let agent = app.actor("agent", &["*"]).await;
    let (shared, own) = (alice.workspace().await, alice.workspace().await);
    alice.admit(shared, &bob, "viewer").await;
    alice.admit(shared, &agent, "agent").await;
    alice.note(shared, "Teapot", "The kettle is on.").await;
    let body = "The secretword is xylophone.";
    alice.note(own, "Zanzibar", body).await;
    task(alice, own, "Call Zanzibar", &["secretlabel"]).await;
    let stranger = app.stranger().await;
    for somebody in [&bob, &agent, &stranger] {
        for text in [
            "zanzibar",
            "secretword",
            "xylo",
            "secretlabel",
            "zanzibr",
            "secretwort",
        ] {
            let found = find(somebody, text, "").await;
            assert_eq!(found["items"], json!([]), "{text}");
            assert_eq!(found["did_you_mean"], Value::Null, "{text}");
            let facets =
                json!({"total": 0, "complete": true, "kinds": [], "workspaces": [], "tags": []});
            assert_eq!(found["facets"], facets, "{text}");
        }
        for begun in ["zan", "sec", "xy", "call"] {
            assert_eq!(suggestions(somebody, begun).await, Vec::<String>::new());
        }
        let filter = format!("workspace_id={own}");
        assert_eq!(titles(somebody, "", &filter).await, Vec::<String>::new());
        assert_eq!(titles(somebody, "-teapot", "").await, Vec::<String>::new());
    }
    for somebody in [&bob, &agent] {
        assert_eq!(titles(somebody, "", "").await, ["Teapot"]);
        assert_eq!(find(somebody, "ketle", "").await["did_you_mean"], "kettle");
        assert_eq!(suggestions(somebody, "tea").await, ["Teapot", "teapot"]);
    }
    assert_eq!(titles(&stranger, "", "").await, Vec::<String>::new());
    assert_eq!(find(alice, "zanzibr", "").await["did_you_mean"], "zanzibar");
    assert_eq!(suggestions(alice, "xy").await, ["xylophone"]);
    alice.note(own, "The crème", "").await;
    alice.note(own, "Crème, the", "").await;
    alice.note(own, "Of the crème", "").await;
    assert_eq!(
        suggestions(alice, "CREME").await[..3],
        ["Crème, the", "Of the crème", "The crème"]
    );
    let all = ["Call Zanzibar", "Zanzibar"];
    assert_eq!(sorted(&app.operator, "zanzibar", "").await, all);
    // Access ends with the membership.
    let member = format!("/v1/workspaces/{shared}/members/{}", bob.actor_id);
    let left = alice.delete(&member).await;
    assert!(left.status < 300);
    assert_eq!(titles(&bob, "teapot", "").await, Vec::<String>::new());
    assert_eq!(suggestions(&bob, "tea").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_kind_takes_the_scope_of_reading_it() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    alice.note(workspace_id, "Tea", "").await;
    task(alice, workspace_id, "Brew tea", &[]).await;
    let reader = app.actor("person", &["notes:read"]).await;
    alice.admit(workspace_id, &reader, "viewer").await;
    let head = alice.head().await;
    let found = reader.get_at("/v1/search?q=tea", head).await.expect(200);
    let notes = json!([{"value": "note", "count": 1}]);
    assert_eq!(found["facets"]["kinds"], notes);
    let suggested = reader.get_at("/v1/search/suggestions?q=bre", head).await;
    assert_eq!(suggested.expect(200)["items"], json!([]));
    for path in [
        "/v1/search?q=tea&kind=task",
        "/v1/search/suggestions?kind=note,task",
    ] {
        let problem = reader.get(path).await.expect_problem(403, "scope_missing");
        assert!(problem["detail"].as_str().unwrap().contains("tasks:read"));
    }
}

#[tokio::test]
async fn what_changes_is_found_as_it_is_now() {
    let app = OwnApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let note = alice.note(workspace_id, "Kettle", "Whistles loudly.").await;
    let revise = async |change: Value| alice.patch(&at(&note), change).await.expect(200);
    revise(json!({"title": "Samovar"})).await;
    assert_eq!(titles(alice, "kettle", "").await, Vec::<String>::new());
    assert_eq!(titles(alice, "samovar whistles", "").await, ["Samovar"]);
    revise(json!({"body": "Hums quietly."})).await;
    assert_eq!(titles(alice, "whistles", "").await, Vec::<String>::new());
    assert_eq!(titles(alice, "samovar hums", "").await, ["Samovar"]);
    revise(json!({"tags": ["brass"]})).await;
    assert_eq!(titles(alice, "brass hums", "tag=brass").await, ["Samovar"]);
    let polish = json!({"workspace_id": workspace_id, "title": "Polish", "note_id": id(&note)});
    let polish = alice.post("/v1/tasks", polish).await.expect(201);
    let path = format!("/v1/tasks/{}", id(&polish));
    alice
        .patch(&path, json!({"title": "Buff it"}))
        .await
        .expect(200);
    assert_eq!(titles(alice, "polish", "").await, Vec::<String>::new());
    assert_eq!(titles(alice, "buff", "").await, ["Buff it"]);

    trash(alice, &note).await;
    assert_eq!(titles(alice, "samovar", "").await, Vec::<String>::new());
    assert_eq!(
        titles(alice, "samovar", "status=trashed").await,
        ["Samovar"]
    );
    assert_eq!(titles(alice, "buff", "").await, Vec::<String>::new());
    assert_eq!(suggestions(alice, "samo").await, Vec::<String>::new());
    alice
        .post_empty(&format!("{}/restore", at(&note)))
        .await
        .expect(200);
    assert_eq!(titles(alice, "samovar", "").await, ["Samovar"]);
    assert_eq!(titles(alice, "buff", "").await, ["Buff it"]);
    assert_eq!(suggestions(alice, "samo").await, ["Samovar", "samovar"]);

    trash(alice, &note).await;
    alice.delete(&at(&note)).await.expect(204);
    assert_eq!(
        titles(alice, "samovar", "status=trashed").await,
        Vec::<String>::new()
    );
    let sql = app.sql().await;
    for left in [
        "select count(*) from read.search_documents where title || body ~* 'samovar|hums'",
        "select count(*) from read.search_vocabulary where word ~ 'samovar|hums|brass|kettle'",
    ] {
        let left: i64 = sql.query_one(left, &[]).await.unwrap().get(0);
        assert_eq!(left, 0);
    }
}

#[tokio::test]
async fn pages_neither_repeat_nor_lose_anything() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    for n in 0..23 {
        let (title, body) = match n % 3 {
            0 => ("Tea", ""),
            1 => ("Green tea", ""),
            _ => ("Water", "for tea"),
        };
        alice.note(workspace_id, title, body).await;
    }
    for text in ["tea", ""] {
        let whole = items(find(alice, text, "limit=100").await);
        assert_eq!(whole.len(), 23);
        let mut paged = vec![];
        let mut cursor = String::new();
        loop {
            let page = find(alice, text, &format!("limit=4{cursor}")).await;
            assert_eq!(page["facets"].is_null(), !cursor.is_empty());
            let next = page["next_cursor"].as_str();
            let next = next.map(|next| format!("&cursor={next}"));
            paged.extend(items(page));
            let Some(next) = next else { break };
            cursor = next;
        }
        assert_eq!(paged, whole);
    }
}

#[tokio::test]
async fn whatever_is_asked_is_answered() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    alice.note(workspace_id, "Tea", "").await;
    for text in [
        "!!! ??? ...",
        "& | ! ( ) <-> :* '",
        "'; drop table notes; --",
        "\\",
        "''''",
        "\"\"",
        "-",
        "--",
        "- -",
        "or",
        "or or",
        "tea:*",
        "tea:A",
        "tea & !tea",
        "<b>",
        "\u{200d}\u{fe0f}",
        "%",
        "_",
        "a:b:c",
        "-\"",
        "\u{301}",
        "½ ² Ⅻ ﷺ",
        ":w",
        "*",
        "é*",
    ] {
        find(alice, text, "").await;
        suggestions(alice, text).await;
    }
    for text in ["!!!", "\"\""] {
        assert_eq!(suggestions(alice, text).await, Vec::<String>::new());
    }
    find(alice, &"x ".repeat(500), "").await;
    let long = format!("/v1/search?q={}", "x".repeat(10_000));
    let problem = alice
        .get(&long)
        .await
        .expect_problem(400, "malformed_query");
    assert_eq!(pointers(&problem), ["q"]);
    let unreadable = alice.get("/v1/search?q=te%00a").await;
    let problem = unreadable.expect_problem(400, "malformed_query");
    assert_eq!(pointers(&problem), ["q"]);
    let multibyte = format!("cursor={}", "%C3%A9".repeat(11));
    for (query, pointer) in [
        ("kind=product", "kind"),
        ("tag=te%00a", "tag"),
        ("kind=", "kind"),
        ("kind=note,", "kind"),
        ("status=lost", "status"),
        ("since=yesterday", "since"),
        ("workspace_id=here", "workspace_id"),
        ("cursor=3ff0000000000000000000000000000x", "cursor"),
        ("cursor=7ff00000000000000000000000000001", "cursor"),
        (&multibyte, "cursor"),
        ("limit=101", "limit"),
    ] {
        let path = format!("/v1/search?q=tea&{query}");
        let problem = alice
            .get(&path)
            .await
            .expect_problem(400, "malformed_query");
        assert_eq!(pointers(&problem), [pointer], "{query}");
    }
}

#[tokio::test]
async fn the_largest_bodies_are_found_and_stop_nothing() {
    let app = OwnApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let mut distinct = String::from("firstword");
    let words = (0_u32..).map(|n| format!(" w{n:x}"));
    for word in words {
        if distinct.len() + word.len() > 1 << 20 {
            break;
        }
        distinct.push_str(&word);
    }
    alice.note(workspace_id, "Distinct", &distinct).await;
    alice
        .note(workspace_id, "Giant", &"g".repeat(1 << 20))
        .await;
    let same = "tea ".repeat(1 << 18);
    alice.note(workspace_id, "Same", &same).await;
    app.settle().await;
    assert_eq!(titles(alice, "firstword", "").await, ["Distinct"]);
    assert_eq!(titles(alice, &"g".repeat(900), "").await, ["Giant"]);
    assert_eq!(titles(alice, "\"tea tea\"", "").await, ["Same"]);
    // The snippet of a long body is the text around the word.
    let found = find(alice, "w5000", "").await;
    let snippet = shown(&found["items"][0]["snippet"]);
    assert!(snippet.contains("w4fff [w5000] w5001"), "{snippet}");
}

/// Regression test: splitting a body for every possible snippet took seconds per page.
#[tokio::test]
async fn a_page_of_long_notes_is_found_soon() {
    const COPIES: &str = "
        insert into read.search_documents
        select gen_random_uuid(), product_id, workspace_id, kind, note_id, title, body, tags, status, created_at, updated_at,
            position, title_words, words, parts, part_starts, incomplete
        from read.search_documents, generate_series(1, 49)";
    let app = OwnApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let long = "tea ".repeat(1 << 18);
    app.alice.note(workspace_id, "Long", &long).await;
    app.settle().await;
    app.sql().await.execute(COPIES, &[]).await.unwrap();
    let asked = Instant::now();
    let found = find(&app.alice, "tea", "limit=50").await;
    assert_eq!(items(found).len(), 50);
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn a_rebuild_makes_of_the_log_what_was_posted() {
    let app = OwnApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let tea = alice.note(workspace_id, "Tea", "hot").await;
    let water = alice.note(workspace_id, "Water", "for tea").await;
    let brew = task(alice, workspace_id, "Brew tea", &["kitchen"]).await;
    let change = json!({"title": "Green tea", "tags": ["leaves"]});
    alice.patch(&at(&tea), change).await.expect(200);
    let change = json!({"body": "[[Water]] boils"});
    alice.patch(&at(&tea), change).await.expect(200);
    let path = format!("/v1/tasks/{}", id(&brew));
    let change = json!({"labels": ["stove"]});
    alice.patch(&path, change).await.expect(200);
    trash(alice, &water).await;
    let path = format!("{}/archive", at(&tea));
    alice.post_empty(&path).await.expect(200);
    let gone = alice.note(workspace_id, "Gone", "vanished").await;
    trash(alice, &gone).await;
    alice.delete(&at(&gone)).await.expect(204);
    let before = find(alice, "tea", "").await;
    for (verb, memory, expected) in [
        ("diff", "0", "equal to the live one\n"),
        ("rebuild", "512", "equal to the live one; swapped\n"),
        ("diff", "0", "equal to the live one\n"),
    ] {
        let ran = command(&app.database_url, &[])
            .args(["projections", verb, "search", "--memory", memory])
            .output()
            .await
            .unwrap();
        let printed = String::from_utf8(ran.stdout).unwrap();
        assert!(printed.ends_with(expected), "{printed}");
    }
    assert_eq!(find(alice, "tea", "").await, before);
    // The projection continues where it was.
    alice.note(workspace_id, "Tea again", "").await;
    assert_eq!(titles(alice, "again", "").await, ["Tea again"]);
}

#[tokio::test]
async fn no_text_is_one_that_cannot_be_asked() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    alice.note(workspace_id, "Tea or a \"kettle\"", "hot").await;
    let pieces = "(tea|te\\*|\"| |-|or|&|\\||!|:\\*|\\(|\\)|<->|'|\\\\|東|東京|🎉|é|ß|\\PC|[\\x01-\\x1f]){0,30}";
    let texts = proptest::string::string_regex(pieces).unwrap();
    let mut runner = TestRunner::default();
    for _ in 0..200 {
        let text = texts.new_tree(&mut runner).unwrap().current();
        for path in ["/v1/search", "/v1/search/suggestions"] {
            let request = alice.request(Method::GET, path).query(&[("q", &text)]);
            let answer = alice.send(request).await;
            assert_eq!(answer.status, 200, "{text:?}: {:#}", answer.body);
        }
    }
}

#[tokio::test]
async fn artifacts_are_found_by_their_names_as_long_as_their_note_has_them() {
    let app = TestApp::start().await;
    let alice = &app.alice;
    let workspace_id = alice.workspace().await;
    let note = alice.note(workspace_id, "Tea", "").await;
    let path = format!("{}/artifacts", at(&note));
    let attachment = json!({
        "url": "https://example.com/1", "name": "Kettle drawing.pdf", "media_type": "application/pdf",
    });
    let artifact = alice.post(&path, attachment).await.expect(201);
    let found = items(find(alice, "kettle", "kind=artifact").await);
    assert_eq!(found[0]["id"], artifact["id"]);
    assert_eq!(found[0]["note_id"], note["id"]);
    assert_eq!(titles(alice, "ketle", "").await, ["Kettle drawing.pdf"]);

    let path = format!("/v1/artifacts/{}", id(&artifact));
    let name = json!({"name": "Teapot.pdf"});
    alice.patch(&path, name).await.expect(200);
    assert_eq!(titles(alice, "kettle", "").await, Vec::<String>::new());
    assert_eq!(titles(alice, "teapot", "").await, ["Teapot.pdf"]);
    let stranger = app.stranger().await;
    assert_eq!(titles(&stranger, "teapot", "").await, Vec::<String>::new());

    trash(alice, &note).await;
    assert_eq!(titles(alice, "teapot", "").await, Vec::<String>::new());
    alice
        .post_empty(&format!("{}/restore", at(&note)))
        .await
        .expect(200);
    alice.delete(&path).await.expect(200);
    assert_eq!(titles(alice, "teapot", "").await, Vec::<String>::new());
    let detached = titles(alice, "teapot", "status=detached").await;
    assert_eq!(detached, ["Teapot.pdf"]);
}
