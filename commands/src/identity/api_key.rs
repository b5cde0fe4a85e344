//! Issuing and rotating API keys: the secret is derived here, and only its hash is decided on.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::TimeDelta;
use domain::identity::api_key::{ApiKey, ApiKeyCommand};
use domain::identity::product::{OPERATOR, Product, ProductRefusal};
use domain::{Actor, Aggregate, StreamId};
use uuid::Uuid;

use crate::{Book, CommandError, Handler, Secrets, sha256_hex};

/// Issues a new key.
pub struct Issue {
    pub id: Uuid,
    pub name: String,
    pub actor: Actor,
    pub scopes: BTreeSet<String>,
    /// What the issuer's own key holds.
    pub issuer_scopes: BTreeSet<String>,
    pub secrets: Secrets,
}

#[async_trait]
impl Handler for Issue {
    fn name(&self) -> String {
        "api_key.issue".into()
    }

    fn context(&self) -> &'static str {
        ApiKey::CONTEXT
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<ApiKey>(self.id)
    }

    async fn handle(&self, book: &mut Book<'_>) -> Result<(), CommandError> {
        let product_id = book.request().product_id;
        if product_id != OPERATOR && book.load::<Product>(product_id).await?.version == 0 {
            return Err(CommandError::refused(ProductRefusal::NotFound));
        }
        let command = ApiKeyCommand::Issue {
            name: self.name.clone(),
            actor: self.actor,
            scopes: self.scopes.clone(),
            sha256: sha256_hex(&self.secrets.api_key(self.id, 0)),
            issuer_scopes: self.issuer_scopes.clone(),
        };
        book.decide::<ApiKey>(self.id, command).await?;
        Ok(())
    }
}

/// Replaces a key by a new one.
pub struct Rotate {
    pub id: Uuid,
    /// How long the old key goes on working.
    pub overlap: TimeDelta,
    pub issuer_scopes: BTreeSet<String>,
    pub secrets: Secrets,
}

#[async_trait]
impl Handler for Rotate {
    fn name(&self) -> String {
        "api_key.rotate".into()
    }

    fn context(&self) -> &'static str {
        ApiKey::CONTEXT
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<ApiKey>(self.id)
    }

    async fn handle(&self, book: &mut Book<'_>) -> Result<(), CommandError> {
        let key = book.load::<ApiKey>(self.id).await?;
        let generation = key.state.grant().map_or(0, |grant| grant.generation + 1);
        let command = ApiKeyCommand::Rotate {
            sha256: sha256_hex(&self.secrets.api_key(self.id, generation)),
            overlap: self.overlap,
            issuer_scopes: self.issuer_scopes.clone(),
        };
        book.decide::<ApiKey>(self.id, command).await?;
        Ok(())
    }
}
