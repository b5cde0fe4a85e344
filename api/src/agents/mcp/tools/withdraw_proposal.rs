//! `withdraw_proposal`: withdraws an undecided proposal.

use async_trait::async_trait;
use commands::On;
use commands::agents::tool_call::Called;
use domain::agents::proposal::{Proposal, ProposalCommand};
use rmcp::model::{self, ToolAnnotations};

use super::proposal_state::ProposalState;
use super::proposal_status::ProposalInput;
use super::{Answer, Asked, Tool, tool};
use crate::problem::Problem;

pub struct WithdrawProposal;

#[async_trait]
impl Tool for WithdrawProposal {
    fn name(&self) -> &'static str {
        "withdraw_proposal"
    }

    fn scope(&self) -> &'static str {
        "proposals:write"
    }

    fn describe(&self) -> model::Tool {
        tool::<ProposalInput, ProposalState>(
            self,
            "Withdraw a proposal",
            "Takes back a proposal of your own that nobody has decided yet; it cannot be approved any more.",
            ToolAnnotations::new()
                .read_only(false)
                .destructive(false)
                .idempotent(false),
        )
    }

    async fn call(&self, asked: &Asked<'_>) -> Result<Answer, Problem> {
        let ProposalInput { proposal_id } = asked.parse(asked.arguments.clone())?;
        let withdraw = Called {
            id: asked.id,
            call: asked.call.clone(),
            command: On::<Proposal> {
                id: proposal_id,
                command: ProposalCommand::Withdraw,
            },
        };
        let request = asked.context.request(None);
        let done = asked
            .context
            .app
            .executor
            .execute(&request, &withdraw)
            .await?;
        let proposal = asked.proposal(&done).await?;
        let answer = Answer::of(&ProposalState::from(proposal), done.position)?;
        Ok(Answer {
            is_recorded: true,
            ..answer
        })
    }
}
