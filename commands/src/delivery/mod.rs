//! Decisions on deliveries, which also concern their endpoint.

pub mod webhook;
