//! What a product keeps beside its log: files, their bytes, and how much of them there may be.

pub mod blob;
pub mod container;
pub mod file;
pub mod storage;
