//! Read models of files and their storage.

pub mod file;
pub mod storage;
