//! Replays: deliver past events page by page, so that a replay of any length can be interrupted and resumed.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{TimeDelta, Utc};
use commands::{On, Request};
use domain::Aggregate;
use domain::delivery::webhook::{Webhook, WebhookCommand};
use domain::knowledge::workspace::Workspace;
use projections::Readers;
use projections::knowledge::workspace;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Filter, Position, Purpose, Reader};
use uuid::Uuid;

use super::fanout::wants;
use super::owner;
use super::payload::{DELIVER, REPLAY, delivery};
use crate::job_handler::{JobHandler, Outcome};
use crate::jobs::{self, Job};
use crate::{NewJob, WorkerContext};

const PAGE: usize = 500;
/// Number of queued deliveries of an endpoint above which a replay pauses.
const MOST_QUEUED: i64 = 500;
/// Interval at which a paused replay checks the queue.
const QUEUE_LOOK: TimeDelta = TimeDelta::milliseconds(200);

/// The progress of a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub webhook_id: Uuid,
    /// The event that requested the replay.
    pub replay: Uuid,
    pub after: Position,
    pub to: Position,
}

/// Schedules deliveries of past events to an endpoint.
pub struct Replay {
    context: WorkerContext,
    readers: Readers,
}

impl Replay {
    pub const fn new(context: WorkerContext, readers: Readers) -> Self {
        Self { context, readers }
    }

    async fn page(&self, item: &Job, progress: Progress) -> Result<Outcome, String> {
        let context = &self.context;
        let webhook = context
            .executor
            .repository()
            .latest::<Webhook>(progress.webhook_id)
            .await
            .map_err(|error| error.to_string())?;
        let Some(endpoint) = webhook.state.endpoint() else {
            return Ok(Outcome::Done);
        };
        if endpoint.disabled.is_some() {
            return Ok(Outcome::Hold("the endpoint is disabled".into()));
        }
        let scopes = owner::scopes(context.executor.repository(), endpoint.owner).await;
        let Some(scopes) = scopes.map_err(|error| error.to_string())? else {
            return Ok(Outcome::Hold(owner::KEY_REVOKED.into()));
        };
        if self.queued(item).await.map_err(|e| e.to_string())? >= MOST_QUEUED {
            return Ok(Outcome::Again {
                at: Utc::now() + QUEUE_LOOK,
                payload: item.payload.clone(),
            });
        }
        let reader = Reader {
            actor_id: endpoint.owner.actor_id,
            product_id: item.product_id,
            scopes: &scopes,
        };
        let workspaces = self.workspaces(&reader).await?;
        let wanted = Filter {
            products: vec![item.product_id],
            types: endpoint.events.iter().cloned().collect(),
            ..Filter::default()
        };
        let page = context
            .store
            .read_all(progress.after, &reader.narrow(wanted, workspaces), PAGE)
            .await
            .map_err(|error| error.to_string())?;
        let items: Vec<NewJob> = page
            .events
            .iter()
            .filter(|event| {
                event.position <= progress.to && wants(endpoint.events.iter(), &event.event_type)
            })
            .map(|event| delivery(event, progress.webhook_id, Some(progress.replay)))
            .collect();
        let client = context
            .database
            .session(Purpose::Jobs)
            .await
            .map_err(|error| store::describe(&error))?;
        jobs::schedule(&**client, &items)
            .await
            .map_err(|error| store::describe(&error))?;
        if page.scanned_to >= progress.to {
            self.finish(item, &progress).await?;
            return Ok(Outcome::Done);
        }
        Ok(Outcome::Again {
            at: Utc::now(),
            payload: json!(Progress {
                after: page.scanned_to,
                ..progress
            }),
        })
    }

    /// Returns the number of queued deliveries of the endpoint, up to the limit.
    async fn queued(&self, item: &Job) -> Result<i64, jobs::Error> {
        const QUEUED: &str = "
            select count(*) from (select from log.jobs where kind = $1 and partition = $2 limit $3) queued";
        let client = self.context.database.session(Purpose::Jobs).await?;
        let statement = client.prepare_cached(QUEUED).await?;
        let row = client
            .query_one(&statement, &[&DELIVER, &item.partition, &MOST_QUEUED])
            .await?;
        Ok(row.get(0))
    }

    /// Returns the workspaces of which the endpoint's owner is a member.
    async fn workspaces(&self, reader: &Reader<'_>) -> Result<Arc<HashSet<Uuid>>, String> {
        let head = *self.context.store.head().borrow();
        let waited = self.readers.wait(Workspace::CATEGORY, head).await;
        waited.map_err(|error| error.to_string())?;
        let database = &self.context.database;
        let found = workspace::of_member(database, reader.product_id, reader.actor_id).await;
        found.map(Arc::new).map_err(|error| error.to_string())
    }

    /// Ends the replay, so that the next one may begin.
    async fn finish(&self, item: &Job, progress: &Progress) -> Result<(), String> {
        let request = Request {
            // A replay that has ended already stays unchanged.
            idempotency: None,
            ..Request::reaction(
                item.product_id,
                progress.replay,
                progress.replay,
                String::new(),
            )
        };
        let finish = On::<Webhook> {
            id: progress.webhook_id,
            command: WebhookCommand::FinishReplay,
        };
        let finished = self.context.executor.execute(&request, &finish).await;
        finished.map(drop).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl JobHandler for Replay {
    const KIND: &'static str = REPLAY;
    type Payload = Progress;

    async fn run(&self, job: &Job, progress: Progress) -> Result<Outcome, String> {
        self.page(job, progress).await
    }
}
