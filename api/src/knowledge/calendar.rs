//! Calendar feeds for calendar clients (RFC 5545). They need no key, because such clients cannot send one. Their URLs are kept for years,
//! so they are outside `/v1`.
//!
//! Every task is a to-do, for clients that support to-dos. Most subscribing clients show only events, so an open task is also an all-day
//! event that does not mark the day as busy.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{TimeDelta, Utc};
use commands::sha256_hex;
use domain::Aggregate;
use domain::knowledge::note::Note;
use domain::knowledge::task::{Status, Task};
use domain::knowledge::workspace::Workspace;
use icalendar::{Calendar, Component, Event, EventLike, Property, Todo, TodoStatus};
use projections::knowledge::calendar_feed;
use projections::knowledge::task::{self, TaskContent};
use projections::{Row, RowMetadata, Viewer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::entity_tag::has;
use crate::problem::{Problem, ProblemDetails};
use crate::query::Path;

/// Time for which completed tasks are still shown.
const DONE_SHOWN: TimeDelta = TimeDelta::days(30);
/// Interval at which a client should refresh.
const REFRESH: TimeDelta = TimeDelta::hours(1);

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read))
}

/// Returns the path of the feed with a token.
pub fn path(token: &str) -> String {
    format!("/calendars/{token}.ics")
}

/// Returns a calendar: its owner's tasks with a due date, including those completed in the last thirty days.
#[utoipa::path(get, path = "/calendars/{file}", tag = "tasks",
    params(("file" = String, Path, description = "The secret token of a calendar feed, then `.ics`.")),
    responses((status = 200, body = String, content_type = "text/calendar"),
        (status = 304, description = "As `If-None-Match` has it."),
        (status = 404, body = ProblemDetails, content_type = "application/problem+json"),
        (status = 503, body = ProblemDetails, content_type = "application/problem+json")))]
async fn read(
    State(app): State<App>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let token = file.strip_suffix(".ics").unwrap_or_default();
    let head = app.head();
    let shown = [Workspace::CATEGORY, Note::CATEGORY, Task::CATEGORY];
    for model in calendar_feed::DEPENDS_ON.into_iter().chain(shown) {
        app.readers.wait(model, head).await?;
    }
    let feed = calendar_feed::by_hash(&app.database, &sha256_hex(token))
        .await?
        .ok_or_else(|| Problem::not_found("calendar"))?;
    let viewer = Viewer {
        product_id: Some(feed.metadata.product_id),
        actor_id: feed.content.owner,
    };
    let tasks = task::due(&app.database, viewer, Utc::now() - DONE_SHOWN).await?;
    Ok(answer(&headers, calendar(&feed.content.name, &tasks)))
}

/// Returns the calendar, or 304 if the client already has it.
fn answer(headers: &HeaderMap, calendar: String) -> Response {
    let tag = format!("\"{}\"", &sha256_hex(&calendar)[..32]);
    let mut response = if has(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let content_type = [(header::CONTENT_TYPE, "text/calendar; charset=utf-8")];
        (content_type, calendar).into_response()
    };
    let answered = response.headers_mut();
    answered.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answered.insert(header::ETAG, tag);
    }
    response
}

fn calendar(name: &str, tasks: &[Row<TaskContent>]) -> String {
    let mut calendar = Calendar::empty();
    calendar
        .append_property(Property::new("VERSION", "2.0"))
        .append_property(Property::new("PRODID", "-//Daybook//Tasks//EN"))
        .append_property(Property::new("CALSCALE", "GREGORIAN"))
        .append_property(text("NAME", name))
        .append_property(text("X-WR-CALNAME", name))
        .ttl(&REFRESH);
    for Row { metadata, content } in tasks {
        calendar.push(todo(metadata, content));
        if content.status == Status::Open {
            calendar.push(event(metadata, content));
        }
    }
    calendar.to_string()
}

/// Returns a text property under a custom name; the type parameter makes sure that it is escaped.
fn text(name: &str, value: &str) -> Property {
    Property::new(name, value)
        .add_parameter("VALUE", "TEXT")
        .done()
}

fn todo(metadata: &RowMetadata, task: &TaskContent) -> Todo {
    let mut todo = Todo::new();
    describe(&mut todo, metadata, task).uid(&metadata.id.to_string());
    if let Some(due_on) = task.due_on {
        todo.due(due_on);
    }
    match task.completed_at {
        Some(at) => todo.status(TodoStatus::Completed).completed(at),
        None => todo.status(TodoStatus::NeedsAction),
    };
    todo
}

fn event(metadata: &RowMetadata, task: &TaskContent) -> Event {
    let mut event = Event::new();
    describe(&mut event, metadata, task)
        .uid(&format!("{}-due", metadata.id))
        .add_property("RELATED-TO", metadata.id.to_string())
        .add_property("TRANSP", "TRANSPARENT");
    if let Some(due_on) = task.due_on {
        event.starts(due_on);
    }
    event
}

/// Sets the properties common to both. They depend only on the task, so that an unchanged calendar keeps its tag.
fn describe<'a, C: EventLike>(
    component: &'a mut C,
    metadata: &RowMetadata,
    task: &TaskContent,
) -> &'a mut C {
    component
        .summary(&task.title)
        .timestamp(metadata.updated_at)
        .created(metadata.created_at)
        .last_modified(metadata.updated_at);
    if !task.labels.is_empty() {
        component.categories(&task.labels);
    }
    component
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::{DateTime, NaiveDate};
    use uuid::Uuid;

    use super::*;

    fn row(title: &str) -> Row<TaskContent> {
        Row {
            metadata: RowMetadata {
                id: Uuid::from_u128(7),
                product_id: Uuid::nil(),
                version: 1,
                created_at: DateTime::UNIX_EPOCH,
                created_by: Uuid::nil(),
                updated_at: DateTime::UNIX_EPOCH,
                position: 1,
                quarantined_at: None,
            },
            content: TaskContent {
                workspace_id: Uuid::nil(),
                note_id: None,
                title: title.into(),
                status: Status::Open,
                assignee: None,
                due_on: NaiveDate::from_ymd_opt(2026, 1, 31),
                labels: BTreeSet::from(["a, b".into()]),
                rank: "8".into(),
                completed_at: None,
            },
        }
    }

    #[test]
    fn texts_are_escaped_and_lines_folded() {
        let text = calendar("Mine; all, of\\it", &[row(&"Brühe, Tee; 🍵".repeat(20))]);
        assert!(text.contains("\r\nNAME;VALUE=TEXT:Mine\\; all\\, of\\\\it\r\n"));
        assert!(text.contains("CATEGORIES:a\\, b\r\n"));
        assert!(text.contains("DTSTART;VALUE=DATE:20260131\r\n"));
        assert!(text.contains("DUE;VALUE=DATE:20260131\r\n"));
        assert!(text.contains("SUMMARY:Brühe\\, Tee\\; 🍵"));
        for line in text.split("\r\n") {
            assert!(line.len() <= 75, "{line}");
            assert!(!line.contains(['\r', '\n']));
        }
    }

    #[test]
    fn the_same_tasks_are_the_same_text() {
        let tasks = [row("Tea")];
        assert_eq!(calendar("Mine", &tasks), calendar("Mine", &tasks));
    }
}
