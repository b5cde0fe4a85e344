//! Commands on agents, proposals and tool calls, which also affect other streams.

pub mod agent;
pub mod proposal;
pub mod tool_call;
