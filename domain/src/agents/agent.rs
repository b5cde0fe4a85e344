//! Agents: the responsible person, the budget of proposals, and whether the agent is suspended. An agent's id is the id
//! of its actor.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Aggregate, Audience, DecisionContext, Rejection, Rule, Violations, events};

/// Scopes of the key of a registered agent: it reads and proposes.
pub const SCOPES: [&str; 6] = [
    "artifacts:read",
    "notes:read",
    "proposals:read",
    "proposals:write",
    "tasks:read",
    "workspaces:read",
];
/// The maximum daily budget.
const MAX_DAILY_PROPOSALS: u32 = 100_000;

/// Data given when an agent is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    pub name: String,
    /// The model that the agent runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Actor id of the person responsible for the agent.
    pub owner_id: Uuid,
    pub api_key_id: Uuid,
    /// Number of proposals that the agent may submit per day (UTC); none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_proposals: Option<u32>,
}

crate::generate! { struct Registration { name, model, owner_id, api_key_id, daily_proposals } }

events! {
    /// Events of an agent.
    pub enum AgentEvent {
        /// An agent was registered, with a key that can only read and propose, and a person responsible for it.
        Registered("agent.registered", 1) {
            #[serde(flatten)]
            registration: Registration,
        },
        /// The agent's name, model or daily budget was changed; absent fields stay as they were.
        Revised("agent.revised", 1) {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            name: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            model: Option<String>,
            /// Number of proposals per day; 0: no limit.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            daily_proposals: Option<u32>,
        },
        /// The agent was suspended: its keys stopped working, and its proposals are held.
        Suspended("agent.suspended", 1) { reason: String },
        /// The agent was resumed: its keys work again.
        Resumed("agent.resumed", 1) {},
        /// The agent submitted a proposal; it counts against the budget of the day.
        Proposed("agent.proposed", 1) { proposal_id: Uuid, day: NaiveDate },
    }
}

/// Changes to an agent.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub name: Option<String>,
    pub model: Option<String>,
    /// Number of proposals per day; 0: no limit.
    pub daily_proposals: Option<u32>,
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "agent.", serialize_all = "snake_case")]
pub enum AgentCommand {
    Register(Registration),
    Revise(Changes),
    Suspend {
        reason: String,
    },
    Resume,
    /// Counts a proposal that the agent submits.
    Propose {
        proposal_id: Uuid,
    },
}

/// Rules of agents, and of the commands that they issue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum AgentRule {
    /// The owner is not a person of the product.
    #[error("owner_id must be the actor id of a person in the product")]
    OwnerUnknown,
    /// A suspended agent issues no commands.
    #[error("the agent is suspended; resume it first")]
    Suspended,
    /// The agent has used up today's budget.
    #[error("the agent has used its budget of {0} proposals for today (UTC)")]
    BudgetSpent(u32),
}

impl Rule for AgentRule {
    type Of = Agent;
}

/// Reasons to refuse a command.
pub type AgentRefusal = Rejection<AgentRule>;

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Agent {
    #[default]
    Absent,
    Active(Profile),
    Suspended(Profile),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    pub registration: Registration,
    /// The last day on which the agent proposed, and its number of proposals on that day.
    pub spent: Option<(NaiveDate, u32)>,
}

impl Profile {
    /// Returns the number of proposals on a day.
    fn spent_on(&self, day: NaiveDate) -> u32 {
        self.spent
            .filter(|(known, _)| *known == day)
            .map_or(0, |(_, proposals)| proposals)
    }

    fn revised(mut self, event: &AgentEvent) -> Self {
        if let AgentEvent::Revised {
            name,
            model,
            daily_proposals,
        } = event
        {
            let registration = &mut self.registration;
            if let Some(name) = name {
                registration.name.clone_from(name);
            }
            if model.is_some() {
                registration.model.clone_from(model);
            }
            if let Some(budget) = daily_proposals {
                registration.daily_proposals = Some(*budget).filter(|budget| *budget > 0);
            }
        }
        self
    }

    fn proposed(mut self, day: NaiveDate) -> Self {
        self.spent = Some((day, self.spent_on(day).saturating_add(1)));
        self
    }

    fn revise(&self, changes: Changes) -> Result<Vec<AgentEvent>, Violations> {
        let mut violations = Violations::default();
        check_texts(
            changes.name.as_ref(),
            changes.model.as_ref(),
            &mut violations,
        );
        check_budget(changes.daily_proposals, 0, &mut violations);
        violations.into_result()?;
        let known = &self.registration;
        let name = changes.name.filter(|name| *name != known.name);
        let model = changes
            .model
            .filter(|model| Some(model) != known.model.as_ref());
        let daily_proposals = changes
            .daily_proposals
            .filter(|budget| *budget != known.daily_proposals.unwrap_or_default());
        let same = name.is_none() && model.is_none() && daily_proposals.is_none();
        let revised = AgentEvent::Revised {
            name,
            model,
            daily_proposals,
        };
        Ok(if same { vec![] } else { vec![revised] })
    }

