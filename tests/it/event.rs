//! The log over HTTP: pages, filters, causation.

use std::collections::BTreeSet;

use chrono::SecondsFormat;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Client, OwnApp, TestApp, eventually, id, items, time, types};
use crate::receiver::{Endpoint, Receiver};

/// Returns a string in a response.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Creates some events: two writers, several streams, one request with a correlation id of its own.
pub async fn history(app: &TestApp) -> (Client, Uuid) {
    let workspace_id = app.alice.workspace().await;
    let bob = app.actor("person", &["*"]).await;
    app.alice.admit(workspace_id, &bob, "editor").await;
    let correlation_id = Uuid::now_v7();
    for (writer, title) in [(&app.alice, "Tea"), (&bob, "Coffee"), (&app.alice, "Water")] {
        let note = writer.note(workspace_id, title, "").await;
        let revise = writer.request(Method::PATCH, &format!("/v1/notes/{}", id(&note)));
        let revise = revise.header("Daybook-Correlation-Id", correlation_id.to_string());
        writer
            .send(revise.json(&json!({"body": title})))
            .await
            .expect(200);
    }
    (bob, correlation_id)
}

/// Builds a query for values that may need escaping.
fn query(pairs: &[(&str, String)]) -> String {
    let mut url = reqwest::Url::parse("http://host").unwrap();
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_walk_along_the_cursor_sees_each_event_once() {
    let app = OwnApp::start().await;
    history(&app).await;
    let all = app.operator.events("").await;
    let positions: Vec<i64> = all
        .iter()
        .map(|event| event["position"].as_i64().unwrap())
        .collect();
    let head = i64::try_from(all.len()).unwrap();
    assert_eq!(positions, (1..=head).collect::<Vec<_>>());

    let expected = app.alice.events("type=note.*").await;
    assert_eq!(expected.len(), 6);
    for limit in [1, 4, 6, 7] {
        let mut walked = vec![];
        let mut after = json!("0");
        while let Some(position) = after.as_str() {
            let path = format!("/v1/events?type=note.*&limit={limit}&after={position}");
            let mut page = app.alice.get(&path).await.expect(200);
            after = page["next_cursor"].take();
            let found = items(page);
            assert!(found.len() <= limit);
            walked.extend(found);
        }
        assert_eq!(walked, expected, "{limit} on a page");
    }
}

#[tokio::test]
async fn every_filter_alone_and_combined_finds_what_it_says() {
    let app = OwnApp::start().await;
    let (bob, correlation_id) = history(&app).await;
    history(&app).await;
    let all = app.alice.events("").await;
    let note = all
        .iter()
        .find(|event| event["type"] == "note.revised")
        .unwrap();
    let home = note["workspace_id"].clone();
    let note = text(&note["stream"]);
    let (since, until) = (
        time(&all[4]["recorded_at"]),
        time(&all[all.len() - 3]["recorded_at"]),
    );
    let after = all[2]["position"].as_i64().unwrap();
    let bob = bob.actor_id;
    let exact = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);

    type Keeps<'a> = Box<dyn Fn(&Value) -> bool + 'a>;
    let filters: Vec<(&str, String, Keeps)> = vec![
        (
            "after",
            after.to_string(),
            Box::new(|event| event["position"].as_i64().unwrap() > after),
        ),
        (
            "product",
            app.product_id.to_string(),
            Box::new(|event| event["product_id"] == json!(app.product_id)),
        ),
        (
            "category",
            "note".into(),
            Box::new(|event| text(&event["stream"]).starts_with("note-")),
        ),
        (
            "stream",
            note.clone(),
            Box::new(|event| event["stream"] == json!(note)),
        ),
        (
            "workspace_id",
            text(&home),
            Box::new(|event| event["workspace_id"] == home),
        ),
        (
            "type",
            "note.revised, workspace.*".into(),
            Box::new(|event| {
                event["type"] == "note.revised" || text(&event["type"]).starts_with("workspace.")
            }),
        ),
        (
            "actor",
            bob.to_string(),
            Box::new(|event| event["metadata"]["actor"]["id"] == json!(bob)),
        ),
        (
            "correlation_id",
            correlation_id.to_string(),
            Box::new(|event| event["metadata"]["correlation_id"] == json!(correlation_id)),
        ),
        (
            "since",
            exact(since),
            Box::new(|event| time(&event["recorded_at"]) >= since),
        ),
        (
            "until",
            exact(until),
            Box::new(|event| time(&event["recorded_at"]) < until),
        ),
    ];
    let mut found = BTreeSet::new();
    for chosen in 0..1_u32 << filters.len() {
        let chosen: Vec<_> = filters
            .iter()
            .enumerate()
            .filter(|(n, _)| chosen & 1 << n != 0)
            .map(|(_, f)| f)
            .collect();
        let pairs: Vec<_> = chosen
            .iter()
            .map(|(name, value, _)| (*name, value.clone()))
            .collect();
        let mut expected = all.clone();
        expected.retain(|event| chosen.iter().all(|(_, _, keeps)| keeps(event)));
        let query = query(&pairs);
        let answer = app
            .alice
            .send(
                app.alice
                    .request(Method::GET, &format!("/v1/events?{query}")),
            )
            .await;
        assert_eq!(items(answer.expect(200)), expected, "{query}");
        found.insert(expected.len());
    }
    // All events, none, and several numbers in between.
    assert!(
        found.len() > 5 && found.contains(&1) && found.contains(&all.len()),
        "{found:?}"
    );
}

