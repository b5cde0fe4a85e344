//! The write side: commands become events.

mod book;
mod error;
mod executor;
mod loader;
mod request;
mod secrets;

pub mod agents;
pub mod delivery;
pub mod identity;
pub mod knowledge;
pub mod operations;

pub use book::{Book, Planned};
pub use error::CommandError;
pub use executor::{Done, Executor, Handler, On};
pub use loader::{Loaded, Loader};
pub use request::{Idempotency, Request};
pub use secrets::{ApiKeyError, Secrets, check_api_key, sha256_hex};
