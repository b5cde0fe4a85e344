//! The causes and effects of an event, as a tree.

use std::collections::{HashMap, HashSet};

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use store::{Direction, Filter, Position, Recorded};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::event::{Event, find};
use crate::App;
use crate::answer;
use crate::problem::Problem;
use crate::query::{Path, Read};

/// Maximum depth of effects: most JSON parsers stop at 128 levels, and each effect takes two.
const DEEPEST: usize = 50;
/// Maximum number of events in a tree.
const MOST: usize = 10_000;
/// Maximum number of causes that are looked up one by one.
const ELSEWHERE: usize = 50;
/// Number of later events in its stream that are searched for answers to an event.
const ANSWERS: usize = 1_000;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(causation))
}

/// An event with its causes and effects.
#[derive(Serialize, ToSchema)]
struct Causation {
    #[schema(value_type = Event)]
    event: Recorded,
    /// Causes of the event, nearest first.
    #[schema(value_type = Vec<Event>)]
    causes: Vec<Recorded>,
    /// Effects of the event, fifty levels deep; query the deepest ones to see more.
    effects: Vec<Effect>,
}

/// An effect of an event, with its own effects.
#[derive(Serialize, ToSchema)]
struct Effect {
    #[schema(value_type = Event)]
    event: Recorded,
    #[schema(no_recursion)]
    effects: Vec<Self>,
}

/// Returns the causes and effects of an event, as a tree of the events that the caller may see.
#[utoipa::path(get, path = "/events/{event_id}/causation", tag = "events", params(("event_id" = Uuid, Path)),
    responses((status = 200, body = Causation)), security(("api_key" = ["events:read"])))]
async fn causation(
    State(app): State<App>,
    read: Read,
    Path(event_id): Path<Uuid>,
) -> Result<Response, Problem> {
    let event = find(&app, &read, event_id).await?;
    let visible = Filter {
        products: vec![event.product_id],
        ..Filter::default()
    };
    let head = app.head();
    let visible = app.narrow(&read.caller, visible, head).await?;
    let family = family(&app, &event, &visible, head).await?;
    let causes = causes(&app, &event, &family, &visible).await?;
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
    Ok(answer::at(Json(tree).into_response(), head))
}

/// Returns the visible causes of the event, nearest first, up to the first that is not visible.
async fn causes(
    app: &App,
    event: &Recorded,
    family: &[Recorded],
    visible: &Filter,
) -> Result<Vec<Recorded>, Problem> {
    let by_id: HashMap<Uuid, &Recorded> = family.iter().map(|e| (e.event_id, e)).collect();
    // Clients choose causation ids, so each is followed only once to stop at cycles.
    let mut seen = HashSet::from([event.event_id]);
    let mut causes = Vec::new();
    let mut elsewhere = 0;
    let mut next = event.causation_id;
    while let Some(id) = next.filter(|id| seen.insert(*id)) {
        let found = match by_id.get(&id) {
            Some(found) => Some((*found).clone()),
            // The cause belongs to another request and needs its own query.
            None if elsewhere < ELSEWHERE => {
                elsewhere += 1;
                let found = app.store.find(id).await?;
                found.filter(|cause| visible.matches(cause))
            }
            None => None,
        };
        next = found.as_ref().and_then(|cause| cause.causation_id);
        causes.extend(found);
    }
    Ok(causes)
}

/// Takes the effects out of the map, so that every event appears in the tree once.
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

/// Returns the events with the same correlation id, or with that of a later request that answered the event in its own stream (such as the
/// decision on a proposal), up to a limit.
async fn family(
    app: &App,
    event: &Recorded,
    visible: &Filter,
    head: Position,
) -> Result<Vec<Recorded>, Problem> {
    let later = app
        .store
        .read_stream(&event.stream, event.version, Direction::Forwards, ANSWERS)
        .await?;
    let answers = later
        .iter()
        .filter(|later| later.causation_id == Some(event.event_id) && visible.matches(later));
    let mut asked = HashSet::new();
    let mut family: Vec<Recorded> = Vec::new();
    for correlation_id in std::iter::once(event)
        .chain(answers)
        .map(|event| event.correlation_id)
        .filter(|id| asked.insert(*id))
    {
        let filter = Filter {
            correlation_id: Some(correlation_id),
            ..visible.clone()
        };
        let left = MOST.saturating_sub(family.len());
        let found = app.store.read_all(0, &filter, left).await?;
        family.extend(found.within(head).events);
    }
    family.sort_unstable_by_key(|event| event.position);
    Ok(family)
}
