//! The log itself: in pages, as a stream of lines, and live.

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

/// About what a line holds beside the payload.
const ENVELOPE_BYTES: usize = 640;
/// Payload bytes after which a page ends before it is full.
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

/// Which events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only events after this position; 0 if not given.
    #[param(minimum = 0, value_type = Option<i64>)]
    after: Option<Position>,
    /// Events on the page: 1 to 1000, 100 if not given. A stream ends after as many, or not at all if not given.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Only the operator names another product than their own, with the scope `audit:read`.
    product: Option<Uuid>,
    /// At most 50, separated by commas.
    category: Option<String>,
    /// `category-uuid`.
    stream: Option<String>,
    /// Only events in this workspace.
    workspace_id: Option<Uuid>,
    /// At most 50 types, or prefixes that end in `*`, separated by commas.
    r#type: Option<String>,
    /// Id of the actor.
    actor: Option<Uuid>,
    correlation_id: Option<Uuid>,
    /// Recorded at this time or later (RFC 3339).
    since: Option<DateTime<Utc>>,
    /// Recorded before this time (RFC 3339).
    until: Option<DateTime<Utc>>,
    /// NDJSON only: `false` ends the stream where the log ends; it goes on live if not given.
    follow: Option<bool>,
}

impl Which {
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

/// The words of a list with commas between them, each of which must pass the check.
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

/// What a caller follows the log for.
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

/// An event as the log has it: how [`Recorded`] looks on the wire.
#[derive(ToSchema)]
pub struct Event {
    #[schema(value_type = i64)]
    pub position: Position,
    pub event_id: Uuid,
    /// `note.revised`.
    pub r#type: String,
    /// Of the payload; older ones are upcast when they are read.
    pub contract_version: i16,
    pub product_id: Uuid,
    /// The workspace whose members may see it; absent where it is in none.
    pub workspace_id: Option<Uuid>,
    /// `category-uuid`.
    pub stream: String,
    /// Of the stream; counts from 1.
    pub version: i64,
    pub recorded_at: DateTime<Utc>,
    /// The payload.
    pub data: serde_json::Map<String, serde_json::Value>,
    pub metadata: EventMetadata,
}

/// Who caused an event, and by what.
#[derive(ToSchema)]
pub struct EventMetadata {
    pub actor: Actor,
    /// Id of the API key that the actor came with.
    pub credential: Option<Uuid>,
    /// Whose idea it was, where that is another actor: the agent whose proposal a person approved.
    pub on_behalf_of: Option<Actor>,
    /// `note.revise`.
    pub command: String,
    /// The idempotency key under which the command came.
    pub command_key: Option<String>,
    /// Why, in the actor's words.
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
    /// What to pass as `after` for the next page; none: this page reaches the end of the log.
    next_cursor: Option<String>,
}

/// The log, as far as the caller may see what its events are about: those of their workspaces whose context they may read,
/// and those of their product that are in no workspace. With the scope `audit:read`, all of it. JSON in pages; with `Accept: text/event-stream` live as server-sent events, `Last-Event-ID` going on
/// where the connection broke; with `Accept: application/x-ndjson` live as a stream of lines. A stream follows its reader's
/// memberships, and ends when its key stops working.
#[utoipa::path(get, path = "/events", tag = "events", params(Which), responses((status = 200, content(
        (EventPage = "application/json"), (String = "text/event-stream"), (String = "application/x-ndjson"))),
        (status = 404, description = "No such product.", body = ProblemDetails, content_type = "application/problem+json")),
    security(("api_key" = ["events:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    headers: HeaderMap,
    Params(which): Params<Which>,
) -> Result<Response, Problem> {
    read.caller.require("events:read")?;
    let filter = which.filter(&read.caller)?;
    let after = which.after.unwrap_or_default();
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
                .take(which.limit.unwrap_or(usize::MAX))
                .take_until(cut(&app, read.caller));
            return Ok(server_sent(events));
        }
        LINES => {
            let end = (!which.follow.unwrap_or(true)).then(|| app.head());
            let lines = lines(&app, after, asked(filter), which.limit, end)
                .take_until(cut(&app, read.caller));
            let body = Body::from_stream(lines);
            return Ok(([(CONTENT_TYPE, LINES)], body).into_response());
        }
        _ => {}
    }
    let limit = query::limit(which.limit, 100, 1_000)?;
    let head = app.head();
    let filter = app.narrow(&read.caller, filter, head).await?;
    let page = page(&app, after, head, &filter, limit).await?;
    Ok(answer::found((page, head)))
}

/// One event.
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

/// An event that the caller may see.
pub(super) async fn find(app: &App, read: &Read, event_id: Uuid) -> Result<Recorded, Problem> {
    read.caller.require("events:read")?;
    await_head(app, read.min_position).await?;
    match app.store.find(event_id).await? {
        Some(event) if app.sees(&read.caller, &event).await? => Ok(event),
        Some(_) | None => Err(Problem::not_found("event")),
    }
}

/// Waits until this node knows of a position that another has given out.
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

/// A page that is full, or reaches the end: the store looks at a bounded stretch at a time.
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
    // A filter that matches next to nothing in a long log ends early: the client goes on where this page stopped.
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

/// Returns when a stream has to end: the server stops, or the reader's key no longer works.
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

/// One event a line. Read page by page as the client takes them, so that memory stays flat.
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
                    // Cut off in the middle, not ended: the client sees that its stream is broken.
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
        // Writing to memory fails only where the data is not JSON, which the database has checked.
        if serde_json::to_writer(&mut text, event).is_ok() {
            text.push(b'\n');
        }
    }
    text.into()
}
