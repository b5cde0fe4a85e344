//! Files and their bytes.

pub mod file;
