//! What agents propose.

pub mod agent;
pub mod proposal;
