//! Calendar feeds, parsed by an iCalendar library.

use std::collections::BTreeSet;

use chrono::{Days, Utc};
use ical::IcalParser;
use ical::parser::ical::component::IcalCalendar;
use ical::property::Property;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Client, OwnApp, TestApp, id, pointers};

/// Alice's workspace with Bob in it, and his feed.
struct Cast {
    app: TestApp,
    bob: Client,
    workspace_id: Uuid,
    feed: Value,
}

impl Cast {
    async fn assemble() -> Self {
        Self::on(TestApp::start().await).await
    }

    async fn on(app: TestApp) -> Self {
        let workspace_id = app.alice.workspace().await;
        let bob = app.actor("person", &["*"]).await;
        app.alice.admit(workspace_id, &bob, "editor").await;
        let feed = open(&bob).await;
        Self {
            app,
            bob,
            workspace_id,
            feed,
        }
    }

    /// Creates a task for Bob.
    async fn task(&self, title: &str, due_on: Value) -> Value {
        let task = json!({
            "workspace_id": self.workspace_id, "title": title, "assignee": self.bob.actor_id, "due_on": due_on,
            "labels": ["a, b", "c;d"],
        });
        self.app.alice.post("/v1/tasks", task).await.expect(201)
    }

    async fn fetch(&self) -> Answer {
        fetch(&self.app, &self.feed, "").await
    }

    async fn calendar(&self) -> IcalCalendar {
        parse(&self.fetch().await)
    }
}

async fn open(client: &Client) -> Value {
    let feed = client
        .post("/v1/calendar-feeds", json!({"name": "Phone"}))
        .await;
    feed.expect(201)
}

/// Fetches a feed as a calendar client does: without a key.
async fn fetch(app: &TestApp, feed: &Value, known: &str) -> Answer {
    let nobody = Client::new(&app.url, "");
    let request = nobody.request(Method::GET, feed["path"].as_str().unwrap());
    let request = match known {
        "" => request,
        tag => request.header("If-None-Match", tag),
    };
    nobody.send(request).await
}

#[track_caller]
fn parse(answer: &Answer) -> IcalCalendar {
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    assert_eq!(
        answer.header("content-type"),
        "text/calendar; charset=utf-8"
    );
    // Unfolded here as in RFC 5545, section 3.1, because the parser would lose blanks.
    let text = answer.body.as_str().unwrap().replace("\r\n ", "");
    let mut calendars = IcalParser::new(text.as_bytes());
    let calendar = calendars.next().unwrap().unwrap();
    assert!(calendars.next().is_none());
    calendar
}

/// Returns the unescaped value of a property.
fn value(properties: &[Property], name: &str) -> String {
    let mut found = properties.iter().filter(|property| property.name == name);
    let property = found.next().unwrap_or_else(|| panic!("there is no {name}"));
    assert!(found.next().is_none(), "{name} is there twice");
    let value = property.value.clone().unwrap();
    value
        .replace("\\n", "\n")
        .replace("\\,", ",")
        .replace("\\;", ";")
        .replace("\\\\", "\\")
}

fn summaries<'a>(components: impl Iterator<Item = &'a Vec<Property>>) -> BTreeSet<String> {
    components
        .map(|properties| value(properties, "SUMMARY"))
        .collect()
}

fn todos(calendar: &IcalCalendar) -> BTreeSet<String> {
    summaries(calendar.todos.iter().map(|todo| &todo.properties))
}

fn events(calendar: &IcalCalendar) -> BTreeSet<String> {
    summaries(calendar.events.iter().map(|event| &event.properties))
}

