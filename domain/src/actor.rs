//! Who acts.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What kind of actor stands behind a key.
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

/// The one who issues a command; recorded with every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Actor {
    pub kind: ActorKind,
    pub id: Uuid,
}

impl Actor {
    /// Daybook itself, when a worker acts on what the log says.
    pub const SYSTEM: Self = Self {
        kind: ActorKind::Service,
        id: Uuid::nil(),
    };
}
