//! Knowledge: workspaces, notes, tasks, artifacts and search.

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
