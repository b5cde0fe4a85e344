//! `proposal_status`: returns the state of a proposal.

use async_trait::async_trait;
use projections::agents::proposal::Proposals;
use rmcp::model::{self, ToolAnnotations};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::proposal_state::ProposalState;
use super::{Answer, Asked, Tool, tool};
use crate::problem::Problem;

pub struct ProposalStatus;

/// The proposal to act on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposalInput {
    pub proposal_id: Uuid,
}

#[async_trait]
impl Tool for ProposalStatus {
    fn name(&self) -> &'static str {
        "proposal_status"
    }

    fn scope(&self) -> &'static str {
        "proposals:read"
    }

    fn describe(&self) -> model::Tool {
        tool::<ProposalInput, ProposalState>(
            self,
            "Look at a proposal",
            "Tells where a proposal stands: whether a person has decided, what it changed, or what stood in its way; while it is pending, what \
             approval would change now.",
            ToolAnnotations::new().read_only(true),
        )
    }

    async fn call(&self, asked: &Asked<'_>) -> Result<Answer, Problem> {
        let ProposalInput { proposal_id } = asked.parse(asked.arguments.clone())?;
        let read = asked.context.read_latest().await?;
        let app = &asked.context.app;
        let (proposal, position) = app.find::<Proposals>(&read, proposal_id).await?;
        let preview = app.preview(&asked.context.caller, &proposal).await?;
        let state = ProposalState::from(proposal).with_preview(preview);
        Answer::of(&state, position)
    }
}
