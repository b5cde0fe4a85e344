//! The protocol's transport: every request stands on its own, so that any node can answer it. No session, no stream that a client
//! would have to come back to.

use std::sync::Arc;

use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

/// Pages of this machine: of tools that people run themselves. Whoever allows others looks at the origin first, and takes it out.
const LOCAL_ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

pub type Service<H> = StreamableHttpService<H, NeverSessionManager>;

/// What answers requests by a handler.
///
/// It is never cancelled: calls under way at the end are answered, like any other request.
///
/// The host is not looked at: a name that was rebound to this server brings no key along.
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
