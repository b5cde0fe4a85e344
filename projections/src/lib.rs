//! The read side: it applies events to read models and answers queries.

mod batch;
mod checkpoint;
mod consumer;
#[cfg(test)]
mod fold_tests;
mod idle;
mod leases;
mod memory_budget;
mod models;
mod progress;
mod projection;
mod quarantine;
mod query;
mod read_model;
mod reader;
mod rebuild;
mod runner;
mod runtime;
mod table;
mod tables;
#[cfg(test)]
mod testing;
mod transaction;
mod views;

pub mod agents;
pub mod delivery;
pub mod identity;
pub mod knowledge;
pub mod operations;

pub use checkpoint::{Checkpoint, all as checkpoints};
pub use consumer::{ApplyError, Consumer, Rebuilding};
pub use memory_budget::MemoryBudget;
pub use models::models;
pub use projection::Projection;
pub use quarantine::{Asked, Quarantined, all as quarantined, ask};
pub use query::{
    Cursor, List, NEWEST_FIRST, Order, QueryError, Viewer, Where, get, get_where, list, list_where,
    visible,
};
pub use read_model::{ReadModel, Row, RowMetadata, apply, evolve};
pub use reader::{Health, Readers, WaitError};
pub use rebuild::{Difference, RebuildError, Report, rebuild};
pub use runtime::Runtime;
pub use transaction::{Transaction, TransactionSession};
pub use views::{ViewError, Views};
