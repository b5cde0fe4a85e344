//! Commands on agents. Registering an agent issues its API key in the same append.

use async_trait::async_trait;
use domain::agents::agent::{Agent, AgentCommand, AgentRule, Changes, Registration, SCOPES};
use domain::identity::actor::{ActorCommand, KnownActor};
use domain::identity::api_key::Issuer;
use domain::{Actor, ActorKind, Aggregate, StreamId};
use uuid::Uuid;

use crate::identity::api_key::Issue;
use crate::{CommandError, Handler, Secrets, UnitOfWork};

/// Registers an agent. Its key has the scopes [`SCOPES`], whatever the scopes of the caller's key.
pub struct Register {
    pub id: Uuid,
    pub registration: Registration,
    pub secrets: Secrets,
}

#[async_trait]
impl Handler for Register {
    fn name(&self) -> String {
        "agent.register".into()
    }

    fn context(&self) -> &'static str {
        Agent::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Agent>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let register = AgentCommand::Register(self.registration.clone());
        work.decide::<Agent>(self.id, register).await?;
        let product_id = work.request().product_id;
        let owner = work.load::<KnownActor>(self.registration.owner_id).await?;
        let is_person = owner.state.kind() == Some(ActorKind::Person);
        if !is_person || owner.product_id != Some(product_id) {
            return Err(CommandError::refused(AgentRule::OwnerUnknown));
        }
        self.key().handle(work).await
    }
}

impl Register {
    fn key(&self) -> Issue {
        let scopes = SCOPES.map(str::to_owned);
        Issue {
            id: self.registration.api_key_id,
            name: self.registration.name.clone(),
            actor: Actor {
                kind: ActorKind::Agent,
                id: self.id,
            },
            actor_name: self.registration.name.clone(),
            named: false,
            issuer: Issuer {
                is_operator: false,
                vouched: false,
                scopes: scopes.clone().into(),
            },
            scopes: scopes.into(),
            secrets: self.secrets.clone(),
        }
    }
}

/// Changes an agent; its actor gets the same name.
pub struct Revise {
    pub id: Uuid,
    pub changes: Changes,
}

#[async_trait]
impl Handler for Revise {
    fn name(&self) -> String {
        "agent.revise".into()
    }

    fn context(&self) -> &'static str {
        Agent::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Agent>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let revise = AgentCommand::Revise(self.changes.clone());
        work.decide::<Agent>(self.id, revise).await?;
        if let Some(name) = self.changes.name.clone() {
            work.decide::<KnownActor>(self.id, ActorCommand::Rename { name })
                .await?;
        }
        Ok(())
    }
}

/// Counts a proposal of a registered agent against its budget; an agent that was never registered has no budget.
pub(super) async fn count(
    work: &mut UnitOfWork<'_>,
    proposal_id: Uuid,
) -> Result<(), CommandError> {
    let actor = work.request().actor;
    if actor.kind == ActorKind::Agent && is_registered(work, actor.id).await? {
        work.decide::<Agent>(actor.id, AgentCommand::Propose { proposal_id })
            .await?;
    }
    Ok(())
}

async fn is_registered(work: &mut UnitOfWork<'_>, id: Uuid) -> Result<bool, CommandError> {
    Ok(work.load::<Agent>(id).await?.state != Agent::Absent)
}

/// Returns true if the proposals of an actor are held.
pub(super) async fn is_suspended(
    work: &mut UnitOfWork<'_>,
    actor: Actor,
) -> Result<bool, CommandError> {
    if actor.kind != ActorKind::Agent {
        return Ok(false);
    }
    let agent = work.load::<Agent>(actor.id).await?;
    Ok(matches!(agent.state, Agent::Suspended(_)))
}
