//! Read models of agents, their policies, proposals and tool calls.

use std::sync::Arc;

use crate::Consumer;
use crate::models::model;

pub mod agent;
pub mod policy;
pub mod proposal;
pub mod tool_call;

/// The registry of this group's read models.
pub(crate) fn models() -> Vec<Arc<dyn Consumer>> {
    vec![
        model::<agent::Agents>(),
        model::<proposal::Proposals>(),
        model::<tool_call::ToolCalls>(),
        model::<policy::Policies>(),
    ]
}