#[tokio::test]
async fn type_patterns_mean_what_they_say_to_the_letter() {
    let app = TestApp::start().await;
    history(&app).await;
    let count = async |pattern: &str| {
        let pairs = [("type", pattern.to_owned())];
        app.alice.events(&query(&pairs)).await.len()
    };
    assert_eq!(count("note.*").await, 6);
    assert_eq!(count("note.c*").await, 3);
    assert_eq!(count("note.created").await, 3);
    assert_eq!(count("note.created,note.revised").await, 6);
    assert_eq!(count("workspace.member_set").await, 1);
    assert!(count("*").await > 6);
    for nothing in [
        "note",
        "note.%",
        "note._reated",
        "note.create_",
        "workspace.member%set",
        "note.\\*",
        "\\",
        "%",
        "_*",
        "*.created",
        "NOTE.*",
        "note.created'",
        "note.created*x",
        "'; drop table log.events; --",
    ] {
        let path = format!("/v1/events?{}", query(&[("type", nothing.to_owned())]));
        let problem = app.alice.get(&path).await;
        let problem = problem.expect_problem(400, "malformed_query");
        assert_eq!(problem["errors"][0]["pointer"], "type", "{nothing}");
    }
    let path = "/v1/events?type=note.created,note.craeted";
    let problem = app
        .alice
        .get(path)
        .await
        .expect_problem(400, "malformed_query");
    let detail = text(&problem["errors"][0]["detail"]);
    assert!(
        detail.contains("note.craeted") && detail.contains("did you mean note.created"),
        "{detail}"
    );
}

