//! MCP: agents read, propose and learn what became of it through the Model Context Protocol, at `/mcp`. Nothing that is
//! called here writes: what would change anything becomes a proposal.

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

/// How agents reach it, and how much they may ask.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Origins of web pages that may call, beside those of this machine and of the public address.
    pub origins: Vec<OriginPattern>,
    /// Of one actor, on one node.
    pub calls_per_minute: NonZeroU32,
    /// Where people decide on a proposal, `{id}` being its id; none: the server's own page of the API.
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

/// What is described in OpenAPI; the protocol's own endpoint describes itself.
pub fn routes() -> OpenApiRouter<App> {
    metadata::routes()
}
