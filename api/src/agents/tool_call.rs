//! Tool calls: agents' calls of MCP tools and their outcomes.

use projections::Where;
use projections::agents::tool_call::ToolCalls;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::App;
use crate::filter::Filter;
use crate::problem::Problem;
use crate::resource::Resource;

pub fn routes() -> OpenApiRouter<App> {
    Resource::<ToolCalls>::at("/tool-calls")
        .list::<ToolCallFilter>("Lists the tool calls of the caller's product, newest first.")
        .get("Returns one tool call.")
        .routes()
}

/// Filters for a list of tool calls.
#[derive(Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ToolCallFilter {
    /// Actor id of the caller.
    agent: Option<Uuid>,
    run_id: Option<String>,
    tool: Option<String>,
    /// Outcome: `ok`, `replayed`, `input_required`, or a problem code.
    outcome: Option<String>,
}

impl Filter for ToolCallFilter {
    fn conditions(self) -> Result<Where, Problem> {
        Ok(Where::default()
            .and("t.created_by = ?", self.agent)
            .and("t.run_id = ?", self.run_id)
            .and("t.tool = ?", self.tool)
            .and("t.outcome = ?", self.outcome))
    }
}
