//! Permissions to see events, checked for every event type and every way to read events.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Audience, Contract, contracts};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::event::text;
use crate::harness::{Client, OwnApp, id};
use crate::world::World;

/// An event of every type, in a workspace or in none as its context requires.
struct Everything {
    app: OwnApp,
    workspace_id: Uuid,
    /// Position before the first of these events.
    start: i64,
    /// Event ids by type: events in the workspace or, if the context has no workspaces, in none.
    events: BTreeMap<&'static str, Uuid>,
    /// Events in no workspace, of contexts that may also be in one.
    at_large: BTreeMap<&'static str, Uuid>,
}

const INSERT: &str = "
    with head as (update log.head set position = position + 1, recorded_at = now() returning position)
    insert into log.events
    select position, $1, $2, gen_random_uuid(), 1, $3, $4, $5, $6::text::json, $7::text::json, gen_random_uuid(), null,
        now(), $8
    from head";

impl Everything {
    async fn start() -> Self {
        let app = OwnApp::start().await;
        let workspace_id = app.alice.workspace().await;
        let start = app.alice.head().await;
        let mut everything = Self {
            app,
            workspace_id,
            start,
            events: BTreeMap::new(),
            at_large: BTreeMap::new(),
        };
        for contract in contracts() {
            for &(event_type, version) in contract.types {
                let (here, large) = match contract.audience {
                    Audience::Members => (true, false),
                    Audience::MembersOrProduct => (true, true),
                    Audience::Product | Audience::Actor | Audience::Auditors => (false, false),
                };
                let workspace_id = here.then_some(workspace_id);
                let event_id = everything.insert(&contract, event_type, version, workspace_id);
                everything.events.insert(event_type, event_id.await);
                if large {
                    let event_id = everything.insert(&contract, event_type, version, None);
                    everything.at_large.insert(event_type, event_id.await);
                }
            }
        }
        // Waits until the server knows all of them.
        let alice = &everything.app.alice;
        let heard = alice.request(Method::GET, "/v1/events?limit=1");
        let last = everything.last().await;
        alice
            .send(heard.header("Daybook-Min-Position", last))
            .await
            .expect(200);
        everything
    }

    async fn last(&self) -> i64 {
        let head = "select position from log.head";
        self.app
            .sql()
            .await
            .query_one(head, &[])
            .await
            .unwrap()
            .get(0)
    }

