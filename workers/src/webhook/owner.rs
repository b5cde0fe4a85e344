//! What an endpoint may be sent: what its owner may see now, with the key that it belongs to.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use commands::{CommandError, Loader, On, Request};
use domain::Aggregate;
use domain::delivery::webhook::{Owner, Webhook, WebhookCommand};
use domain::identity::api_key::{ApiKey, ApiKeyEvent};
use domain::knowledge::workspace::Workspace;
use projections::delivery::webhook;
use projections::{PostError, Readers};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Position, Reader, Recorded};
use uuid::Uuid;

use crate::dispatcher::{Outcome, Work};
use crate::due_work::Item;
use crate::reaction::{Consequences, Reaction};
use crate::{NewItem, Office};

const DISOWN: &str = "webhook.disown";

/// Says why nothing is sent to an endpoint.
pub const KEY_REVOKED: &str = "the API key that the endpoint belongs to is revoked";

/// The scopes of the key that an endpoint belongs to; none: it is revoked.
pub async fn scopes(
    loader: &Loader,
    owner: Owner,
) -> Result<Option<BTreeSet<String>>, CommandError> {
    let key = loader.recent::<ApiKey>(owner.api_key_id).await?;
    Ok(match key.state {
        ApiKey::Active(grant) => Some(grant.scopes),
        ApiKey::Absent | ApiKey::Revoked(_) => None,
    })
}

/// Returns true if the owner of an endpoint of this product may see an event.
pub async fn sees(
    loader: &Loader,
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
        let workspace = loader.recent::<Workspace>(id).await?;
        let details = workspace.state.details();
        if details.is_some_and(|details| details.members.contains_key(&owner.actor_id)) {
            workspaces.insert(id);
        }
    }
    Ok(reader.sees(event, Arc::new(workspaces)))
}

/// Disables an endpoint whose key is revoked.
pub async fn disown(
    office: &Office,
    id: Uuid,
    product_id: Uuid,
    api_key_id: Uuid,
    cause: Uuid,
) -> Result<(), CommandError> {
    let request = Request {
        // What is disabled already stays as it is.
        idempotency: None,
        ..Request::reaction(product_id, cause, cause, String::new())
    };
    let command = WebhookCommand::Disown { api_key_id };
    let disown = On::<Webhook> { id, command };
    office.executor.execute(&request, &disown).await?;
    Ok(())
}

/// Has the endpoints of revoked keys disabled.
pub struct Revocations;

#[derive(Serialize, Deserialize)]
struct Revoked {
    api_key_id: Uuid,
    event_id: Uuid,
    position: Position,
}

#[async_trait]
impl Reaction for Revocations {
    const NAME: &'static str = "webhook_revocations";
    const CATEGORIES: &'static [&'static str] = &[ApiKey::CATEGORY];

    async fn react(&self, events: &[Recorded]) -> Result<Consequences, PostError> {
        let mut consequences = Consequences::default();
        for event in events {
            let change = event
                .decode::<ApiKeyEvent>()
                .map_err(|error| PostError::contract(event, &error))?;
            if matches!(change, ApiKeyEvent::Revoked {}) {
                let revoked = Revoked {
                    api_key_id: event.stream.id,
                    event_id: event.event_id,
                    position: event.position,
                };
                consequences.schedule.push(NewItem {
                    id: event.event_id,
                    kind: DISOWN,
                    lane: String::new(),
                    product_id: event.product_id,
                    payload: json!(revoked),
                    run_at: event.recorded_at,
                });
            }
        }
        Ok(consequences)
    }
}

/// Disables the endpoints of a revoked key.
pub struct Disown {
    office: Office,
    readers: Readers,
}

impl Disown {
    pub const fn new(office: Office, readers: Readers) -> Self {
        Self { office, readers }
    }

    async fn disown(&self, item: &Item, revoked: &Revoked) -> Result<Outcome, String> {
        let waited = self.readers.wait(Webhook::CATEGORY, revoked.position).await;
        waited.map_err(|error| error.to_string())?;
        let found = webhook::of_key(&self.office.database, item.product_id, revoked.api_key_id);
        for id in found.await.map_err(|error| error.to_string())? {
            let (key, cause) = (revoked.api_key_id, revoked.event_id);
            disown(&self.office, id, item.product_id, key, cause)
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(Outcome::Done)
    }
}

#[async_trait]
impl Work for Disown {
    fn kind(&self) -> &'static str {
        DISOWN
    }

    async fn run(&self, item: &Item) -> Outcome {
        match serde_json::from_value(item.payload.clone()) {
            Ok(revoked) => self
                .disown(item, &revoked)
                .await
                .unwrap_or_else(Outcome::Failed),
            Err(error) => Outcome::Park(error.to_string()),
        }
    }
}
