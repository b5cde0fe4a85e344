//! Decisions that look at what is around them, too: at the actors, at other notes, at a note's lines.

pub mod artifact;
pub mod attachment;
pub mod checklist;
pub mod note;
pub mod task;
pub mod workspace;