#[tokio::test]
async fn malformed_questions_are_refused_with_the_parameter_at_fault() {
    let app = TestApp::start().await;
    for (query, pointer) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("stream=note", "stream"),
        (
            "stream=notes-018f0000-0000-7000-8000-000000000000",
            "stream",
        ),
        ("category=note,notes", "category"),
        (&format!("category=note{}", ",note".repeat(50)), "category"),
        (&format!("type=note.*{}", ",note.*".repeat(8_000)), "type"),
        ("workspace_id=here", "workspace_id"),
    ] {
        let answer = app.alice.get(&format!("/v1/events?{query}")).await;
        let problem = answer.expect_problem(400, "malformed_query");
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
    for query in [
        "since=yesterday",
        "until=1",
        "actor=bob",
        "correlation_id=1",
        "after=first",
        "product=x",
    ] {
        let answer = app.alice.get(&format!("/v1/events?{query}")).await;
        answer.expect_problem(400, "malformed_query");
    }
    let request = app
        .alice
        .request(Method::GET, "/v1/events")
        .header("accept", "text/event-stream");
    let answer = app.alice.send(request.header("Last-Event-ID", "abc")).await;
    answer.expect_problem(400, "malformed_header");
    let reader = app.actor("service", &["notes:read"]).await;
    reader
        .get("/v1/events")
        .await
        .expect_problem(403, "scope_missing");
    let unknown = format!("/v1/events/{}/causation", Uuid::now_v7());
    app.alice
        .get(&unknown)
        .await
        .expect_problem(404, "not_found");
    reader
        .get(&unknown)
        .await
        .expect_problem(403, "scope_missing");
}

#[tokio::test]
async fn nobody_sees_another_products_events_however_they_ask() {
    let app = TestApp::start().await;
    let stranger = app.stranger().await;
    history(&app).await;
    stranger
        .note(stranger.workspace().await, "Theirs", "")
        .await;
    let event = &stranger.events("type=note.created").await[0];
    let (product, stream) = (text(&event["product_id"]), text(&event["stream"]));
    let correlation_id = text(&event["metadata"]["correlation_id"]);

    let own = json!(app.product_id);
    let is_own = |event: &Value| event["product_id"] == own;
    assert!(app.alice.events("").await.iter().all(is_own));
    for query in [
        format!("stream={stream}"),
        format!("actor={}", stranger.actor_id),
        format!("correlation_id={correlation_id}"),
    ] {
        assert_eq!(
            app.alice.events(&query).await,
            Vec::<Value>::new(),
            "{query}"
        );
        assert!(!stranger.events(&query).await.is_empty(), "{query}");
    }
    app.alice
        .get(&format!("/v1/events?product={product}"))
        .await
        .expect_problem(404, "not_found");
    let causation = format!("/v1/events/{}/causation", text(&event["event_id"]));
    app.alice
        .get(&causation)
        .await
        .expect_problem(404, "not_found");
    stranger.get(&causation).await.expect(200);
}

#[tokio::test]
async fn the_operator_sees_every_product_or_the_one_they_name() {
    let app = OwnApp::start().await;
    let stranger = app.stranger().await;
    history(&app).await;
    stranger.workspace().await;
    let (ours, theirs) = (app.alice.events("").await, stranger.events("").await);
    let all = app.operator.events("").await;
    assert!(ours.iter().chain(&theirs).all(|event| all.contains(event)));
    let product = format!("product={}", app.product_id);
    assert_eq!(app.operator.events(&product).await, ours);
}

