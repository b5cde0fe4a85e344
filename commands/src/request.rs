//! What surrounds a command: who sends it, for which product, under which conditions.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::Actor;
use domain::identity::scope;
use sha2::{Digest, Sha256};
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
            causation_id: cause,
            idempotency: None,
            ..Self::reaction(product_id, correlation_id, Uuid::nil(), String::new())
        }
    }
}

impl Idempotency {
    /// Under which the receipt is stored.
    #[must_use]
    pub fn storage_key(&self, actor: Actor) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.tenant)
            .chain_update(actor.id)
            .chain_update(&self.key)
            .finalize()
            .into()
    }
}
