//! The log and the work behind it.

pub mod due_work;
pub mod event;
