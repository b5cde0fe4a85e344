//! What people write down, and where.

pub mod link;
pub mod note;
mod note_history;
pub mod workspace;
