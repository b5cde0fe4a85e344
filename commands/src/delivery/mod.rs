//! Commands on deliveries, which also affect their endpoint.

pub mod webhook;
