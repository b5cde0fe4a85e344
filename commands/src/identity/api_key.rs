//! Issuing, rotating and enrolling API keys: the secret is derived here, and only its hash is decided on.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::identity::actor::{ActorCommand, ActorRefusal, KnownActor};
use domain::identity::api_key::{ApiKey, ApiKeyCommand, Issuer};
use domain::identity::product::{OPERATOR, Product, ProductRefusal};
use domain::{Actor, Aggregate, StreamId};
use uuid::Uuid;

use crate::{CommandError, Handler, Secrets, UnitOfWork, sha256_hex};

/// Issues a new key.
pub struct Issue {
    pub id: Uuid,
    pub name: String,
    pub actor: Actor,
    /// As people call the actor, if the key makes them known.
    pub actor_name: String,
    /// The issuer says who the actor is; otherwise it is a new one.
    pub named: bool,
    pub scopes: BTreeSet<String>,
    pub issuer: Issuer,
    pub secrets: Secrets,
}

#[async_trait]
impl Handler for Issue {
    fn name(&self) -> String {
        "api_key.issue".into()
    }

    fn context(&self) -> &'static str {
        ApiKey::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<ApiKey>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let product_id = work.request().product_id;
        if product_id != OPERATOR && work.load::<Product>(product_id).await?.version == 0 {
            return Err(CommandError::refused(ProductRefusal::NotFound));
        }
        let command = ApiKeyCommand::Issue {
            name: self.name.clone(),
            actor: self.actor,
            named: self.named,
            scopes: self.scopes.clone(),
            sha256: sha256_hex(self.secrets.api_key(self.id, 0)),
            issuer: self.issuer.clone(),
        };
        // First whether the issuer may: whoever may not learns nothing of the actor.
        work.decide::<ApiKey>(self.id, command).await?;
        let owner = work.load::<KnownActor>(self.actor.id).await?.product_id;
        if owner.is_some_and(|owner| owner != product_id) {
            return Err(CommandError::refused(ActorRefusal::Elsewhere));
        }
        let register = ActorCommand::Register {
            kind: self.actor.kind,
            name: self.actor_name.clone(),
        };
        work.decide::<KnownActor>(self.actor.id, register).await?;
        Ok(())
    }
}

/// Replaces a key by a new one.
pub struct Rotate {
    pub id: Uuid,
    /// How long the old key goes on working.
    pub overlap: TimeDelta,
    pub issuer: Issuer,
    pub secrets: Secrets,
}

#[async_trait]
impl Handler for Rotate {
    fn name(&self) -> String {
        "api_key.rotate".into()
    }

    fn context(&self) -> &'static str {
        ApiKey::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<ApiKey>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let command = ApiKeyCommand::Rotate {
            sha256: successor(work, self.id, &self.secrets).await?,
            overlap: self.overlap,
            issuer: self.issuer.clone(),
        };
        work.decide::<ApiKey>(self.id, command).await?;
        Ok(())
    }
}

/// Takes a key out of the hands of whoever issued it: replaces it at once by a new one, which only its holder sees.
pub struct Enrol {
    /// Of the key that the request comes with.
    pub id: Uuid,
    pub secrets: Secrets,
}

#[async_trait]
impl Handler for Enrol {
    fn name(&self) -> String {
        "api_key.enrol".into()
    }

    fn context(&self) -> &'static str {
        ApiKey::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<ApiKey>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let sha256 = successor(work, self.id, &self.secrets).await?;
        work.decide::<ApiKey>(self.id, ApiKeyCommand::Enrol { sha256 })
            .await?;
        Ok(())
    }
}

/// The hash of the key that comes after the one in force.
async fn successor(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    secrets: &Secrets,
) -> Result<String, CommandError> {
    let key = work.load::<ApiKey>(id).await?;
    let generation = key.state.grant().map_or(0, |grant| grant.generation + 1);
    Ok(sha256_hex(secrets.api_key(id, generation)))
}
