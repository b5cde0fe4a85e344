//! What surrounds a command: who sends it, for which product, under which conditions.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::identity::scope;
use domain::{Actor, StreamId};
use sha2::{Digest, Sha256};
use store::ReceiptKey;
use uuid::Uuid;

/// The caller's promise that a repetition is a repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    pub key: String,
    /// The product of the caller's own key: callers of different products never meet.
    pub tenant: Uuid,
    /// SHA-256 over everything that the command says.
    pub fingerprint: [u8; 32],
}

/// Everything about a command but the command.
#[derive(Debug, Clone)]
pub struct Request {
    pub actor: Actor,
    /// Id of the API key that the actor came with; none: Daybook acts by itself, or somebody with a signed address.
    pub credential: Option<Uuid>,
    /// Id of the actor in whose hands that key is: the actor's own, unless somebody else has seen the key.
    pub controller: Uuid,
    /// The product in whose streams it acts.
    pub product_id: Uuid,
    pub scopes: Arc<BTreeSet<String>>,
    pub correlation_id: Uuid,
    pub causation_id: Option<Uuid>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Why, in the actor's words.
    pub reason: Option<String>,
    pub idempotency: Option<Idempotency>,
    /// The versions of the command's stream of which it must be at one; none: whichever it is at.
    pub if_match: Vec<i64>,
    /// Only say what would be appended.
    pub dry_run: bool,
}

impl Request {
    /// Somebody who only looks at what a command would come to.
    #[must_use]
    pub fn look(actor: Actor, product_id: Uuid) -> Self {
        Self {
            actor,
            credential: None,
            controller: actor.id,
            product_id,
            scopes: Arc::default(),
            correlation_id: Uuid::nil(),
            causation_id: None,
            traceparent: None,
            reason: None,
            idempotency: None,
            if_match: vec![],
            dry_run: true,
        }
    }

    /// Daybook itself, reacting to an event under a key that is the same however often it reacts.
    #[must_use]
    pub fn reaction(product_id: Uuid, correlation_id: Uuid, cause: Uuid, key: String) -> Self {
        let fingerprint = Sha256::digest(&key).into();
        Self {
            actor: Actor::SYSTEM,
            credential: None,
            controller: Actor::SYSTEM.id,
            product_id,
            scopes: Arc::new(BTreeSet::from([scope::ALL.to_owned()])),
            correlation_id,
            causation_id: Some(cause),
            traceparent: None,
            reason: None,
            idempotency: Some(Idempotency {
                key,
                tenant: product_id,
                fingerprint,
            }),
            if_match: vec![],
            dry_run: false,
        }
    }
}

impl Request {
    /// The stored outcome that a repetition of the command is answered with.
    pub(crate) fn receipt(&self, stream: StreamId) -> Option<ReceiptKey> {
        let idempotency = self.idempotency.as_ref()?;
        let holder = self.credential.unwrap_or(self.actor.id);
        Some(ReceiptKey {
            key: idempotency.storage_key(holder),
            fingerprint: idempotency.fingerprint,
            stream,
        })
    }

    /// An actor, by something that was given to them to act by once: a signed address.
    #[must_use]
    pub fn signed(
        actor: Actor,
        product_id: Uuid,
        correlation_id: Uuid,
        cause: Option<Uuid>,
    ) -> Self {
        Self {
            actor,
            controller: actor.id,
            causation_id: cause,
            idempotency: None,
            ..Self::reaction(product_id, correlation_id, Uuid::nil(), String::new())
        }
    }
}

impl Idempotency {
    /// Returns the key of the receipt. It belongs to one credential: another key of the same actor may have fewer
    /// scopes, and is never answered in its place.
    pub(crate) fn storage_key(&self, holder: Uuid) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.tenant)
            .chain_update(holder)
            .chain_update(&self.key)
            .finalize()
            .into()
    }
}
