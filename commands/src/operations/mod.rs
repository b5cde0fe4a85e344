//! Commands on files and their bytes.

pub mod file;
