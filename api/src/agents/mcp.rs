//! MCP: agents read, propose and follow their proposals through the Model Context Protocol, at `/mcp`. No tool changes data directly:
//! every change becomes a proposal.

mod approval;
mod completion;
mod context;
mod endpoint;
mod message;
mod metadata;
mod prompts;
mod quota;
mod resources;
mod schema;
mod server;
mod tools;
pub mod transport;

use std::num::NonZeroU32;

use utoipa_axum::router::OpenApiRouter;

use crate::App;
use crate::origin::{Origin, OriginPattern};
use crate::site::Site;

pub use endpoint::router;

/// Path of the endpoint.
pub const PATH: &str = "/mcp";

/// Settings for access by agents and for their rate limit.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Origins of web pages that may call, besides loopback origins and the public address.
    pub origins: Vec<OriginPattern>,
    /// Calls allowed per actor on one node.
    pub calls_per_minute: NonZeroU32,
    /// URL template of the page where people decide on a proposal, with `{id}` for its id; if absent, the server's own API reference is
    /// used.
    pub approval_url: Option<String>,
}

impl Settings {
    /// Returns true if pages of the origin may call.
    pub fn allows(&self, site: &Site, origin: &Origin) -> bool {
        origin.is_loopback()
            || site.public_url.as_ref() == Some(origin)
            || self.origins.iter().any(|pattern| pattern.allows(origin))
    }
}

/// Returns the routes that OpenAPI describes; the protocol's own endpoint describes itself.
pub fn routes() -> OpenApiRouter<App> {
    metadata::routes()
}
