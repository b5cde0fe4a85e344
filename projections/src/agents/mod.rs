//! What agents propose.

pub mod agent;
pub mod proposal;
pub mod tool_call;
