//! What agents propose.

mod action;
pub mod agent;
mod preview;
pub mod proposal;
