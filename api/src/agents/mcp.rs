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

use axum::http::HeaderMap;
use axum::http::header::HOST;
use utoipa_axum::router::OpenApiRouter;

use crate::App;

pub use endpoint::router;

/// How agents reach it, and how much they may ask.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients find this server, without a slash at its end; none: wherever they say that they called.
    pub public_url: Option<String>,
    /// Origins of web pages that may call, beside those of this machine and of the public address.
    pub origins: Vec<String>,
    /// Of one actor, on one node.
    pub calls_per_minute: NonZeroU32,
    /// Where people decide on a proposal, `{id}` being its id; none: the server's own page of the API.
    pub approval_url: Option<String>,
}

impl Settings {
    /// The server's address, without a slash at its end.
    fn base_url(&self, headers: &HeaderMap) -> String {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        self.public_url
            .clone()
            .unwrap_or_else(|| format!("http://{}", host.unwrap_or("localhost")))
    }
}

/// What is described in OpenAPI; the protocol's own endpoint describes itself.
pub fn routes() -> OpenApiRouter<App> {
    metadata::routes()
}
