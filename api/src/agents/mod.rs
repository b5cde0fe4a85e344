//! Agents, their proposals, and MCP.

use utoipa_axum::router::OpenApiRouter;

use crate::App;
use crate::routes::together;

mod action;
pub mod agent;
pub mod mcp;
pub mod policy;
mod preview;
pub mod proposal;
pub mod tool_call;

/// The registry of this group's resources below `/v1`.
pub(crate) fn routes() -> OpenApiRouter<App> {
    together([
        agent::routes(),
        proposal::routes(),
        tool_call::routes(),
        policy::routes(),
    ])
}
