//! The interface of all aggregates: a state folded from events, and a pure function from a command to new events.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Actor, EventContract, Rejection, RequiredPermission, Rule, Unique};

/// A consistency boundary: one stream, its state, and the rules for appending to it.
pub trait Aggregate: Default + Clone + Send + Sync + 'static {
    /// First part of the stream name: `note` in `note-0192…`.
    const CATEGORY: &'static str;
    /// Commands need the scope `<SCOPE>:write`, queries `<SCOPE>:read`.
    const SCOPE: &'static str;
    /// True if each event follows from the one before it, as the decision on a proposal follows from its submission.
    /// The previous event is then the cause, unless the caller names another.
    const CHAINED: bool = false;
    /// Readers of the events.
    const AUDIENCE: Audience;
    /// Commands; `AsRef<str>` returns the command's name in metadata and metrics: `note.revise`.
    type Command: AsRef<str> + Clone + Send + Sync;
    type Event: EventContract;
    /// Reasons of its own to refuse a command; [`NoRule`](crate::NoRule) if there are none.
    type Rule: Rule;

    /// Returns the state after one more event. This function is total: it never panics and never refuses.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;

    /// Returns the events that follow from a command, or the refusal. An empty list means that nothing changes.
    fn decide(
        &self,
        command: Self::Command,
        at: &DecisionContext,
    ) -> Result<Vec<Self::Event>, Rejection<Self::Rule>>;

    /// Returns the workspace of the aggregate once it is known. It never changes afterwards.
    fn workspace(&self, _id: Uuid) -> Option<Uuid> {
        None
    }

    /// Returns the values that no other resource of the category in the product may have. They are reserved in the same append.
    fn unique(&self) -> Vec<Unique> {
        vec![]
    }

    /// Returns true for a command that agents may issue. Agents read and propose, whatever their scopes and role; an
    /// aggregate allows other commands here.
    fn agents_may(_command: &Self::Command) -> bool {
        false
    }

    /// Returns the permission that the actor needs, besides the scope, to issue the command on the stream `id`.
    fn required_permission(
        &self,
        _id: Uuid,
        _command: &Self::Command,
        _at: &DecisionContext,
    ) -> RequiredPermission {
        RequiredPermission::Product
    }
}

/// The time and actor of a decision. The clock is an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionContext {
    pub now: DateTime<Utc>,
    pub actor: Actor,
    /// Id of the actor who controls the key: the holder, unless somebody else has seen the key.
    pub controller: Uuid,
    /// True if the key is one of the operator's.
    pub is_operator: bool,
}

impl DecisionContext {
    /// Returns the context of an actor who controls their own key.
    #[must_use]
    pub const fn of(actor: Actor, now: DateTime<Utc>) -> Self {
        Self {
            now,
            actor,
            controller: actor.id,
            is_operator: false,
        }
    }

    /// Returns the controller if it is not the holder.
    #[must_use]
    pub fn controlled_by(&self, holder: Actor) -> Option<Uuid> {
        Some(self.controller).filter(|controller| *controller != holder.id)
    }
}

/// Readers of an aggregate's events, besides auditors: actors who may see the aggregate itself. Each also needs the
/// scope `<SCOPE>:read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// All actors of the product.
    Product,
    /// The members of the aggregate's workspace.
    Members,
    /// The members of the aggregate's workspace, or all actors of the product if it has no workspace.
    MembersOrProduct,
    /// The actor who caused the events.
    Actor,
    /// Auditors only.
    Auditors,
}

/// Returns the state after all the events of a stream.
pub fn fold<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> A {
    events
        .into_iter()
        .fold(A::default(), |state, event| state.evolve(&event))
}
