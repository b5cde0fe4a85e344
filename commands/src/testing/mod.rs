//! Support for tests on a log in memory: requests, commands, and nodes whose appends a test holds back or lets fail.

mod commands;
mod node;
mod scripted_store;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use domain::{Actor, ActorKind};
use uuid::Uuid;

use crate::{CommandError, Idempotency, Request};
pub use commands::{
    CopyName, archive, create, create_note, name, remove_member, rename, rename_all, set_member,
    stream,
};
pub use node::Node;
pub use scripted_store::{rename_event, unavailable};

pub const PRODUCT: Uuid = Uuid::from_u128(0xda1b);
pub const PERSON: Actor = Actor {
    kind: ActorKind::Person,
    id: Uuid::from_u128(1),
};
pub const AGENT: Actor = Actor {
    kind: ActorKind::Agent,
    id: Uuid::from_u128(2),
};
pub const COLLEAGUE: Actor = Actor {
    kind: ActorKind::Person,
    id: Uuid::from_u128(3),
};
/// A workspace. Its id has no timestamp, so that no test depends on its age.
pub const LAB: Uuid = Uuid::from_u128(10);
pub const LIBRARY: Uuid = Uuid::from_u128(11);
pub const NOTE: Uuid = Uuid::from_u128(12);

/// Returns a request of a person with all scopes.
pub fn request() -> Request {
    request_of(PERSON)
}

/// Returns a request of an actor with all scopes, whose key has the actor's id.
pub fn request_of(actor: Actor) -> Request {
    Request {
        credential: Some(actor.id),
        scopes: Arc::new(BTreeSet::from(["*".to_owned()])),
        dry_run: false,
        ..Request::look(actor, PRODUCT)
    }
}

pub fn dry_run() -> Request {
    Request {
        dry_run: true,
        ..request()
    }
}

pub fn if_match(versions: &[i64]) -> Request {
    Request {
        if_match: versions.to_vec(),
        ..request()
    }
}

impl Request {
    /// Adds an idempotency key, for a command of this content.
    pub fn with_key(self, key: &str, content: u8) -> Self {
        let idempotency = Idempotency {
            key: key.to_owned(),
            tenant: self.product_id,
            fingerprint: [content; 32],
        };
        Self {
            idempotency: Some(idempotency),
            ..self
        }
    }
}

/// Returns the code of a refusal, or the error as it is written in code.
pub fn code(error: &CommandError) -> String {
    if let CommandError::Refused(refusal) = error {
        refusal.code().into_owned()
    } else {
        format!("{error:?}")
    }
}

/// Returns the [`code`] of a result that must be an error.
#[track_caller]
pub fn refused<T: Debug>(result: Result<T, CommandError>) -> String {
    code(&result.unwrap_err())
}
