//! Decisions on workspaces and tasks that look at what is around them, too.

pub mod checklist;
pub mod task;
pub mod workspace;
