//! The read model of agents.

use chrono::NaiveDate;
use domain::agents::agent::{Agent, AgentEvent};
use serde::{Deserialize, Serialize};
use store::{Database, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::rows;
use crate::{QueryError, ReadModel, visible};

/// The status of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    Active,
    Suspended,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Agent)]
pub struct AgentContent {
    pub name: String,
    /// The model that the agent runs on.
    pub model: Option<String>,
    /// Actor id of the person who answers for the agent.
    pub owner_id: Uuid,
    pub api_key_id: Uuid,
    /// Proposals that the agent may submit per day (UTC); null: no limit.
    pub daily_proposals: Option<u32>,
    /// The last day (UTC) on which the agent proposed anything.
    pub proposed_on: Option<NaiveDate>,
    /// Proposals on that day.
    pub proposals: u32,
    pub status: AgentStatus,
    /// Reason for the suspension.
    pub reason: Option<String>,
}

pub struct Agents;

impl ReadModel for Agents {
    const TABLE: &'static str = "agents";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/agent.sql");
    const VISIBLE: &'static str = visible::IN_PRODUCT;
    type Of = Agent;
    type Content = AgentContent;

    fn apply(agent: Option<AgentContent>, event: AgentEvent, _: &Recorded) -> Option<AgentContent> {
        Some(match (agent, event) {
            (_, AgentEvent::Registered { registration }) => AgentContent {
                name: registration.name,
                model: registration.model,
                owner_id: registration.owner_id,
                api_key_id: registration.api_key_id,
                daily_proposals: registration.daily_proposals,
                proposed_on: None,
                proposals: 0,
                status: AgentStatus::Active,
                reason: None,
            },
            (None, _) => return None,
            (
                Some(agent),
                AgentEvent::Revised {
                    name,
                    model,
                    daily_proposals,
                },
            ) => AgentContent {
                name: name.unwrap_or(agent.name),
                model: model.or(agent.model),
                daily_proposals: daily_proposals
                    .or(agent.daily_proposals)
                    .filter(|budget| *budget > 0),
                ..agent
            },
            (Some(agent), AgentEvent::Suspended { reason }) => AgentContent {
                status: AgentStatus::Suspended,
                reason: Some(reason),
                ..agent
            },
            (Some(agent), AgentEvent::Resumed {}) => AgentContent {
                status: AgentStatus::Active,
                reason: None,
                ..agent
            },
            (Some(agent), AgentEvent::Proposed { day, .. }) => AgentContent {
                proposals: match agent.proposed_on {
                    Some(known) if known == day => agent.proposals.saturating_add(1),
                    Some(_) | None => 1,
                },
                proposed_on: Some(day),
                ..agent
            },
        })
    }
}

/// Returns true if an actor is a suspended agent.
pub async fn is_suspended(database: &Database, actor_id: Uuid) -> Result<bool, QueryError> {
    const SUSPENDED: &str = "select 'true' from agents where id = $1 and status = 'suspended'";
    let found: Vec<bool> = rows(database, SUSPENDED, &[&actor_id]).await?;
    Ok(!found.is_empty())
}
