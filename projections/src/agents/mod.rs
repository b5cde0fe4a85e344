//! What agents propose.

pub mod agent;
pub mod policy;
pub mod proposal;
pub mod tool_call;
