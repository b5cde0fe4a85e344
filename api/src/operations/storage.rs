//! Storage usage and quota of the caller's product.

use axum::extract::State;
use axum::response::Response;
use projections::operations::storage::Storages;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::answer;
use crate::problem::Problem;
use crate::query::Read;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(usage))
}

/// Storage usage and quota. Requested files that can still be uploaded count, too.
#[derive(Serialize, ToSchema)]
struct Usage {
    used_bytes: u64,
    used_files: u64,
    limit_bytes: u64,
    limit_files: u64,
}

/// Returns the storage usage and quota of the caller's product.
#[utoipa::path(get, path = "/files/usage", tag = "files",
    responses((status = 200, body = Usage)), security(("api_key" = ["files:read"])))]
async fn usage(State(app): State<App>, read: Read) -> Result<Response, Problem> {
    let id = read.caller.product_id;
    let (used, position) = app.find_maybe::<Storages>(&read, id).await?;
    let used = used.map(|row| row.content).unwrap_or_default();
    let quota = app.files.quota;
    let usage = Usage {
        used_bytes: used.bytes,
        used_files: used.files,
        limit_bytes: quota.bytes,
        limit_files: quota.files,
    };
    Ok(answer::found((usage, position)))
}
