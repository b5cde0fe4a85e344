//! What people write down and mean to do, and where.

pub mod artifact;
pub mod attachment;
pub mod calendar;
pub mod calendar_feed;
pub mod link;
pub mod note;
pub(crate) mod note_history;
pub mod search;
pub mod task;
pub mod text;
pub mod workspace;
