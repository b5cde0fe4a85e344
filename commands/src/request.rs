//! The context of a command: its sender, product and conditions.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::identity::scope;
use domain::{Actor, StreamId};
use sha2::{Digest, Sha256};
use store::ReceiptKey;
use uuid::Uuid;

/// An idempotency key, with which the caller marks repetitions of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    pub key: String,
    /// Product of the caller's own key, so that keys of different products never collide.
    pub tenant: Uuid,
    /// SHA-256 over the whole content of the command.
    pub fingerprint: [u8; 32],
}

/// All data of a request except the command itself.
#[derive(Debug, Clone)]
pub struct Request {
    pub actor: Actor,
    /// Id of the API key of the actor; none if Daybook acts by itself or the actor uses a signed address.
    pub credential: Option<Uuid>,
    /// Id of the actor who controls that key: the holder, unless somebody else has seen the key.
    pub controller: Uuid,
    /// True if the API key is one of the operator's.
    pub is_operator: bool,
    /// The product whose streams the command uses.
    pub product_id: Uuid,
    pub scopes: Arc<BTreeSet<String>>,
    pub correlation_id: Uuid,
    pub causation_id: Option<Uuid>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Reason in the actor's words.
    pub reason: Option<String>,
    pub idempotency: Option<Idempotency>,
    /// Versions of the command's stream, one of which must be current; empty: any version.
    pub if_match: Vec<i64>,
    /// True if the command only returns the events that it would append.
    pub dry_run: bool,
}

impl Request {
    /// Returns a request of an actor who only previews a command.
    #[must_use]
    pub fn look(actor: Actor, product_id: Uuid) -> Self {
        Self {
            actor,
            credential: None,
            controller: actor.id,
            is_operator: false,
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

    /// Returns a request of Daybook itself, which reacts to an event. The idempotency key is the same for every
    /// repetition.
    #[must_use]
    pub fn reaction(product_id: Uuid, correlation_id: Uuid, cause: Uuid, key: String) -> Self {
        let fingerprint = Sha256::digest(&key).into();
        Self {
            actor: Actor::SYSTEM,
            credential: None,
            controller: Actor::SYSTEM.id,
            is_operator: false,
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
    /// Returns the key of the stored result that answers a repetition of the command.
    pub(crate) fn receipt(&self, stream: StreamId) -> Option<ReceiptKey> {
        let idempotency = self.idempotency.as_ref()?;
        let holder = self.credential.unwrap_or(self.actor.id);
        Some(ReceiptKey {
            key: idempotency.storage_key(holder),
            fingerprint: idempotency.fingerprint,
            stream,
        })
    }

    /// Returns a request of an actor who uses a signed address, which permits one action.
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
    /// Returns the key of the receipt. It belongs to one credential, because another key of the same actor may have
    /// fewer scopes and must not get its results.
    pub(crate) fn storage_key(&self, holder: Uuid) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.tenant)
            .chain_update(holder)
            .chain_update(&self.key)
            .finalize()
            .into()
    }
}
