//! Agents propose, people approve.

pub mod action;
pub mod proposal;
