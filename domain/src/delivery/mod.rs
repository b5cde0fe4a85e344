//! Events that leave the house.

pub mod webhook;
pub mod webhook_delivery;
