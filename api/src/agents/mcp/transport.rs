//! The protocol's transport. Every request is independent, so that any node can answer it; there are no sessions and no streams that a
//! client would have to resume.

use std::sync::Arc;

use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

/// Loopback origins: pages of tools that people run themselves. A caller that allows other origins checks and removes the header first.
const LOCAL_ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

pub type Service<H> = StreamableHttpService<H, NeverSessionManager>;

/// Returns a service that answers requests with a handler.
///
/// The service is never cancelled: calls in flight at shutdown are answered, like any other request.
///
/// The host is not checked: a request through a rebound name carries no key.
pub fn service<H: ServerHandler>(
    handler: impl Fn() -> H + Send + Sync + 'static,
    body_limit: usize,
) -> Service<H> {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts()
        .with_allowed_origins(LOCAL_ORIGINS)
        .with_max_request_body_bytes(body_limit);
    let manager = Arc::new(NeverSessionManager::default());
    StreamableHttpService::new(move || Ok(handler()), manager, config)
}
