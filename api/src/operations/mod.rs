//! The log and the work behind it; files and their bytes.

mod causation;
pub mod event;
pub mod file;
pub mod file_content;
pub mod file_url;
pub mod job;
mod range;
pub mod storage;
pub(crate) mod uploads;
