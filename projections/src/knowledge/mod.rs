//! Read models of workspaces, notes, tasks, artifacts and links, and search.

pub mod artifact;
pub mod calendar_feed;
pub mod checklist;
pub mod link;
pub mod note;
#[cfg(test)]
mod properties;
pub mod search;
pub mod task;
pub mod workspace;
