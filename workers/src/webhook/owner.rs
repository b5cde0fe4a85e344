//! The permissions of an endpoint: it gets what its owner may see now, with the key that it belongs to.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use commands::{CommandError, On, Repository, Request};
use domain::Aggregate;
use domain::delivery::webhook::{Owner, Webhook, WebhookCommand};
use domain::identity::api_key::{ApiKey, ApiKeyEvent};
use domain::knowledge::workspace::Workspace;
use projections::delivery::webhook;
use projections::{ApplyError, Readers};
use serde::{Deserialize, Serialize};
use store::{Position, Reader, Recorded};
use uuid::Uuid;

use crate::job_handler::{JobHandler, Outcome};
use crate::jobs::Job;
use crate::reaction::{Consequences, Reaction};
use crate::{NewJob, WorkerContext};

/// The reason for sending nothing to an endpoint with a revoked key.
pub const KEY_REVOKED: &str = "the API key that the endpoint belongs to is revoked";

/// Returns the scopes of the key that an endpoint belongs to; none: it is revoked.
pub async fn scopes(
    repository: &Repository,
    owner: Owner,
) -> Result<Option<BTreeSet<String>>, CommandError> {
    let key = repository.recent::<ApiKey>(owner.api_key_id).await?;
    Ok(match key.state {
        ApiKey::Active(grant) => Some(grant.scopes),
        ApiKey::Absent | ApiKey::Revoked(_) => None,
    })
}

/// Returns true if the owner of an endpoint of this product may see an event.
pub async fn sees(
    repository: &Repository,
    product_id: Uuid,
    owner: Owner,
    scopes: &BTreeSet<String>,
    event: &Recorded,
) -> Result<bool, CommandError> {
    let reader = Reader {
        actor_id: owner.actor_id,
        product_id,
        scopes,
    };
    let mut workspaces = HashSet::new();
    if let Some(id) = event.workspace_id.filter(|_| !reader.is_auditor()) {
        let workspace = repository.recent::<Workspace>(id).await?;
        let details = workspace.state.details();
        if details.is_some_and(|details| details.members.contains_key(&owner.actor_id)) {
            workspaces.insert(id);
        }
    }
    Ok(reader.sees(event, Arc::new(workspaces)))
}

/// Disables an endpoint whose key is revoked.
pub async fn disown(
    context: &WorkerContext,
    id: Uuid,
    product_id: Uuid,
    api_key_id: Uuid,
    cause: Uuid,
) -> Result<(), CommandError> {
    let request = Request {
        // An endpoint that is disabled already stays unchanged.
        idempotency: None,
        ..Request::reaction(product_id, cause, cause, String::new())
    };
    let command = WebhookCommand::Disown { api_key_id };
    let disown = On::<Webhook> { id, command };
    context.executor.execute(&request, &disown).await?;
    Ok(())
}

/// Schedules the disabling of endpoints of revoked keys.
pub struct Revocations;

#[derive(Serialize, Deserialize)]
pub struct Revoked {
    api_key_id: Uuid,
    event_id: Uuid,
    position: Position,
}

#[async_trait]
impl Reaction for Revocations {
    const NAME: &'static str = "webhook_revocations";
    const CATEGORIES: &'static [&'static str] = &[ApiKey::CATEGORY];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, ApplyError> {
        let mut consequences = Consequences::default();
        for event in events {
            let change = event
                .decode::<ApiKeyEvent>()
                .map_err(|error| ApplyError::contract(event, &error))?;
            if matches!(change, ApiKeyEvent::Revoked {}) {
                let revoked = Revoked {
                    api_key_id: event.stream.id,
                    event_id: event.event_id,
                    position: event.position,
                };
                let job = NewJob::of::<Disown>(event, &revoked);
                consequences.schedule.push(job);
            }
        }
        Ok(consequences)
    }
}

/// Disables the endpoints of a revoked key.
pub struct Disown {
    context: WorkerContext,
    readers: Readers,
}

impl Disown {
    pub const fn new(context: WorkerContext, readers: Readers) -> Self {
        Self { context, readers }
    }
}

#[async_trait]
impl JobHandler for Disown {
    const KIND: &'static str = "webhook.disown";
    type Payload = Revoked;

    async fn run(&self, job: &Job, revoked: Revoked) -> Result<Outcome, String> {
        let waited = self.readers.wait(Webhook::CATEGORY, revoked.position).await;
        waited.map_err(|error| error.to_string())?;
        let found = webhook::of_key(&self.context.database, job.product_id, revoked.api_key_id);
        for id in found.await.map_err(|error| error.to_string())? {
            let (key, cause) = (revoked.api_key_id, revoked.event_id);
            disown(&self.context, id, job.product_id, key, cause)
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(Outcome::Done)
    }
}
