//! What agents propose.

mod action;
pub mod proposal;
