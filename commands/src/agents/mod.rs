//! Decisions on proposals, which reach into other streams.

pub mod agent;
pub mod proposal;
pub mod tool_call;
