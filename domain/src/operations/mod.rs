//! Data that a product stores beside its log: files, their bytes, and the quotas.

pub mod blob;
pub mod container;
pub mod file;
pub mod storage;
