//! Commands that also check related actors, notes and lines.

pub mod artifact;
pub mod attachment;
pub mod checklist;
pub mod note;
pub mod task;
pub mod workspace;
