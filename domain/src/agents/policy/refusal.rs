//! Why a policy says no, or cannot be set.

use crate::{Class, Refusal, Violations};

/// Why a policy cannot be set, or what it refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(prefix = "policy_", serialize_all = "snake_case")]
pub enum PolicyRefusal {
    /// Rules that approve by themselves are somebody's own.
    #[error("only a person sets a policy; this key is that of an agent or a service")]
    NeedsPerson,
    /// A rule of the workspace says that this is not to be proposed.
    #[error("the workspace's rule {0:?} forbids this; propose something else, or ask an owner")]
    Forbidden(String),
    /// Others decide here.
    #[error("the workspace's policy names others as approvers; ask one of them")]
    NotApprover,
    /// It would wait longer than the workspace allows.
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
