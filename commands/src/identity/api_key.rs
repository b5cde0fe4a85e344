//! Issuing, rotating and enrolling API keys. The secret is derived here; decisions use only its hash.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::identity::actor::{ActorCommand, ActorRule, KnownActor};
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
    /// Display name of the actor, used if the key registers them.
    pub actor_name: String,
    /// True if the issuer names the actor; otherwise the actor is new.
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
        // The permission is checked first, so that an issuer without it learns nothing about the actor.
        work.decide::<ApiKey>(self.id, command).await?;
        let owner = work.load::<KnownActor>(self.actor.id).await?.product_id;
        if owner.is_some_and(|owner| owner != product_id) {
            return Err(CommandError::refused(ActorRule::Elsewhere));
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
    /// Time for which the old key keeps working.
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

/// Ends the issuer's control of a key: replaces it at once by a new one that only its holder sees.
pub struct Enrol {
    /// Id of the API key of the request.
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

/// Returns the hash of the key that follows the current one.
async fn successor(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    secrets: &Secrets,
) -> Result<String, CommandError> {
    let key = work.load::<ApiKey>(id).await?;
    let generation = key.state.grant().map_or(0, |grant| grant.generation + 1);
    Ok(sha256_hex(secrets.api_key(id, generation)))
}
