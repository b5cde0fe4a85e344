//! The HTTP API: one file per resource, and shared code.

mod accept;
mod answer;
mod app;
mod authenticator;
mod body;
mod caller;
mod coding;
mod command;
mod cursor;
mod docs;
mod entity_tag;
mod filter;
mod follow;
mod health;
mod index;
mod middleware;
mod openapi;
mod operation;
mod origin;
mod parameters;
mod problem;
mod query;
mod query_cache;
mod resource;
mod routes;
mod schema;
mod scopes;
mod site;
mod unread;
mod visibility;

pub mod agents;
pub mod delivery;
pub mod identity;
pub mod knowledge;
pub mod operations;

pub use app::{App, Files, Limits};
pub use middleware::ACCESS_LOG;
pub use origin::{Origin, OriginPattern};
pub use routes::router;
pub use site::Site;
