//! Who takes part: a product, two people and an agent with keys of their own, and a workspace that they share.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::agent;
use super::error::DemoError;
use crate::client::Client;
use crate::progress::say;

/// Those who act, each with a client of their own.
pub struct Cast {
    pub product_id: Uuid,
    pub workspace_id: Uuid,
    /// Owns the workspace and writes the notes.
    pub author: Client,
    /// Decides what is proposed.
    pub reviewer: Client,
    /// Reads and proposes; its key and its role allow no more.
    pub agent: Client,
    names: HashMap<Uuid, &'static str>,
}

/// What a key of a person opens. The role in the workspace must allow it as well.
const AUTHOR: [&str; 13] = [
    "workspaces:read",
    "workspaces:write",
    "notes:read",
    "notes:write",
    "webhooks:read",
    "webhooks:write",
    "tasks:read",
    "files:write",
    "artifacts:read",
    "artifacts:write",
    "agents:write",
    "events:read",
    // Follows all that happens in the product.
    "audit:read",
];
const REVIEWER: [&str; 5] = [
    "workspaces:read",
    "notes:read",
    "proposals:read",
    "proposals:write",
    "events:read",
];

#[derive(Deserialize)]
struct Created {
    id: Uuid,
}

#[derive(Deserialize)]
struct ApiKey {
    id: Uuid,
    actor: Actor,
    /// Shown in the first answer only.
    key: Option<String>,
}

#[derive(Deserialize)]
struct Agent {
    id: Uuid,
    api_key_id: Uuid,
    /// Shown in the first answer only.
    key: Option<String>,
}

#[derive(Deserialize)]
struct Actor {
    id: Uuid,
}

impl Cast {
    /// In a new product, or in the one of a run that was interrupted: there the same commands have the same answers.
    pub async fn assemble(
        operator: &Client,
        name: &str,
        product_id: Option<Uuid>,
    ) -> Result<Self, DemoError> {
        let product_id = match product_id {
            Some(id) => {
                operator
                    .get::<Created>(&format!("/v1/products/{id}"))
                    .await?
                    .id
            }
            None => product(operator, name).await?,
        };
        say(
            "product",
            &format!(
                "{product_id} (should this run be interrupted, go on with --product {product_id})"
            ),
        );
        let (author, author_id) = key(operator, product_id, "author", &AUTHOR).await?;
        let (reviewer, reviewer_id) = key(operator, product_id, "reviewer", &REVIEWER).await?;
        let (agent, agent_id) = register(operator, &author).await?;

        let workspace: Created = author
            .post("/v1/workspaces", json!({"name": name}))
            .send()
            .await?;
        for (member, role) in [(reviewer_id, "editor"), (agent_id, "agent")] {
            let path = format!("/v1/workspaces/{}/members/{member}", workspace.id);
            author
                .put(path, json!({"role": role}))
                .send::<Value>()
                .await?;
        }
        say(
            "workspace",
            &format!(
                "{}: author (owner), reviewer (editor), agent (agent: reads and proposes)",
                workspace.id
            ),
        );
        Ok(Self {
            product_id,
            workspace_id: workspace.id,
            author,
            reviewer,
            agent,
            names: HashMap::from([
                (author_id, "author"),
                (reviewer_id, "reviewer"),
                (agent_id, "agent"),
                (Uuid::nil(), "daybook"),
            ]),
        })
    }

    /// Who it is that an event names.
    pub fn name(&self, actor_id: Uuid) -> &'static str {
        self.names.get(&actor_id).copied().unwrap_or("somebody")
    }
}

/// The agent comes with a key of its own, and its author answers for it.
async fn register(operator: &Client, author: &Client) -> Result<(Client, Uuid), DemoError> {
    let body = json!({"name": "agent", "model": agent::MODEL});
    let agent: Agent = author.post("/v1/agents", body).send().await?;
    let key = known(operator, agent.api_key_id, agent.key).await?;
    Ok((author.with_key(&key), agent.id))
}

async fn product(operator: &Client, name: &str) -> Result<Uuid, DemoError> {
    let created: Created = operator
        .post("/v1/products", json!({"name": name}))
        // Every run has a product of its own.
        .on(Uuid::now_v7())
        .send()
        .await?;
    Ok(created.id)
}

/// A key for a new person; the operator issues keys for every product.
async fn key(
    operator: &Client,
    product_id: Uuid,
    name: &str,
    scopes: &[&str],
) -> Result<(Client, Uuid), DemoError> {
    let body = json!({
        "name": name,
        "product_id": product_id,
        "actor": {"kind": "person"},
        "scopes": scopes,
    });
    let issued: ApiKey = operator.post("/v1/api-keys", body).send().await?;
    let key = known(operator, issued.id, issued.key).await?;
    Ok((operator.with_key(&key), issued.actor.id))
}

/// The key as it was shown; or its successor, where an earlier run was shown it, or nobody was because the answer was lost.
/// What was done under the one counts as done under the other.
async fn known(operator: &Client, id: Uuid, mut key: Option<String>) -> Result<String, DemoError> {
    loop {
        if let Some(key) = key {
            return Ok(key);
        }
        let rotated: ApiKey = operator
            .post(
                format!("/v1/api-keys/{id}/rotate"),
                json!({"overlap_seconds": 0}),
            )
            .on(Uuid::now_v7())
            .send()
            .await?;
        key = rotated.key;
    }
}
