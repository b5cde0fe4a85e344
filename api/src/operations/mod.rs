//! Operations: the event log, jobs, and files with their bytes.

mod causation;
pub mod event;
pub mod file;
pub mod file_content;
pub mod file_url;
pub mod job;
mod range;
pub mod storage;
pub(crate) mod uploads;
