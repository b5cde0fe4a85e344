//! The write side, which turns commands into events.

mod error;
mod executor;
mod repository;
mod request;
mod reservations;
mod resource_scopes;
mod secrets;
#[cfg(test)]
mod testing;
mod unit_of_work;
mod writes;

pub mod agents;
pub mod delivery;
pub mod identity;
pub mod knowledge;
pub mod operations;

pub use error::CommandError;
pub use executor::{Done, Executor, Handler, On};
pub use repository::{Loaded, Repository};
pub use request::{Idempotency, Request};
pub use secrets::{ApiKeyError, Secrets, check_api_key, sha256_hex};
pub use unit_of_work::{Planned, UnitOfWork};
