//! The event log: in pages, as a stream of lines, and live.

use std::convert::Infallible;
use std::time::Duration;

use async_trait::async_trait;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use domain::identity::scope;
use domain::{Actor, StreamId, check_category, check_type_pattern};
use futures::{Stream, StreamExt};
use projections::WaitError;
use serde::{Deserialize, Serialize};
use store::{Filter, Position, ReadError, Recorded, Wanted, pages, subscribe};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::causation;
use crate::App;
use crate::accept;
use crate::answer;
use crate::caller::Caller;
use crate::parameters;
use crate::problem::{Problem, ProblemDetails};
use crate::query::{self, Params, Path, Read, reached};

/// Approximate size of a line without its payload, in bytes.
const ENVELOPE_BYTES: usize = 640;
/// Payload bytes after which a page ends early.
const PAGE_BYTES: usize = 8 << 20;

const JSON: &str = "application/json";
const SERVER_SENT: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .merge(causation::routes())
}

/// Filters for a list of events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventFilter {
    /// Position after which events are returned; 0 if not given.
    #[param(minimum = 0, value_type = Option<i64>)]
    after: Option<Position>,
    /// Maximum number of events per page: 1 to 1000, 100 if not given. A stream ends after as many events, or never if not given.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Id of a product; only the operator, with the scope `audit:read`, may name another product than their own.
    product: Option<Uuid>,
    /// Stream categories, at most 50, separated by commas.
    category: Option<String>,
    /// Id of a stream: `category-uuid`.
    stream: Option<String>,
    /// Returns only events in this workspace.
    workspace_id: Option<Uuid>,
    /// Event types, or prefixes that end in `*`, at most 50, separated by commas.
    r#type: Option<String>,
    /// Id of the actor.
    actor: Option<Uuid>,
    correlation_id: Option<Uuid>,
    /// Returns only events recorded at or after this time (RFC 3339).
    since: Option<DateTime<Utc>>,
    /// Returns only events recorded before this time (RFC 3339).
    until: Option<DateTime<Utc>>,
    /// NDJSON only: `false` ends the stream at the end of the log; if not given, it continues live.
    follow: Option<bool>,
}

