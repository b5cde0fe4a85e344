//! The shape of every decision: a state folded from events, and a pure function from a command to new events.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::knowledge::workspace::Permission;
use crate::{Actor, EventContract, Refusal};

/// A consistency boundary: one stream, its state, and the rules for adding to it.
pub trait Aggregate: Default + Clone + Send + Sync + 'static {
    /// First part of the stream's name: `note` in `note-0192…`.
    const CATEGORY: &'static str;
    /// Commands need the scope `<SCOPE>:write`, queries `<SCOPE>:read`.
    const SCOPE: &'static str;
    /// Its events follow from one another, as a decision on a proposal from its submission: each has the one before it
    /// as its cause, unless the caller names another.
    const CHAINED: bool = false;
    /// Who sees its events.
    const AUDIENCE: Audience;
    /// Its `AsRef<str>` is the command's name in metadata and metrics: `note.revise`.
    type Command: AsRef<str> + Clone + Send + Sync;
    type Event: EventContract;
    type Refusal: Refusal;

    /// The state after one more event. Total: it never panics and never refuses.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;

    /// The events that follow from a command, or why it is refused. No event: nothing changes.
    fn decide(
        &self,
        command: Self::Command,
        at: &DecisionContext,
    ) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// The workspace that it is in, once it is known. What has been in a workspace stays in it.
    fn workspace(&self, _id: Uuid) -> Option<Uuid> {
        None
    }

    /// Returns true for a command that agents may issue. An agent reads and proposes, whatever its scopes and role: a
    /// context names what else it leaves to them.
    fn agents_may(_command: &Self::Command) -> bool {
        false
    }

    /// What the actor needs, besides the scope, to issue the command on the stream `id`.
    fn required_permission(
        &self,
        _id: Uuid,
        _command: &Self::Command,
        _at: &DecisionContext,
    ) -> RequiredPermission {
        RequiredPermission::Product
    }
}

/// When and by whom a command is decided. The clock is an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionContext {
    pub now: DateTime<Utc>,
    pub actor: Actor,
    /// Id of the actor in whose hands the key is: the actor's own, unless somebody else has seen the key.
    pub controller: Uuid,
}

impl DecisionContext {
    /// The actor with a key of their own.
    #[must_use]
    pub const fn of(actor: Actor, now: DateTime<Utc>) -> Self {
        Self {
            now,
            actor,
            controller: actor.id,
        }
    }

    /// The controller, where that is somebody else than the holder.
    #[must_use]
    pub fn controlled_by(&self, holder: Actor) -> Option<Uuid> {
        Some(self.controller).filter(|controller| *controller != holder.id)
    }
}

/// Readers of an aggregate's events, beside auditors: those who may see what the events are about. Each needs the scope
/// `<SCOPE>:read` as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Everybody in the product.
    Product,
    /// The members of its workspace.
    Members,
    /// The members of its workspace, or everybody in the product where it is in none.
    MembersOrProduct,
    /// The actor who caused them.
    Actor,
    /// Nobody.
    Auditors,
}

/// What an actor must be, to issue a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredPermission {
    /// Any key of the product.
    Product,
    /// A member of the workspace whose role grants the permission.
    Member {
        workspace_id: Uuid,
        permission: Permission,
    },
}

/// The state after all the events of a stream.
pub fn fold<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> A {
    events
        .into_iter()
        .fold(A::default(), |state, event| state.evolve(&event))
}
