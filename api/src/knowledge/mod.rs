//! Knowledge: workspaces, notes, tasks, artifacts and search.

use utoipa_axum::router::OpenApiRouter;

use crate::App;
use crate::routes::together;

pub mod artifact;
pub mod attachment;
pub mod calendar;
pub mod calendar_feed;
pub mod link;
pub mod note;
pub(crate) mod note_history;
pub mod search;
pub mod task;
pub mod text;
pub mod workspace;

/// The registry of this group's resources below `/v1`.
pub(crate) fn routes() -> OpenApiRouter<App> {
    together([
        workspace::routes(),
        note::routes(),
        link::routes(),
        search::routes(),
        task::routes(),
        calendar_feed::routes(),
        artifact::routes(),
        attachment::routes(),
    ])
}
