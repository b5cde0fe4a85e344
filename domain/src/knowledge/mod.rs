//! What people write down, and where.

pub mod note;
pub mod wiki;
pub mod workspace;
