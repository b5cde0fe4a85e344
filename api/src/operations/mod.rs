//! The log and the work behind it.

mod causation;
pub mod due_work;
pub mod event;