#[tokio::test]
async fn the_tree_of_causes_leads_from_an_approval_over_the_notes_to_the_deliveries() {
    let app = TestApp::start().await;
    let receiver = Receiver::start().await;
    Endpoint::create(&app.alice, &receiver.url, &["proposal.approved", "note.*"]).await;
    let workspace_id = app.alice.workspace().await;
    let agent = app.actor("agent", &["*"]).await;
    app.alice.admit(workspace_id, &agent, "agent").await;
    let note = app.alice.note(workspace_id, "Tea", "Steep it.").await;
    let actions = json!([
        {"type": "note.revise", "note_id": id(&note), "base_version": 1, "body": "Steep it long."},
        {"type": "note.create", "title": "Milk", "body": "", "tags": []},
    ]);
    let proposal =
        json!({"workspace_id": workspace_id, "actions": actions, "rationale": "Better."});
    let proposal = agent.post("/v1/proposals", proposal).await.expect(201);
    let submitted = &app.alice.events("type=proposal.submitted").await[0];
    // The approver's client names the cause.
    let approve = app.alice.request(
        Method::POST,
        &format!("/v1/proposals/{}/approve", id(&proposal)),
    );
    let approve = approve
        .header("Daybook-Causation-Id", text(&submitted["event_id"]))
        .header(
            "Daybook-Correlation-Id",
            text(&submitted["metadata"]["correlation_id"]),
        );
    let approve = approve.json(&json!({"actions_hash": proposal["actions_hash"]}));
    app.alice.send(approve).await.expect(200);
    app.settle().await;

    let causation = async |event: &Value| {
        let path = format!("/v1/events/{}/causation", text(&event["event_id"]));
        app.alice.get(&path).await.expect(200)
    };
    let of = |events: &Value, name: &str| {
        let events = events.as_array().unwrap();
        events
            .iter()
            .find(|effect| effect["event"]["type"] == name)
            .cloned()
            .unwrap_or_else(|| panic!("{name} in {events:#?}"))
    };
    let tree = causation(submitted).await;
    assert_eq!((&tree["event"], &tree["causes"]), (submitted, &json!([])));
    let approved = of(&tree["effects"], "proposal.approved");
    let delivered = of(&approved["effects"], "webhook.delivery_attempted");
    assert_eq!(
        delivered["event"]["data"]["event_type"],
        "proposal.approved"
    );
    of(&approved["effects"], "proposal.applied");
    let revised = of(&approved["effects"], "note.revised");
    assert_eq!(revised["event"]["stream"], format!("note-{}", id(&note)));
    assert_eq!(
        revised["event"]["metadata"]["on_behalf_of"]["id"],
        json!(agent.actor_id)
    );
    for name in ["note.revised", "note.created"] {
        let changed = of(&approved["effects"], name);
        let delivered = of(&changed["effects"], "webhook.delivery_attempted");
        assert_eq!(
            delivered["event"]["data"]["event_id"],
            changed["event"]["event_id"]
        );
        assert_eq!(delivered["effects"], json!([]));
        // In the other direction as well.
        let back = causation(&delivered["event"]).await;
        assert_eq!(
            back["causes"],
            json!([changed["event"], approved["event"], submitted])
        );
    }
    assert_eq!(
        causation(&approved["event"]).await["effects"],
        approved["effects"]
    );
}

#[tokio::test]
async fn a_decision_on_a_proposal_was_caused_by_its_submission() {
    let app = TestApp::start().await;
    let workspace_id = app.alice.workspace().await;
    let agent = app.actor("agent", &["*"]).await;
    app.alice.admit(workspace_id, &agent, "agent").await;
    let note = app.alice.note(workspace_id, "Tea", "").await;
    let effects = |tree: &Value| -> Vec<Value> {
        let effects = tree["effects"].as_array().unwrap().iter();
        effects.map(|effect| effect["event"].clone()).collect()
    };
    let tree = async |event: &Value| {
        let path = format!("/v1/events/{}/causation", text(&event["event_id"]));
        app.alice.get(&path).await.expect(200)
    };
    for (decide, expected) in [
        ("approve", "proposal.approved"),
        ("reject", "proposal.rejected"),
        ("withdraw", "proposal.withdrawn"),
    ] {
        let proposal = json!({"workspace_id": workspace_id, "rationale": "order",
            "actions": [{"type": "note.tag", "note_id": id(&note), "add": [decide]}]});
        let proposal = agent.post("/v1/proposals", proposal).await.expect(201);
        let path = format!("/v1/proposals/{}/{decide}", id(&proposal));
        let decided = match decide {
            "approve" => {
                let body = json!({"actions_hash": proposal["actions_hash"]});
                app.alice.post(&path, body).await
            }
            "reject" => app.alice.post(&path, json!({"reason": "no"})).await,
            _ => agent.post_empty(&path).await,
        };
        decided.expect(200);
        let stream = format!("stream=proposal-{}", id(&proposal));
        let stream = app.alice.events(&stream).await;
        let (submitted, decision) = (&stream[0], &stream[1]);
        assert!(submitted["metadata"].get("causation_id").is_none());
        assert_eq!(decision["type"], expected);
        assert_eq!(decision["metadata"]["causation_id"], submitted["event_id"]);
        // They are linked although they came in different requests.
        let whole = tree(submitted).await;
        assert_eq!(effects(&whole), std::slice::from_ref(decision));
        let below = tree(decision).await;
        assert_eq!(below["causes"], json!([submitted]));
        assert_eq!(whole["effects"][0]["effects"], below["effects"]);
        if decide == "approve" {
            let changes = effects(&below);
            assert_eq!(types(&changes), ["note.tagged", "proposal.applied"]);
            let tagged = tree(&changes[0]).await;
            assert_eq!(tagged["causes"], json!([decision, submitted]));
        }
    }
    // A cause that the caller names takes precedence.
    let proposal = json!({"workspace_id": workspace_id, "rationale": "order",
        "actions": [{"type": "note.archive", "note_id": id(&note)}]});
    let proposal = agent.post("/v1/proposals", proposal).await.expect(201);
    let cause = app.alice.events("category=note").await.remove(0);
    let path = format!("/v1/proposals/{}/reject", id(&proposal));
    let reject = app
        .alice
        .request(Method::POST, &path)
        .header("Daybook-Causation-Id", text(&cause["event_id"]))
        .json(&json!({"reason": "no"}));
    app.alice.send(reject).await.expect(200);
    let rejected = app.alice.events("type=proposal.rejected").await;
    let causes = tree(&rejected[1]).await["causes"].take();
    assert_eq!(causes, json!([cause]));
}

