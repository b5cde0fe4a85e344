//! Agents propose, people approve.

use crate::Contract;

pub mod action;
pub mod agent;
pub mod policy;
pub mod proposal;
pub mod tool_call;

/// The registry of this group's aggregates.
pub(crate) fn contracts() -> Vec<Contract> {
    vec![
        Contract::of::<agent::Agent>(),
        Contract::of::<proposal::Proposal>(),
        Contract::of::<tool_call::ToolCall>(),
        Contract::of::<policy::Policy>(),
    ]
}
