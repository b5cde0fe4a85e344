//! Identity: products, actors and their API keys.

use utoipa_axum::router::OpenApiRouter;

use crate::App;
use crate::routes::together;

pub mod actor;
pub mod api_key;
pub mod avatar;
pub mod me;
pub mod product;

/// Scope of callers who issue keys to actors and manage them.
pub(crate) const MANAGES: &str = "api_keys:write";
/// Scope of callers who may see all issued keys.
pub(crate) const OVERSEES: &str = "api_keys:read";

/// The registry of this group's resources below `/v1`.
pub(crate) fn routes() -> OpenApiRouter<App> {
    together([
        me::routes(),
        product::routes(),
        actor::routes(),
        api_key::routes(),
        avatar::routes(),
    ])
}