fn set(titles: &[&str]) -> BTreeSet<String> {
    titles.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_calendar_client_reads_what_its_owner_is_to_do_by_a_date() {
    const TITLE: &str = "Brühe; Tee, \\ und \"Kuchen\": 🍵 für alle, die am Nachmittag noch da sind, und für die anderen";
    let cast = Cast::assemble().await;
    let task = cast.task(TITLE, json!("2030-01-31")).await;
    let answer = cast.fetch().await;
    for line in answer.body.as_str().unwrap().split("\r\n") {
        assert!(line.len() <= 75 && !line.contains('\n'), "{line}");
    }
    let calendar = parse(&answer);
    assert_eq!(value(&calendar.properties, "VERSION"), "2.0");
    assert_eq!(value(&calendar.properties, "X-WR-CALNAME"), "Phone");
    let [todo] = calendar.todos.as_slice() else {
        panic!("{calendar:#?}")
    };
    let [event] = calendar.events.as_slice() else {
        panic!("{calendar:#?}")
    };
    for properties in [&todo.properties, &event.properties] {
        assert_eq!(value(properties, "SUMMARY"), TITLE);
        assert!(value(properties, "DTSTAMP").ends_with('Z'));
        assert_eq!(value(properties, "CATEGORIES"), "a, b,c;d");
    }
    assert_eq!(value(&todo.properties, "UID"), id(&task).to_string());
    assert_eq!(value(&todo.properties, "DUE"), "20300131");
    assert_eq!(value(&todo.properties, "STATUS"), "NEEDS-ACTION");
    assert_eq!(value(&event.properties, "DTSTART"), "20300131");
    assert_eq!(value(&event.properties, "TRANSP"), "TRANSPARENT");
    assert_ne!(
        value(&event.properties, "UID"),
        value(&todo.properties, "UID")
    );
}

#[tokio::test]
async fn it_shows_the_owners_open_tasks_and_those_done_lately_and_no_others() {
    let cast = Cast::assemble().await;
    let soon = json!(Utc::now().date_naive() + Days::new(1));
    let done = cast.task("done", soon.clone()).await;
    for (title, due_on) in [
        ("open", soon.clone()),
        ("late", json!("1999-12-31")),
        ("whenever", Value::Null),
    ] {
        cast.task(title, due_on).await;
    }
    let others = json!({"workspace_id": cast.workspace_id, "title": "Alice's", "due_on": soon,
        "assignee": cast.app.alice.actor_id});
    cast.app
        .alice
        .post("/v1/tasks", others.clone())
        .await
        .expect(201);
    let mut suggested = others;
    suggested["assignee"] = json!(cast.bob.actor_id);
    let suggest = cast
        .app
        .alice
        .post("/v1/tasks/suggestions", suggested)
        .await;
    suggest.expect(201);
    let complete = format!("/v1/tasks/{}/complete", id(&done));
    cast.bob.post_empty(&complete).await.expect(200);

    let calendar = cast.calendar().await;
    assert_eq!(todos(&calendar), set(&["done", "late", "open"]));
    assert_eq!(events(&calendar), set(&["late", "open"]));
    let todo = calendar
        .todos
        .iter()
        .find(|todo| value(&todo.properties, "SUMMARY") == "done");
    let properties = &todo.unwrap().properties;
    assert_eq!(value(properties, "STATUS"), "COMPLETED");
    assert!(value(properties, "COMPLETED").ends_with('Z'));
}

#[tokio::test]
async fn a_task_keeps_its_uid_through_its_changes() {
    let cast = Cast::assemble().await;
    let task = cast.task("Buy tea", json!("2030-01-31")).await;
    let uids = async || {
        let calendar = cast.calendar().await;
        (
            value(&calendar.todos[0].properties, "UID"),
            value(&calendar.events[0].properties, "UID"),
        )
    };
    let before = uids().await;
    let revision = json!({"title": "Buy green tea", "due_on": "2030-02-01"});
    let path = format!("/v1/tasks/{}", id(&task));
    cast.bob.patch(&path, revision).await.expect(200);
    assert_eq!(uids().await, before);
    assert_eq!(todos(&cast.calendar().await), set(&["Buy green tea"]));
}

#[tokio::test]
async fn a_client_that_has_the_calendar_is_told_so() {
    let cast = Cast::assemble().await;
    let task = cast.task("Buy tea", json!("2030-01-31")).await;
    let first = cast.fetch().await;
    let tag = first.header("etag").to_owned();
    assert_eq!(first.header("cache-control"), "private, no-cache");
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".into(),
    ] {
        let answer = fetch(&cast.app, &cast.feed, &known).await;
        assert_eq!(answer.header("etag"), tag);
        assert_eq!(answer.expect(304), "");
    }
    let retitle = json!({"title": "Buy green tea"});
    let path = format!("/v1/tasks/{}", id(&task));
    cast.bob.patch(&path, retitle).await.expect(200);
    let changed = fetch(&cast.app, &cast.feed, &tag).await;
    assert_ne!(changed.header("etag"), tag);
    assert_eq!(todos(&parse(&changed)), set(&["Buy green tea"]));
}

