//! What people write down and mean to do, and where.

pub mod artifact;
pub mod calendar;
pub mod calendar_feed;
pub mod link;
pub mod note;
mod note_history;
pub mod task;
pub mod text;
pub mod workspace;
