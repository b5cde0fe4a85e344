//! Operations: the event log, jobs, and files with their bytes.

use utoipa_axum::router::OpenApiRouter;

use crate::App;
use crate::routes::together;

mod causation;
pub mod event;
pub mod file;
pub mod file_content;
pub mod file_url;
pub mod job;
mod range;
pub mod storage;
pub(crate) mod uploads;

/// The registry of this group's resources below `/v1`.
pub(crate) fn routes() -> OpenApiRouter<App> {
    together([
        event::routes(),
        job::routes(),
        file::routes(),
        storage::routes(),
    ])
}
