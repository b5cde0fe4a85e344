//! The log: append, read, subscribe.

mod event;
mod event_store;
mod failure;
mod heavy;
#[cfg(feature = "testing")]
mod in_memory;
mod postgres;
mod private_postgres;
mod subscription;
#[cfg(feature = "testing")]
pub mod testing;
mod visibility;

pub use event::{
    Append, Appended, Expected, Filter, Metadata, NewEvent, Page, Position, Receipt, ReceiptKey,
    Recorded,
};
pub use event_store::{AppendError, Direction, EventStore, ReadError, is_last, payload};
pub use failure::{cause, describe, is_full, is_unavailable};
pub use heavy::{Busy, heavy};
#[cfg(feature = "testing")]
pub use in_memory::InMemoryStore;
pub use postgres::{
    Database, OpenError, Opening, PooledSession, PostgresStore, Purpose, Session, SessionError,
    SessionLimits, Trouble,
};
pub use private_postgres::{PrivatePostgres, PrivatePostgresError};
pub use subscription::{Wanted, pages, subscribe};
pub use visibility::{Reader, Visibility};