    fn propose(&self, proposal_id: Uuid, day: NaiveDate) -> Result<Vec<AgentEvent>, AgentRefusal> {
        match self.registration.daily_proposals {
            Some(budget) if self.spent_on(day) >= budget => {
                Err(AgentRule::BudgetSpent(budget).into())
            }
            Some(_) | None => Ok(vec![AgentEvent::Proposed { proposal_id, day }]),
        }
    }
}

impl Aggregate for Agent {
    const CATEGORY: &'static str = "agent";
    const SCOPE: &'static str = "agents";
    const AUDIENCE: Audience = Audience::Product;
    type Command = AgentCommand;
    type Event = AgentEvent;
    type Rule = AgentRule;

    fn evolve(self, event: &AgentEvent) -> Self {
        match (self, event) {
            (_, AgentEvent::Registered { registration }) => Self::Active(Profile {
                registration: registration.clone(),
                spent: None,
            }),
            (Self::Absent, _) => Self::Absent,
            (Self::Active(profile), AgentEvent::Revised { .. }) => {
                Self::Active(profile.revised(event))
            }
            (Self::Suspended(profile), AgentEvent::Revised { .. }) => {
                Self::Suspended(profile.revised(event))
            }
            (Self::Active(profile), AgentEvent::Proposed { day, .. }) => {
                Self::Active(profile.proposed(*day))
            }
            (Self::Suspended(profile), AgentEvent::Proposed { day, .. }) => {
                Self::Suspended(profile.proposed(*day))
            }
            (Self::Active(profile) | Self::Suspended(profile), AgentEvent::Suspended { .. }) => {
                Self::Suspended(profile)
            }
            (Self::Active(profile) | Self::Suspended(profile), AgentEvent::Resumed {}) => {
                Self::Active(profile)
            }
        }
    }

    fn decide(
        &self,
        command: AgentCommand,
        at: &DecisionContext,
    ) -> Result<Vec<AgentEvent>, AgentRefusal> {
        match (self, command) {
            (Self::Absent, AgentCommand::Register(registration)) => {
                Ok(vec![register(registration)?])
            }
            (Self::Absent, _) => Err(AgentRefusal::NotFound),
            (_, AgentCommand::Register(_)) => Err(AgentRefusal::Exists),
            (Self::Active(profile) | Self::Suspended(profile), AgentCommand::Revise(changes)) => {
                Ok(profile.revise(changes)?)
            }
            (Self::Active(_), AgentCommand::Suspend { reason }) => {
                let mut violations = Violations::default();
                violations.require_length(&reason, 1, 1_000, "/reason");
                violations.into_result()?;
                Ok(vec![AgentEvent::Suspended { reason }])
            }
            (Self::Suspended(_), AgentCommand::Suspend { .. })
            | (Self::Active(_), AgentCommand::Resume) => Ok(vec![]),
            (Self::Suspended(_), AgentCommand::Resume) => Ok(vec![AgentEvent::Resumed {}]),
            (Self::Suspended(_), AgentCommand::Propose { .. }) => Err(AgentRule::Suspended.into()),
            (Self::Active(profile), AgentCommand::Propose { proposal_id }) => {
                profile.propose(proposal_id, at.now.date_naive())
            }
        }
    }
}

fn register(registration: Registration) -> Result<AgentEvent, Violations> {
    let mut violations = Violations::default();
    check_texts(
        Some(&registration.name),
        registration.model.as_ref(),
        &mut violations,
    );
    check_budget(registration.daily_proposals, 1, &mut violations);
    violations.into_result()?;
    Ok(AgentEvent::Registered { registration })
}

fn check_texts(name: Option<&String>, model: Option<&String>, violations: &mut Violations) {
    for (text, pointer) in [(name, "/name"), (model, "/model")] {
        if let Some(text) = text {
            violations.require_line(text, 1, 200, pointer);
        }
    }
}

fn check_budget(budget: Option<u32>, least: u32, violations: &mut Violations) {
    violations.require(
        budget.is_none_or(|budget| (least..=MAX_DAILY_PROPOSALS).contains(&budget)),
        "/daily_proposals",
        format!("must be {least} to {MAX_DAILY_PROPOSALS}"),
    );
}

#[cfg(test)]
#[path = "agent_tests.rs"]
mod tests;
