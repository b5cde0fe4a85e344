//! The fan-out of events to endpoints.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use commands::CommandError;
use domain::delivery::webhook::{Webhook, is_delivered};
use domain::{Aggregate, covers};
use projections::delivery::webhook::{self, WebhookContent};
use projections::{ApplyError, Readers, Row};
use store::{Position, Recorded};
use uuid::Uuid;

use super::owner;
use super::payload::delivery;
use crate::WorkerContext;
use crate::reaction::{Consequences, Reaction};

/// Maximum number of products whose endpoints are cached.
const MAX_PRODUCTS: usize = 10_000;

/// Schedules a delivery for every endpoint that has subscribed to an event.
pub struct Fanout {
    context: WorkerContext,
    readers: Readers,
    known: Mutex<Known>,
}

/// Endpoints by product, valid as long as every event is seen and none concerns an endpoint.
#[derive(Default)]
struct Known {
    /// Position of the last event that was seen.
    position: Position,
    endpoints: HashMap<Uuid, Endpoints>,
}

type Endpoints = Arc<Vec<Row<WebhookContent>>>;

impl Fanout {
    pub fn new(context: WorkerContext, readers: Readers) -> Self {
        Self {
            context,
            readers,
            known: Mutex::default(),
        }
    }

    /// Returns the endpoints of every product that the events belong to.
    async fn endpoints(
        &self,
        events: &[Recorded],
    ) -> Result<HashMap<Uuid, Endpoints>, Box<dyn Error + Send + Sync>> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(HashMap::new());
        };
        let products: HashSet<Uuid> = events.iter().map(|event| event.product_id).collect();
        let lasting = !events
            .iter()
            .any(|event| event.stream.category == Webhook::CATEGORY);
        let mut endpoints = self.recall(&products, first.position, last.position, lasting);
        let unknown = products
            .iter()
            .filter(|product| !endpoints.contains_key(*product));
        let unknown: Vec<Uuid> = unknown.copied().collect();
        if unknown.is_empty() {
            return Ok(endpoints);
        }
        self.readers.wait(Webhook::CATEGORY, last.position).await?;
        let found = webhook::enabled(&self.context.database, &unknown, first.position).await?;
        let mut of_each: HashMap<Uuid, Vec<_>> = unknown.iter().map(|id| (*id, vec![])).collect();
        for endpoint in found {
            of_each
                .entry(endpoint.metadata.product_id)
                .or_default()
                .push(endpoint);
        }
        endpoints.extend(of_each.into_iter().map(|(id, found)| (id, Arc::new(found))));
        if lasting {
            self.known().endpoints.extend(endpoints.clone());
        }
        Ok(endpoints)
    }

    /// Returns the cached endpoints that are still valid for these events.
    fn recall(
        &self,
        products: &HashSet<Uuid>,
        first: Position,
        last: Position,
        lasting: bool,
    ) -> HashMap<Uuid, Endpoints> {
        let mut known = self.known();
        if !lasting || first != known.position + 1 || known.endpoints.len() > MAX_PRODUCTS {
            known.endpoints.clear();
        }
        known.position = last;
        let endpoints = products
            .iter()
            .filter_map(|id| Some((*id, known.endpoints.get(id)?)));
        endpoints
            .map(|(id, found)| (id, Arc::clone(found)))
            .collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Reaction for Fanout {
    const NAME: &'static str = "webhook_fanout";
    const CATEGORIES: &'static [&'static str] = &[];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, ApplyError> {
        let endpoints = self
            .endpoints(events)
            .await
            .map_err(|error| ApplyError::Retry(error.to_string()))?;
        let mut schedule = Vec::new();
        for event in events {
            let of_product = endpoints.get(&event.product_id);
            for endpoint in of_product.into_iter().flat_map(|found| found.iter()) {
                if subscribes(endpoint, event) && self.may_get(endpoint, event).await? {
                    schedule.push(delivery(event, endpoint.metadata.id, None));
                }
            }
        }
        Ok(Consequences {
            schedule,
            ..Consequences::default()
        })
    }
}

impl Fanout {
    /// Returns false for a delivery that would not be made. The delivery checks again; if the key is revoked, it waits there.
    async fn may_get(
        &self,
        endpoint: &Row<WebhookContent>,
        event: &Recorded,
    ) -> Result<bool, ApplyError> {
        let (repository, owner) = (self.context.executor.repository(), endpoint.content.owner);
        let retry = |error: CommandError| ApplyError::Retry(error.to_string());
        match owner::scopes(repository, owner).await.map_err(retry)? {
            Some(scopes) => owner::sees(repository, event.product_id, owner, &scopes, event)
                .await
                .map_err(retry),
            None => Ok(true),
        }
    }
}

/// Returns true if an endpoint subscribes to an event that happened after its creation and before it was disabled. The read model
/// may be ahead of the event: an endpoint disabled since gets it once it is enabled.
fn subscribes(endpoint: &Row<WebhookContent>, event: &Recorded) -> bool {
    let content = &endpoint.content;
    endpoint.metadata.product_id == event.product_id
        && content.created_position < event.position
        && content
            .disabled_position
            .is_none_or(|at| event.position < at)
        && wants(content.events.iter(), &event.event_type)
}

/// Returns true if any of the patterns covers a type that may be delivered.
pub fn wants<'a>(mut patterns: impl Iterator<Item = &'a String>, event_type: &str) -> bool {
    is_delivered(event_type) && patterns.any(|pattern| covers(pattern, event_type))
}
