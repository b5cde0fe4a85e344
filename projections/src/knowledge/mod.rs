//! What people write down, and where.

pub mod link;
pub mod note;
#[cfg(test)]
mod properties;
pub mod workspace;
