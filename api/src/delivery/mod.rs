//! What leaves the house.

pub mod webhook;
pub mod webhook_delivery;
