//! The read side: read models are posted from the log, and queried.

mod apply;
mod checkpoint;
mod consumer;
mod fold;
mod idle;
mod leases;
mod memory;
mod models;
mod posting;
mod progress;
mod quarantine;
mod query;
mod read_model;
mod reader;
mod rebuild;
mod runner;
mod runtime;
mod table;
mod tables;
mod views;

pub mod agents;
pub mod delivery;
pub mod identity;
pub mod knowledge;
pub mod operations;

pub use checkpoint::{Checkpoint, all as checkpoints};
pub use consumer::{Consumer, PostError, Rebuilding};
pub use fold::Fold;
pub use memory::Memory;
pub use models::models;
pub use posting::{BatchSession, Posting};
pub use quarantine::{Asked, Quarantined, all as quarantined, ask};
pub use query::{
    Cursor, List, NEWEST_FIRST, Order, QueryError, Viewer, Where, get, get_where, list, list_where,
    visible,
};
pub use read_model::{Facts, ReadModel, Row, post};
pub use reader::{Health, Readers, WaitError};
pub use rebuild::{Difference, RebuildError, Report, rebuild};
pub use runtime::Runtime;
pub use views::{ViewError, Views};
