//! What people write down and mean to do, and where.

pub mod artifact;
pub mod calendar_feed;
pub mod checklist;
pub mod link;
pub mod note;
#[cfg(test)]
mod properties;
pub mod task;
pub mod workspace;
