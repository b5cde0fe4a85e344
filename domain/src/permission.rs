//! Permissions: what a command needs besides the scope, and the aggregates whose members have them.

use uuid::Uuid;

use crate::{Actor, Aggregate, Rejection};

/// The permission that a command or query needs from a member's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Permission {
    Read,
    Propose,
    Write,
    Manage,
}

/// An aggregate with members whose roles grant permissions on the resources in it, such as a workspace.
pub trait ResourceScope: Aggregate {
    /// Checks that the actor has the permission. Other actors learn nothing, not even that the resource scope exists.
    fn permit(&self, actor: &Actor, permission: Permission) -> Result<(), Rejection<Self::Rule>>;
}

/// The permission that an actor needs to issue a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredPermission {
    /// Any key of the product.
    Product,
    /// A key of the operator.
    Operator,
    /// A member of a resource scope whose role grants the permission.
    Member {
        /// Category of the resource scope.
        category: &'static str,
        id: Uuid,
        permission: Permission,
    },
}

impl RequiredPermission {
    /// Requires a permission of the members of a resource scope.
    #[must_use]
    pub const fn member_of<S: ResourceScope>(id: Uuid, permission: Permission) -> Self {
        Self::Member {
            category: S::CATEGORY,
            id,
            permission,
        }
    }
}