impl EventFilter {
    fn filter(&self, caller: &Caller) -> Result<Filter, Problem> {
        match self.product {
            Some(asked) if asked == caller.product_id => {}
            Some(_) if !caller.is_operator() => return Err(Problem::not_found("product")),
            Some(_) => caller.require(scope::AUDIT)?,
            None => {}
        }
        let stream = self
            .stream
            .as_deref()
            .map(str::parse::<StreamId>)
            .transpose()
            .map_err(|error| parameters::invalid("stream", error.to_string()))?;
        if let Some(stream) = &stream {
            known("stream", &stream.category, check_category)?;
        }
        Ok(Filter {
            products: self.product.into_iter().collect(),
            categories: words("category", self.category.as_deref(), check_category)?,
            types: words("type", self.r#type.as_deref(), check_type_pattern)?,
            stream,
            workspace_id: self.workspace_id,
            actor_id: self.actor,
            correlation_id: self.correlation_id,
            since: self.since,
            until: self.until,
            visibility: None,
        })
    }
}

/// Splits a comma-separated list; each word must pass the check.
fn words(
    name: &str,
    list: Option<&str>,
    check: fn(&str) -> Result<(), String>,
) -> Result<Vec<String>, Problem> {
    let words = query::words(name, list)?.into_iter();
    words
        .filter(|word| !word.is_empty())
        .map(|word| known(name, word, check).map(|()| word.to_owned()))
        .collect()
}

fn known(name: &str, word: &str, check: fn(&str) -> Result<(), String>) -> Result<(), Problem> {
    check(word).map_err(|detail| parameters::invalid(name, detail))
}

/// A caller's subscription to the log.
struct Asked {
    app: App,
    caller: Caller,
    filter: Filter,
}

#[async_trait]
impl Wanted for Asked {
    async fn up_to(&self, position: Position) -> Result<Filter, ReadError> {
        let (app, filter) = (&self.app, self.filter.clone());
        let narrowed = app.narrow(&self.caller, filter, position).await;
        narrowed.map_err(|problem| ReadError::Unavailable(ProblemDetails::from(problem).detail))
    }
}

/// An event in the log: the JSON form of [`Recorded`].
#[derive(ToSchema)]
pub struct Event {
    #[schema(value_type = i64)]
    pub position: Position,
    pub event_id: Uuid,
    /// Type of the event, such as `note.revised`.
    pub r#type: String,
    /// Version of the payload's contract; older payloads are upcast when read.
    pub contract_version: i16,
    pub product_id: Uuid,
    /// Id of the workspace whose members may see the event; absent if it belongs to none.
    pub workspace_id: Option<Uuid>,
    /// Id of the stream: `category-uuid`.
    pub stream: String,
    /// Version of the stream, counted from 1.
    pub version: i64,
    pub recorded_at: DateTime<Utc>,
    /// Payload of the event.
    pub data: serde_json::Map<String, serde_json::Value>,
    pub metadata: EventMetadata,
}

/// The actor, command and context of an event.
#[derive(ToSchema)]
pub struct EventMetadata {
    pub actor: Actor,
    /// Id of the API key that the actor used.
    pub credential: Option<Uuid>,
    /// Author of the change, if not the actor: the agent whose proposal a person approved.
    pub on_behalf_of: Option<Actor>,
    /// Name of the command, such as `note.revise`.
    pub command: String,
    /// Idempotency key of the command.
    pub command_key: Option<String>,
    /// Reason in the actor's words.
    pub reason: Option<String>,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
    pub correlation_id: Uuid,
    pub causation_id: Option<Uuid>,
}

/// A page of the log.
#[derive(Serialize, ToSchema)]
struct EventPage {
    #[schema(value_type = Vec<Event>)]
    items: Vec<Recorded>,
    /// Value of `after` for the next page; null if this page reaches the end of the log.
    next_cursor: Option<String>,
}

/// Returns the log as far as the caller may see it: events of their workspaces whose context they may read, and events of their product
/// that belong to no workspace; with the scope `audit:read`, all events. The answer is JSON in pages; with `Accept: text/event-stream`,
/// live server-sent events, resumed after `Last-Event-ID`; with `Accept: application/x-ndjson`, a live stream of lines. A stream follows
/// changes in the reader's memberships, and ends when their key stops working.
#[utoipa::path(get, path = "/events", tag = "events", params(EventFilter), responses((status = 200, content(
        (EventPage = "application/json"), (String = "text/event-stream"), (String = "application/x-ndjson"))),
        (status = 404, description = "No such product.", body = ProblemDetails, content_type = "application/problem+json")),
    security(("api_key" = ["events:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    headers: HeaderMap,
    Params(parameters): Params<EventFilter>,
) -> Result<Response, Problem> {
    read.caller.require("events:read")?;
    let filter = parameters.filter(&read.caller)?;
    let after = parameters.after.unwrap_or_default();
    reached(&app, "after", after).await?;
    await_head(&app, read.min_position).await?;
    let asked = |filter| Asked {
        app: app.clone(),
        caller: read.caller.clone(),
        filter,
    };
    match accept::preferred(&headers, &[JSON, SERVER_SENT, LINES]) {
        SERVER_SENT => {
            let after = match last_event_id(&headers)? {
                Some(last) => {
                    reached(&app, "Last-Event-ID", last).await?;
                    last
                }
                None => after,
            };
            let events = subscribe(app.store.clone(), after, asked(filter))
                .take(parameters.limit.unwrap_or(usize::MAX))
                .take_until(cut(&app, read.caller));
            return Ok(server_sent(events));
        }
        LINES => {
            let end = (!parameters.follow.unwrap_or(true)).then(|| app.head());
            let lines = lines(&app, after, asked(filter), parameters.limit, end)
                .take_until(cut(&app, read.caller));
            let body = Body::from_stream(lines);
            return Ok(([(CONTENT_TYPE, LINES)], body).into_response());
        }
        _ => {}
    }
    let limit = query::limit(parameters.limit, 100, 1_000)?;
    let head = app.head();
    let filter = app.narrow(&read.caller, filter, head).await?;
    let page = page(&app, after, head, &filter, limit).await?;
    Ok(answer::found((page, head)))
}

/// Returns one event.
#[utoipa::path(get, path = "/events/{event_id}", tag = "events", params(("event_id" = Uuid, Path)),
    responses((status = 200, body = Event)), security(("api_key" = ["events:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(event_id): Path<Uuid>,
) -> Result<Response, Problem> {
    let event = find(&app, &read, event_id).await?;
    Ok(answer::at(Json(event).into_response(), app.head()))
}

/// Returns an event that the caller may see.
pub(super) async fn find(app: &App, read: &Read, event_id: Uuid) -> Result<Recorded, Problem> {
    read.caller.require("events:read")?;
    await_head(app, read.min_position).await?;
    match app.store.find(event_id).await? {
        Some(event) if app.sees(&read.caller, &event).await? => Ok(event),
        Some(_) | None => Err(Problem::not_found("event")),
    }
}

/// Waits until this node knows a position that another node has given out.
pub(super) async fn await_head(app: &App, wanted: Position) -> Result<(), Problem> {
    let mut head = app.store.head();
    tokio::time::timeout(
        Duration::from_secs(5),
        head.wait_for(|head| *head >= wanted),
    )
    .await
    .map(drop)
    .map_err(|_| {
        Problem::from(WaitError::TooFarBehind {
            name: "of the log",
            position: app.head(),
            wanted,
        })
    })
}

/// Reads a page until it is full or the log ends; the store scans a bounded range per read.
async fn page(
    app: &App,
    after: Position,
    head: Position,
    filter: &Filter,
    limit: usize,
) -> Result<EventPage, Problem> {
    let mut items = Vec::new();
    let mut after = after;
    let mut bytes = 0;
    // A filter that matches few events in a long log ends early; the client continues from where this page stopped.
    for _ in 0..20 {
        let found = app
            .store
            .read_all(after, filter, limit - items.len())
            .await?
            .within(head);
        after = found.scanned_to.max(after);
        bytes += found
            .events
            .iter()
            .map(|event| event.data.len())
            .sum::<usize>();
        items.extend(found.events);
        if items.len() >= limit || after >= head || bytes > PAGE_BYTES {
            break;
        }
    }
    Ok(EventPage {
        items,
        next_cursor: (after < head).then(|| after.to_string()),
    })
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    headers
        .get("last-event-id")
        .map(|value| {
            value
                .to_str()
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| {
                    Problem::malformed("malformed_header", "Last-Event-ID must be a position")
                })
        })
        .transpose()
}

/// Completes when a stream must end: the server stops, or the reader's key no longer works.
fn cut(app: &App, reader: Caller) -> impl Future<Output = ()> + Send + use<> {
    let (shutdown, authenticator) = (app.shutdown.clone(), app.authenticator.clone());
    async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = authenticator.refuses(&reader) => {}
        }
    }
}

fn server_sent(
    events: impl Stream<Item = Result<Recorded, ReadError>> + Send + 'static,
) -> Response {
    let events = events.map(|event| {
        let event = event.map_err(axum::Error::new)?;
        sse::Event::default()
            .id(event.position.to_string())
            .event(&event.event_type)
            .json_data(&event)
    });
    Sse::new(events)
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
        .into_response()
}

/// Writes one event per line. Reads page by page as the client consumes, so that memory use stays constant.
fn lines(
    app: &App,
    after: Position,
    asked: Asked,
    limit: Option<usize>,
    end: Option<Position>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + use<> {
    let mut pages = Box::pin(pages(app.store.clone(), after, end, asked));
    async_stream::stream! {
        let mut left = limit.unwrap_or(usize::MAX);
        while left > 0 && let Some(page) = pages.next().await {
            let mut events = match page {
                Ok(page) => page.events,
                Err(error) => {
                    // The stream is cut off rather than ended properly, so that the client notices the fault.
                    tracing::warn!(%error, "an event stream broke off");
                    return;
                }
            };
            events.truncate(left);
            left -= events.len();
            if !events.is_empty() {
                yield Ok(text(&events));
            }
        }
    }
}

fn text(events: &[Recorded]) -> Bytes {
    let bytes: usize = events.iter().map(|event| event.data.len()).sum();
    let mut text = Vec::with_capacity(bytes + events.len() * ENVELOPE_BYTES);
    for event in events {
        // Writing to memory fails only if the data is not JSON, which the database has checked.
        if serde_json::to_writer(&mut text, event).is_ok() {
            text.push(b'\n');
        }
    }
    text.into()
}
