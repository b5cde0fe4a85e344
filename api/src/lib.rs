//! HTTP: one file per resource, and what they share.

mod answer;
mod app;
mod body;
mod caller;
mod command;
mod health;
mod keyring;
mod middleware;
mod openapi;
mod problem;
mod query;
mod routes;

pub mod agents;
pub mod delivery;
pub mod identity;
pub mod knowledge;
pub mod operations;

pub use app::{App, Limits};
pub use openapi::document;
pub use routes::router;