#[tokio::test]
async fn a_revoked_feed_is_gone_and_another_stays() {
    let cast = Cast::assemble().await;
    cast.task("Buy tea", json!("2030-01-31")).await;
    let other = open(&cast.bob).await;
    assert_ne!(other["path"], cast.feed["path"]);
    let path = format!("/v1/calendar-feeds/{}", id(&cast.feed));
    for _ in 0..2 {
        let revoked = cast.bob.delete(&path).await.expect(200);
        assert_eq!(revoked["status"], "revoked");
    }
    cast.fetch().await.expect_problem(404, "not_found");
    assert_eq!(
        todos(&parse(&fetch(&cast.app, &other, "").await)),
        set(&["Buy tea"])
    );
}

#[tokio::test]
async fn whoever_is_no_longer_a_member_sees_nothing_of_the_workspace() {
    let cast = Cast::assemble().await;
    cast.task("Buy tea", json!("2030-01-31")).await;
    let own = cast.bob.workspace().await;
    let task = json!({"workspace_id": own, "title": "His own", "due_on": "2030-01-31", "assignee": cast.bob.actor_id});
    cast.bob.post("/v1/tasks", task).await.expect(201);
    assert_eq!(todos(&cast.calendar().await), set(&["Buy tea", "His own"]));
    let member = format!(
        "/v1/workspaces/{}/members/{}",
        cast.workspace_id, cast.bob.actor_id
    );
    cast.app.alice.delete(&member).await.expect(200);
    assert_eq!(todos(&cast.calendar().await), set(&["His own"]));
}

#[tokio::test]
async fn tasks_of_a_note_in_the_trash_are_not_in_the_calendar() {
    let cast = Cast::assemble().await;
    let note = cast.app.alice.note(cast.workspace_id, "Tea", "").await;
    let task = json!({"workspace_id": cast.workspace_id, "note_id": id(&note), "title": "Buy tea",
        "due_on": "2030-01-31", "assignee": cast.bob.actor_id});
    cast.app.alice.post("/v1/tasks", task).await.expect(201);
    for (command, shown) in [("trash", &[][..]), ("restore", &["Buy tea"])] {
        let path = format!("/v1/notes/{}/{command}", id(&note));
        cast.app.alice.post_empty(&path).await.expect(200);
        assert_eq!(todos(&cast.calendar().await), set(shown), "{command}");
    }
}

#[tokio::test]
async fn an_address_that_was_never_given_leads_nowhere() {
    let cast = Cast::assemble().await;
    let nobody = Client::new(&cast.app.url, "");
    let path = cast.feed["path"].as_str().unwrap();
    let bare = path.strip_suffix(".ics").unwrap();
    for wrong in [
        bare.to_owned(),
        format!("{}0.ics", &bare[..bare.len() - 1]),
        format!("/calendars/{}.ics", id(&cast.feed)),
        "/calendars/.ics".to_owned(),
    ] {
        if wrong != path {
            let answer = nobody.send(nobody.request(Method::GET, &wrong)).await;
            answer.expect_problem(404, "not_found");
        }
    }
    let answer = nobody
        .send(nobody.request(Method::GET, "/calendars/"))
        .await;
    answer.expect_problem(404, "no_such_path");
}

