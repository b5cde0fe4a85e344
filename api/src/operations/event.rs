//! The log itself: in pages, as a stream of lines, live, and as a tree of causes.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use domain::{Actor, StreamId};
use futures::{Stream, StreamExt};
use projections::TooFarBehind;
use serde::{Deserialize, Serialize};
use store::{Filter, Position, ReadError, Recorded, subscribe};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::answer;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::query::{self, Params, Path, Read, invalid_parameter};

/// Events that are read at a time while streaming.
const CHUNK: usize = 1_000;
/// Payload bytes after which a page ends before it is full.
const PAGE_BYTES: usize = 8 << 20;
/// Levels of effects in a tree: most JSON parsers stop at 128 levels, and each of these takes two.
const DEEPEST: usize = 50;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(causation))
}

/// Which events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only events after this position; 0 if not given.
    #[param(minimum = 0)]
    after: Option<Position>,
    /// Events on the page: 1 to 1000, 100 if not given. A stream ends after as many, or not at all if not given.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Only the operator names another product than their own.
    product: Option<Uuid>,
    /// One or several, separated by commas.
    category: Option<String>,
    /// `category-uuid`.
    stream: Option<String>,
    /// Types, or prefixes that end in `*`, separated by commas.
    r#type: Option<String>,
    /// Id of the actor.
    actor: Option<Uuid>,
    correlation_id: Option<Uuid>,
    /// Recorded at this time or later (RFC 3339).
    since: Option<DateTime<Utc>>,
    /// Recorded before this time (RFC 3339).
    until: Option<DateTime<Utc>>,
    /// NDJSON only: go on when the end is reached.
    follow: Option<bool>,
}

