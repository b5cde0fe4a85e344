//! Agents propose, people approve.

pub mod action;
pub mod agent;
pub mod policy;
pub mod proposal;
pub mod tool_call;