    async fn insert(
        &self,
        contract: &Contract,
        event_type: &'static str,
        version: u16,
        workspace_id: Option<Uuid>,
    ) -> Uuid {
        let event_id = Uuid::now_v7();
        let sample = format!("schema/events/{event_type}.v{version}.json");
        let data: Value = serde_json::from_slice(&std::fs::read(sample).unwrap()).unwrap();
        let data = data.to_string();
        let actor = json!({"kind": "person", "id": self.app.alice.actor_id});
        let metadata = json!({"actor": actor, "command": "sample"}).to_string();
        let product_id = self.app.product_id;
        let sql = self.app.sql().await;
        let version = version.cast_signed();
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 8] = [
            &product_id,
            &contract.category,
            &event_id,
            &event_type,
            &version,
            &data,
            &metadata,
            &workspace_id,
        ];
        sql.execute(INSERT, &params).await.unwrap();
        event_id
    }

    /// Returns the events of matching contexts, in the workspace or else in none; and those in none of all matching contexts.
    fn of(&self, passes: impl Fn(&Contract) -> bool, in_workspace: bool) -> BTreeSet<Uuid> {
        let mut ids = BTreeSet::new();
        for contract in contracts().into_iter().filter(passes) {
            let placed = matches!(
                contract.audience,
                Audience::Members | Audience::MembersOrProduct
            );
            for (event_type, _) in contract.types {
                if !placed || in_workspace {
                    ids.insert(self.events[event_type]);
                }
                ids.extend(self.at_large.get(event_type));
            }
        }
        ids
    }

    /// Reads the events in every way, and asserts that each shows exactly the expected ones.
    async fn assert_sees(&self, who: &str, reader: &Client, expected: &BTreeSet<Uuid>) {
        let query = format!("/v1/events?limit=1000&after={}", self.start);
        let ids = |events: &[Value]| -> BTreeSet<Uuid> {
            let all: BTreeSet<&Uuid> = self.events.values().chain(self.at_large.values()).collect();
            let ids = events.iter().map(|e| text(&e["event_id"]).parse().unwrap());
            ids.filter(|id| all.contains(id)).collect()
        };
        let page = reader.get(&query).await.expect(200);
        assert_eq!(
            ids(page["items"].as_array().unwrap()),
            *expected,
            "{who}: a page"
        );
        let lines = reader.request(Method::GET, &format!("{query}&follow=false"));
        let lines = lines.header("accept", "application/x-ndjson").send();
        let lines = lines.await.unwrap().text().await.unwrap();
        let lines: Vec<Value> = lines
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        assert_eq!(ids(&lines), *expected, "{who}: lines");
        let seen = page["items"].as_array().unwrap().len();
        if seen > 0 {
            let live = reader.request(
                Method::GET,
                &format!("{query}&limit={seen}").replace("limit=1000&", ""),
            );
            let live = live.header("accept", "text/event-stream").send();
            let live = live.await.unwrap().text().await.unwrap();
            let data = live.lines().filter_map(|line| line.strip_prefix("data: "));
            let live: Vec<Value> = data
                .map(|data| serde_json::from_str(data).unwrap())
                .collect();
            assert_eq!(ids(&live), *expected, "{who}: live");
        }
        let head = reader.head().await;
        for (event_type, event_id) in self.events.iter().chain(&self.at_large) {
            let status = if expected.contains(event_id) {
                200
            } else {
                404
            };
            for path in [
                format!("/v1/events/{event_id}"),
                format!("/v1/events/{event_id}/causation"),
            ] {
                let answer = reader.get_at(&path, head).await;
                assert_eq!(
                    answer.status, status,
                    "{who}: {event_type}: {path}: {}",
                    answer.body
                );
            }
        }
    }

    /// Names each event as the cause of a dry run, and asserts that only the expected ones are accepted.
    async fn assert_may_name(&self, who: &str, actor: &Client, expected: &BTreeSet<Uuid>) {
        for (event_type, event_id) in self.events.iter().chain(&self.at_large) {
            let request = actor.request(Method::POST, "/v1/workspaces?dry_run=true");
            let request = request.header("Daybook-Causation-Id", event_id.to_string());
            let answer = actor.send(request.json(&json!({"name": "bait"}))).await;
            let status = if expected.contains(event_id) {
                200
            } else {
                422
            };
            assert_eq!(
                answer.status, status,
                "{who}: {event_type}: {}",
                answer.body
            );
        }
    }

    async fn leave(&self, actor: &Client) {
        let path = format!(
            "/v1/workspaces/{}/members/{}",
            self.workspace_id, actor.actor_id
        );
        self.app.alice.delete(&path).await.expect(200);
    }
}

#[tokio::test]
async fn every_type_of_event_is_seen_by_whoever_may_see_what_it_is_about() {
    let all = Everything::start().await;
    let app = &all.app;
    let alices = all.of(|c| c.audience != Audience::Auditors, true);
    all.assert_sees("a member", &app.alice, &alices).await;
    all.assert_may_name("a member", &app.alice, &alices).await;

    // Own events are visible to nobody else.
    let shared = |c: &Contract| !matches!(c.audience, Audience::Auditors | Audience::Actor);
    let outside = all.of(shared, false);
    let bob = app.actor("person", &["*"]).await;
    all.assert_sees("no member", &bob, &outside).await;
    all.assert_may_name("no member", &bob, &outside).await;

    app.alice.admit(all.workspace_id, &bob, "viewer").await;
    all.assert_sees("a new member", &bob, &all.of(shared, true))
        .await;
    all.leave(&bob).await;
    all.assert_sees("a removed member", &bob, &outside).await;
    all.assert_may_name("a removed member", &bob, &outside)
        .await;

    let everything = all.of(|_| true, true);
    let auditor = app.actor("person", &["events:read", "audit:read"]).await;
    all.assert_sees("an auditor", &auditor, &everything).await;
    all.assert_sees("the operator", &app.operator, &everything)
        .await;
    let operator = app.operator.actor(Uuid::nil(), "person", &["*"]).await;
    all.assert_sees("an operator who is no auditor", &operator, &BTreeSet::new())
        .await;
    let product = format!("/v1/events?product={}", app.product_id);
    let refused = operator
        .get(&product)
        .await
        .expect_problem(403, "scope_missing");
    assert!(text(&refused["detail"]).contains("audit:read"));
    all.assert_sees("a stranger", &app.stranger().await, &BTreeSet::new())
        .await;
}