#[tokio::test]
async fn a_long_circle_of_causes_is_answered_level_by_level() {
    const CHAIN: &str = "
        with head as (update log.head set position = position + 9999 returning position - 9999 as base)
        insert into log.events
        select base + n, $1, 'actor', $2, n, lpad(to_hex(n), 32, '0')::uuid, 'actor.registered', 1, '{}', metadata, $2,
            lpad(to_hex((n + 9997) % 9999 + 1), 32, '0')::uuid, now()
        from head, generate_series(1, 9999) n, (select metadata from log.events limit 1) e";
    let app = OwnApp::start().await;
    let database = app.sql().await;
    let stream = Uuid::now_v7();
    let before = app.alice.head().await;
    database
        .execute(CHAIN, &[&app.product_id, &stream])
        .await
        .unwrap();
    let link = |n: u128| Uuid::from_u128(n);
    let causation = async |n: u128| {
        let path = format!("/v1/events/{}/causation", link(n));
        app.alice.get(&path).await
    };
    eventually(async || {
        let last = format!("stream=actor-{stream}&after={}", before + 9998);
        (app.alice.events(&last).await.len() == 1).then_some(())
    })
    .await;

    let first = causation(1).await.expect(200);
    let mut effects = &first["effects"];
    let mut depth = 1;
    while let Some(effect) = effects.get(0) {
        depth += 1;
        assert_eq!(effect["event"]["event_id"], json!(link(depth)));
        effects = &effect["effects"];
    }
    assert_eq!(depth, 51);
    let last = causation(9999).await.expect(200);
    assert_eq!(last["causes"].as_array().unwrap().len(), 9998);
    assert_eq!(last["causes"][9997]["event_id"], json!(link(1)));
}

#[tokio::test]
async fn one_event_is_read_by_its_id() {
    let app = TestApp::start().await;
    history(&app).await;
    for event in app.alice.events("").await {
        let path = format!("/v1/events/{}", text(&event["event_id"]));
        assert_eq!(app.alice.get(&path).await.expect(200), event);
    }
    let nothing = format!("/v1/events/{}", Uuid::now_v7());
    app.alice
        .get(&nothing)
        .await
        .expect_problem(404, "not_found");
    let malformed = app.alice.get("/v1/events/first").await;
    malformed.expect_problem(400, "malformed_path");
}
