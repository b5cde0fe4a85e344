//! Decisions on workspaces that look at the actors, too.

pub mod workspace;
