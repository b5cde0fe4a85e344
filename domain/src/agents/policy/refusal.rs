//! Refusals by a policy, and of commands on it.

use super::Policy;
use crate::{Class, Rejection, Rule};

/// Rules of policies, which also refuse proposals and approvals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum PolicyRule {
    /// Only people set policies, because a person must be responsible for rules that approve automatically.
    #[error("only a person sets a policy; this key is that of an agent or a service")]
    NeedsPerson,
    /// A rule of the workspace forbids the proposal.
    #[error("the workspace's rule {0:?} forbids this; propose something else, or ask an owner")]
    Forbidden(String),
    /// The actor is not one of the approvers.
    #[error("the workspace's policy names others as approvers; ask one of them")]
    NotApprover,
    /// The proposal would stay pending longer than the workspace allows.
    #[error(
        "a proposal expires within {0} seconds in this workspace; ask for less, or for nothing"
    )]
    ExpiryTooLate(i64),
}

impl Rule for PolicyRule {
    type Of = Policy;

    fn class(&self) -> Class<'_> {
        match self {
            Self::NotApprover => Class::Forbidden,
            Self::NeedsPerson | Self::Forbidden(..) | Self::ExpiryTooLate(..) => Class::Rule,
        }
    }
}

/// Reasons to refuse a command.
pub type PolicyRefusal = Rejection<PolicyRule>;
