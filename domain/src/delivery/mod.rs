//! Delivery of events to other systems.

pub mod webhook;
pub mod webhook_delivery;
