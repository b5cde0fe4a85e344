//! What agents propose.

mod action;
pub mod agent;
pub mod proposal;
