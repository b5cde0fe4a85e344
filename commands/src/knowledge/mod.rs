//! Decisions on workspaces that look at the actors, too, and on notes that look at other notes.

pub mod note;
pub mod workspace;