#[tokio::test]
async fn a_feed_is_its_owners_and_its_address_is_shown_once() {
    let app = OwnApp::start().await;
    let cast = Cast::on(app.clone()).await;
    let token = cast.feed["path"]
        .as_str()
        .unwrap()
        .split(['/', '.'])
        .nth(2)
        .unwrap();
    assert_eq!(cast.feed["owner"], json!(cast.bob.actor_id));
    let path = format!("/v1/calendar-feeds/{}", id(&cast.feed));
    let read = cast.bob.get(&path).await.expect(200);
    assert_eq!(read.get("path"), None);
    assert_eq!(read["name"], "Phone");
    assert_eq!(cast.bob.ids("/v1/calendar-feeds").await, [id(&cast.feed)]);
    let colleague = cast
        .app
        .actor("person", &["tasks:read", "tasks:write"])
        .await;
    for other in [&colleague, &cast.app.stranger().await] {
        assert_eq!(other.ids("/v1/calendar-feeds").await, Vec::<Uuid>::new());
        other.get(&path).await.expect_problem(404, "not_found");
        let revoke = other.delete(&path).await;
        revoke.expect_problem(404, "calendar_feed_not_found");
    }
    let log = json!(cast.app.operator.events("").await).to_string();
    assert!(!log.contains(token), "the log holds no address");
    for name in ["", "two\nlines"] {
        let answer = cast
            .bob
            .post("/v1/calendar-feeds", json!({"name": name}))
            .await;
        let problem = answer.expect_problem(400, "validation_failed");
        assert_eq!(pointers(&problem), ["/name"]);
    }
}

#[tokio::test]
async fn a_feed_ends_with_the_key_that_opened_it_and_no_other() {
    let cast = Cast::assemble().await;
    cast.task("Buy tea", json!("2030-01-31")).await;
    let me = cast.bob.get("/v1/me").await.expect(200);
    let key = format!("/v1/api-keys/{}", me["credential"]["id"].as_str().unwrap());
    assert_eq!(cast.feed["credential"], me["credential"]["id"]);
    let second = json!({"name": "tablet", "actor": {"kind": "person", "id": cast.bob.actor_id}, "scopes": ["*"]});
    let second = cast.bob.post("/v1/api-keys", second).await.expect(201);
    let tablet = Client::new(&cast.bob.url, second["key"].as_str().unwrap());
    let other = open(&tablet).await;
    // A rotated key is the same credential.
    let rotated = cast.bob.post_empty(&format!("{key}/rotate")).await;
    rotated.expect(200);
    assert_eq!(todos(&cast.calendar().await), set(&["Buy tea"]));
    cast.bob.delete(&key).await.expect(200);
    cast.fetch().await.expect_problem(404, "not_found");
    let other = fetch(&cast.app, &other, "").await;
    assert_eq!(todos(&parse(&other)), set(&["Buy tea"]));
}

#[tokio::test]
async fn whoever_looks_after_the_keys_of_a_product_sees_its_feeds_and_closes_them() {
    let cast = Cast::assemble().await;
    let all = "/v1/calendar-feeds?all=true";
    let clerk = cast.app.actor("service", &["tasks:read", "tasks:write"]);
    clerk
        .await
        .get(all)
        .await
        .expect_problem(403, "scope_missing");
    let stranger = cast.app.stranger().await;
    assert_eq!(stranger.ids(all).await, Vec::<Uuid>::new());
    assert_eq!(cast.app.alice.ids(all).await, [id(&cast.feed)]);
    let path = format!("/v1/calendar-feeds/{}", id(&cast.feed));
    let closed = cast.app.alice.delete(&path).await.expect(200);
    assert_eq!(
        (&closed["status"], closed.get("path")),
        (&json!("revoked"), None)
    );
    cast.fetch().await.expect_problem(404, "not_found");
    let other = open(&cast.bob).await;
    let path = format!("/v1/calendar-feeds/{}", id(&other));
    cast.app.operator.delete(&path).await.expect(200);
    fetch(&cast.app, &other, "")
        .await
        .expect_problem(404, "not_found");
}
