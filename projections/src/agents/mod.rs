//! Read models of agents, their policies, proposals and tool calls.

pub mod agent;
pub mod policy;
pub mod proposal;
pub mod tool_call;
