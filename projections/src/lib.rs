//! The read side: read models are posted from the log, and queried.

mod checkpoint;
mod consumer;
mod models;
mod query;
mod read_model;
mod rebuild;
mod runner;
mod runtime;

pub mod agents;
pub mod delivery;
pub mod identity;
pub mod knowledge;

pub use checkpoint::{Checkpoint, all as checkpoints};
pub use consumer::{Consumer, PostError};
pub use models::models;
pub use query::{Cursor, List, QueryError, Viewer};
pub use read_model::{Fold, ReadModel};
pub use rebuild::{Difference, RebuildError, Report, rebuild};
pub use runtime::{Health, Readers, Runtime, TooFarBehind};
