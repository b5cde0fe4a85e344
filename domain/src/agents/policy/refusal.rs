//! Refusals by a policy, and of commands on it.

use crate::{Class, Refusal, Violations};

/// Reasons to refuse a policy, or to refuse a proposal or approval because of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(prefix = "policy_", serialize_all = "snake_case")]
pub enum PolicyRefusal {
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
    /// The command is malformed.
    #[error("{0}")]
    Invalid(#[from] Violations),
}

impl Refusal for PolicyRefusal {
    fn class(&self) -> Class<'_> {
        match self {
            Self::NotApprover => Class::Forbidden,
            Self::NeedsPerson | Self::Forbidden(_) | Self::ExpiryTooLate(_) => Class::Rule,
            Self::Invalid(violations) => Class::Invalid(violations),
        }
    }
}
