//! The participants: a product, two people and an agent with their own keys, and a shared workspace.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::agent;
use super::error::DemoError;
use crate::client::Client;
use crate::progress::say;

/// The participants, each with their own client.
pub struct Cast {
    pub product_id: Uuid,
    pub workspace_id: Uuid,
    /// Client of the workspace's owner, who writes the notes.
    pub author: Client,
    /// Client of the person who decides on proposals.
    pub reviewer: Client,
    /// Client of the agent; its key and role only allow it to read and propose.
    pub agent: Client,
    names: HashMap<Uuid, &'static str>,
}

/// Scopes of a person's key. The role in the workspace must allow the access as well.
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
    // Allows following all events of the product.
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
    /// The key; only in the first answer.
    key: Option<String>,
}

#[derive(Deserialize)]
struct Agent {
    id: Uuid,
    api_key_id: Uuid,
    /// The key; only in the first answer.
    key: Option<String>,
}

#[derive(Deserialize)]
struct Actor {
    id: Uuid,
}

impl Cast {
    /// Assembles the participants in a new product, or in that of an interrupted run, where the same commands have the same answers.
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

    /// Returns the name of an actor in an event.
    pub fn name(&self, actor_id: Uuid) -> &'static str {
        self.names.get(&actor_id).copied().unwrap_or("somebody")
    }
}

/// Registers the agent, which gets its own key; its author is responsible for it.
async fn register(operator: &Client, author: &Client) -> Result<(Client, Uuid), DemoError> {
    let body = json!({"name": "agent", "model": agent::MODEL});
    let agent: Agent = author.post("/v1/agents", body).send().await?;
    let key = known(operator, agent.api_key_id, agent.key).await?;
    Ok((author.with_key(&key), agent.id))
}

async fn product(operator: &Client, name: &str) -> Result<Uuid, DemoError> {
    let created: Created = operator
        .post("/v1/products", json!({"name": name}))
        // Every run has its own product.
        .on(Uuid::now_v7())
        .send()
        .await?;
    Ok(created.id)
}

/// Issues a key for a new person; the operator can issue keys for every product.
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

/// Returns the key as shown, or rotates it if an earlier run was shown it or the answer was lost. Commands count as the same under either
/// key.
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
