//! Webhooks and their deliveries.

use utoipa_axum::router::OpenApiRouter;

use crate::App;
use crate::routes::together;

pub mod webhook;
pub mod webhook_delivery;

/// The registry of this group's resources below `/v1`.
pub(crate) fn routes() -> OpenApiRouter<App> {
    together([webhook::routes(), webhook_delivery::routes()])
}
