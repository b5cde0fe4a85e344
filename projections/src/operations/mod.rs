//! What a product keeps beside its log, as it is now.

pub mod file;
pub mod storage;
