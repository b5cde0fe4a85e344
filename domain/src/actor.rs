//! Actors: people, agents and services.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The kind of actor that a key belongs to.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::AsRefStr,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ActorKind {
    /// A human being.
    Person,
    /// A program that proposes what people approve.
    Agent,
    /// A program that acts on its own authority.
    Service,
}

crate::generate! { enum ActorKind { Person, Agent, Service } }

/// The actor who issues a command; recorded with every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Actor {
    pub kind: ActorKind,
    pub id: Uuid,
}

crate::generate! { struct Actor { kind, id } }

impl Actor {
    /// Daybook itself, when a worker reacts to events of the log.
    pub const SYSTEM: Self = Self {
        kind: ActorKind::Service,
        id: Uuid::nil(),
    };
}