impl Which {
    fn filter(&self, caller: &Caller) -> Result<Filter, Problem> {
        let own = caller.viewer().product_id;
        if let (Some(own), Some(asked)) = (own, self.product)
            && own != asked
        {
            return Err(Problem::not_found("product"));
        }
        let stream = self
            .stream
            .as_deref()
            .map(str::parse::<StreamId>)
            .transpose()
            .map_err(|error| invalid_parameter("stream", error.to_string()))?;
        Ok(Filter {
            products: own.or(self.product).into_iter().collect(),
            categories: words(self.category.as_deref()),
            types: words(self.r#type.as_deref()),
            stream,
            actor_id: self.actor,
            correlation_id: self.correlation_id,
            since: self.since,
            until: self.until,
        })
    }
}

fn words(list: Option<&str>) -> Vec<String> {
    list.into_iter()
        .flat_map(|list| list.split(','))
        .map(|word| word.trim().to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// An event as the log has it: how [`Recorded`] looks on the wire.
#[derive(ToSchema)]
pub struct Event {
    pub position: Position,
    pub event_id: Uuid,
    /// `note.revised`.
    pub r#type: String,
    /// Of the payload; older ones are lifted when they are read.
    pub contract_version: i16,
    pub product_id: Uuid,
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
    next_cursor: Option<Position>,
}

/// The log: JSON in pages; with `Accept: text/event-stream` live as server-sent events, `Last-Event-ID` going on
/// where the connection broke; with `Accept: application/x-ndjson` as a stream of lines.
#[utoipa::path(get, path = "/events", tag = "events", params(Which), responses((status = 200, content(
        (EventPage = "application/json"), (String = "text/event-stream"), (String = "application/x-ndjson")))),
    security(("api_key" = ["events:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    headers: HeaderMap,
    Params(which): Params<Which>,
) -> Result<Response, Problem> {
    read.caller.require("events:read")?;
    let filter = which.filter(&read.caller)?;
    let after = which.after.unwrap_or_default().max(0);
    await_head(&app, read.min_position).await?;
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let accepts = |media: &str| accept.is_some_and(|accept| accept.contains(media));
    if accepts("text/event-stream") {
        let after = last_event_id(&headers)?.unwrap_or(after);
        let events = live(&app, after, filter).take(which.limit.unwrap_or(usize::MAX));
        return Ok(server_sent(events));
    }
    if accepts("application/x-ndjson") {
        let end = (!which.follow.unwrap_or(false)).then(|| app.head());
        return Ok(lines(&app, after, filter, which.limit, end));
    }
    let limit = query::limit(which.limit, 100, 1_000)?;
    let head = app.head();
    let page = page(&app, after, head, &filter, limit).await?;
    Ok(answer::found((page, head)))
}

/// Waits until this node knows of a position that another has given out.
async fn await_head(app: &App, wanted: Position) -> Result<(), Problem> {
    let mut head = app.store.head();
    tokio::time::timeout(
        Duration::from_secs(5),
        head.wait_for(|head| *head >= wanted),
    )
    .await
    .map(drop)
    .map_err(|_| {
        Problem::from(TooFarBehind {
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
            .await?;
        after = found.scanned_to;
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
        next_cursor: (after < head).then_some(after),
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

/// Everything after a position, without end; ends when the server stops.
fn live(
    app: &App,
    after: Position,
    filter: Filter,
) -> impl Stream<Item = Result<Recorded, ReadError>> + Send + use<> {
    let shutdown = app.shutdown.clone();
    subscribe(app.store.clone(), after, filter).take_until(shutdown.cancelled_owned())
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

/// One event a line. Read chunk by chunk as the client takes them, so that memory stays flat.
fn lines(
    app: &App,
    after: Position,
    filter: Filter,
    limit: Option<usize>,
    end: Option<Position>,
) -> Response {
    let store = app.store.clone();
    let shutdown = app.shutdown.clone();
    let mut head = store.head();
    let stream = async_stream::stream! {
        let mut after = after;
        let mut left = limit.unwrap_or(usize::MAX);
        while left > 0 {
            let known = *head.borrow_and_update();
            while left > 0 && after < end.unwrap_or(known) {
                match store.read_all(after, &filter, CHUNK.min(left)).await {
                    Ok(page) => {
                        let within = |event: &&Recorded| end.is_none_or(|end| event.position <= end);
                        left -= page.events.len();
                        after = page.scanned_to.max(after);
                        let text = text(page.events.iter().filter(within));
                        if !text.is_empty() {
                            yield Ok::<_, Infallible>(text);
                        }
                    }
                    Err(error) => {
                        // Cut off in the middle, not ended: the client sees that its stream is broken.
                        tracing::warn!(%error, "an event stream broke off");
                        return;
                    }
                }
            }
            if left == 0 || end.is_some() || head.changed().await.is_err() {
                return;
            }
        }
    };
    let body = Body::from_stream(stream.take_until(shutdown.cancelled_owned()));
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

fn text<'a>(events: impl Iterator<Item = &'a Recorded>) -> Bytes {
    let mut text = Vec::new();
    for event in events {
        // Writing to memory fails only where the data is not JSON, which the database has checked.
        if serde_json::to_writer(&mut text, event).is_ok() {
            text.push(b'\n');
        }
    }
    text.into()
}

/// An event with what caused it and what it caused.
#[derive(Serialize, ToSchema)]
struct Causation {
    #[schema(value_type = Event)]
    event: Recorded,
    /// What caused it, the nearest first.
    #[schema(value_type = Vec<Event>)]
    causes: Vec<Recorded>,
    /// What it caused, fifty levels deep; ask for the last of them to see on.
    effects: Vec<Effect>,
}

/// An event that another caused, with what it caused itself.
#[derive(Serialize, ToSchema)]
struct Effect {
    #[schema(value_type = Event)]
    event: Recorded,
    #[schema(no_recursion)]
    effects: Vec<Self>,
}

/// What caused an event, and what it caused, as a tree.
#[utoipa::path(get, path = "/events/{event_id}/causation", tag = "events", params(("event_id" = Uuid, Path)),
    responses((status = 200, body = Causation)), security(("api_key" = ["events:read"])))]
async fn causation(
    State(app): State<App>,
    read: Read,
    Path(event_id): Path<Uuid>,
) -> Result<Response, Problem> {
    read.caller.require("events:read")?;
    await_head(&app, read.min_position).await?;
    let visible = |event: &Recorded| {
        let own = read.caller.viewer().product_id;
        own.is_none_or(|own| own == event.product_id)
    };
    let event = app
        .store
        .find(event_id)
        .await?
        .filter(visible)
        .ok_or_else(|| Problem::not_found("event"))?;
    let family = family(&app, &event).await?;
    let mut by_id: HashMap<Uuid, &Recorded> = family.iter().map(|e| (e.event_id, e)).collect();
    let mut causes: Vec<Recorded> = Vec::new();
    let mut cause = event.causation_id;
    // A client names causes itself: what was found is taken out, so that a circle ends where it closes.
    by_id.remove(&event.event_id);
    while let Some(found) = cause.and_then(|id| by_id.remove(&id)) {
        causes.push(found.clone());
        cause = found.causation_id;
    }
    let mut by_cause: HashMap<Uuid, Vec<Recorded>> = HashMap::new();
    for event in family {
        if let Some(cause) = event.causation_id {
            by_cause.entry(cause).or_default().push(event);
        }
    }
    let tree = Causation {
        effects: effects(event.event_id, DEEPEST, &mut by_cause),
        event,
        causes,
    };
    Ok(answer::at(Json(tree).into_response(), app.head()))
}

/// Takes the effects out of the map, so that every event stands in the tree once.
fn effects(of: Uuid, depth: usize, by_cause: &mut HashMap<Uuid, Vec<Recorded>>) -> Vec<Effect> {
    let Some(deeper) = depth.checked_sub(1) else {
        return vec![];
    };
    by_cause
        .remove(&of)
        .unwrap_or_default()
        .into_iter()
        .map(|event| Effect {
            effects: effects(event.event_id, deeper, by_cause),
            event,
        })
        .collect()
}

/// Everything with the same correlation id, up to a bound.
async fn family(app: &App, event: &Recorded) -> Result<Vec<Recorded>, Problem> {
    const MOST: usize = 10_000;
    let filter = Filter {
        products: vec![event.product_id],
        correlation_id: Some(event.correlation_id),
        ..Filter::default()
    };
    Ok(app.store.read_all(0, &filter, MOST).await?.events)
}
