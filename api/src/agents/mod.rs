//! Agents, their proposals, and MCP.

mod action;
pub mod agent;
pub mod mcp;
pub mod policy;
mod preview;
pub mod proposal;
pub mod tool_call;
