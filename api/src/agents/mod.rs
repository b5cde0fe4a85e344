//! What agents propose.

mod action;
pub mod agent;
pub mod policy;
mod preview;
pub mod proposal;
