//! What agents propose.

pub mod proposal;