#[tokio::test]
async fn every_type_of_event_takes_the_scope_of_its_context() {
    let all = Everything::start().await;
    let app = &all.app;
    let contexts: BTreeSet<&str> = contracts().iter().map(|contract| contract.scope).collect();
    let shared = |c: &Contract| !matches!(c.audience, Audience::Auditors | Audience::Actor);
    for context in &contexts {
        let scope = format!("{context}:read");
        let only = app.actor("person", &["events:read", &scope]).await;
        app.alice.admit(all.workspace_id, &only, "viewer").await;
        let expected = all.of(|c| shared(c) && c.scope == *context, true);
        all.assert_sees(&format!("with {scope} alone"), &only, &expected)
            .await;

        let others = contexts.iter().filter(|other| *other != context);
        let mut others: Vec<String> = others.map(|other| format!("{other}:read")).collect();
        others.push("events:read".to_owned());
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let lacking = app.actor("person", &others).await;
        app.alice.admit(all.workspace_id, &lacking, "viewer").await;
        let expected = all.of(|c| shared(c) && c.scope != *context, true);
        all.assert_sees(&format!("without {scope}"), &lacking, &expected)
            .await;
    }
    let reader = app.actor("person", &["audit:read"]).await;
    let refused = reader.get("/v1/events").await;
    refused.expect_problem(403, "scope_missing");
}

/// Returns the collection from which a stream's resource is read; none: it has no resource by id.
fn resource(category: &str) -> Option<&'static str> {
    Some(match category {
        "product" => "products",
        "api_key" => "api-keys",
        "workspace" => "workspaces",
        "note" => "notes",
        "task" => "tasks",
        "calendar_feed" => "calendar-feeds",
        "artifact" => "artifacts",
        "agent" => "agents",
        "proposal" => "proposals",
        "tool_call" => "tool-calls",
        "webhook" => "webhooks",
        "webhook_delivery" => "deliveries",
        "file" => "files",
        _ => return None,
    })
}

#[tokio::test]
async fn an_event_is_seen_where_its_resource_is() {
    let world = World::start().await;
    let app = &world.app;
    let bob = app.actor("person", &["*"]).await;
    let product = format!("product={}", app.product_id);
    let mut tried = BTreeSet::new();
    for event in app.operator.events(&product).await {
        let stream = text(&event["stream"]);
        let (category, stream_id) = stream.split_once('-').unwrap();
        let Some(collection) = resource(category) else {
            continue;
        };
        let event_path = format!("/v1/events/{}", text(&event["event_id"]));
        let path = format!("/v1/{collection}/{stream_id}");
        for reader in [&app.alice, &bob, &world.agent] {
            let (seen, shown) = (reader.get(&event_path).await, reader.get(&path).await);
            assert_eq!(seen.status, shown.status, "{}: {path}", event["type"]);
            tried.insert((category.to_owned(), seen.status));
        }
    }
    for category in [
        "note",
        "task",
        "artifact",
        "proposal",
        "workspace",
        "calendar_feed",
    ] {
        for status in [200, 404] {
            let both = (category.to_owned(), status);
            assert!(tried.contains(&both), "{both:?}");
        }
    }
}

/// Checks that every event of a context with member visibility names its workspace.
#[tokio::test]
async fn an_event_says_which_workspace_it_is_in() {
    let world = World::start().await;
    let app = &world.app;
    let audience: BTreeMap<&str, Audience> = contracts()
        .into_iter()
        .map(|contract| (contract.category, contract.audience))
        .collect();
    let mut places = BTreeSet::new();
    for event in app.operator.events("").await {
        let stream = text(&event["stream"]);
        let (category, _) = stream.split_once('-').unwrap();
        let has_place = event["workspace_id"].is_string();
        match audience[category] {
            Audience::Members => assert!(has_place, "{event:#}"),
            Audience::MembersOrProduct => {}
            Audience::Product | Audience::Actor | Audience::Auditors => {
                assert!(!has_place, "{event:#}");
            }
        }
        places.insert((category.to_owned(), has_place));
    }
    assert!(places.len() > 10, "{places:?}");

    // The remaining events of a purged note are still visible to the members.
    let workspace_id = app.alice.workspace().await;
    let note = app.alice.note(workspace_id, "Gone", "- [ ] soon").await;
    app.settle().await;
    let path = format!("/v1/notes/{}", id(&note));
    app.alice
        .post_empty(&format!("{path}/trash"))
        .await
        .expect(200);
    app.alice.delete(&path).await.expect(204);
    app.settle().await;
    let all = app
        .operator
        .events(&format!("workspace_id={workspace_id}"))
        .await;
    let types: BTreeSet<String> = all.iter().map(|event| text(&event["type"])).collect();
    for expected in [
        "workspace.created",
        "note.purged",
        "checklist.read",
        "task.removed",
    ] {
        assert!(types.contains(expected), "{expected}: {types:?}");
    }
    assert_eq!(
        app.alice
            .events(&format!("workspace_id={workspace_id}"))
            .await,
        all
    );
    let bob = app.actor("person", &["*"]).await;
    let none = bob.events(&format!("workspace_id={workspace_id}")).await;
    assert_eq!(none, Vec::<Value>::new());
}
