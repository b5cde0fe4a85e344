//! Agents propose, people approve.

pub mod proposal;
