//! Notes, tasks and artifacts, and the workspaces that hold them.

pub mod artifact;
pub mod calendar_feed;
pub mod checklist;
pub mod line_diff;
pub mod merge;
pub mod names;
pub mod note;
pub mod place;
pub mod rank;
pub mod tag;
pub mod task;
pub mod task_line;
pub mod wiki;
pub mod workspace;
