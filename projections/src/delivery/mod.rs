//! Read models of webhook endpoints and deliveries.

pub mod webhook;
pub mod webhook_delivery;
