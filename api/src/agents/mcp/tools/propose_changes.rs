//! `propose_changes`: submits an agent's changes for approval by a person.

use async_trait::async_trait;
use commands::agents::proposal::Submit;
use commands::agents::tool_call::Called;
use domain::agents::proposal::Draft;
use domain::agents::tool_call::Call;
use projections::Row;
use projections::agents::proposal::{ProposalContent, ProposalStatus};
use rmcp::model::{self, ToolAnnotations};
use serde::Deserialize;
use store::Position;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::approval;
use super::proposal_state::ProposalState;
use super::{Answer, Asked, Tool, merged, tool};
use crate::agents::proposal::{NewProposal, new_ids};
use crate::problem::Problem;

pub struct ProposeChanges;

/// Options for submitting a proposal.
#[derive(Deserialize, ToSchema)]
struct Submission {
    /// Idempotency key: a second call with the same key and arguments proposes nothing and returns the first answer.
    #[schema(min_length = 1, max_length = 255)]
    idempotency_key: Option<String>,
    /// Asks a person to decide now, if the client can; the call answers after the decision.
    #[serde(default)]
    wait_for_approval: bool,
}

#[async_trait]
impl Tool for ProposeChanges {
    fn name(&self) -> &'static str {
        "propose_changes"
    }

    fn scope(&self) -> &'static str {
        "proposals:write"
    }

    fn describe(&self) -> model::Tool {
        let mut tool = tool::<NewProposal, ProposalState>(
            self,
            "Propose changes",
            "Proposes changes to the notes of a workspace: a person reads and approves or rejects them; nothing changes before. All \
             actions are applied together, or none. Read the notes first, and name the version that you have read as base_version.",
            ToolAnnotations::new()
                .read_only(false)
                .destructive(false)
                .idempotent(false),
        );
        tool.input_schema = merged::<NewProposal, Submission>().into();
        tool
    }

    async fn call(&self, asked: &Asked<'_>) -> Result<Answer, Problem> {
        let (how, what) = asked
            .arguments
            .clone()
            .into_iter()
            .partition(|(name, _)| name == "idempotency_key" || name == "wait_for_approval");
        let how: Submission = asked.parse(how)?;
        let draft = Draft::from(asked.parse::<NewProposal>(what)?);
        if asked.request_state.is_some() {
            return approval::resume(asked).await;
        }
        let asks = how.wait_for_approval && asked.context.opens_urls;
        let (proposal, position, is_recorded) =
            submit(asked, how.idempotency_key, draft, asks).await?;
        let id = proposal.metadata.id;
        let answer = if asks && proposal.content.status == ProposalStatus::Pending {
            approval::ask(asked, &proposal)?
        } else {
            Answer::of(&ProposalState::from(proposal), position)?
        };
        Ok(Answer {
            is_recorded,
            outcome: if is_recorded {
                answer.outcome
            } else {
                "replayed"
            },
            ..answer.about(id)
        })
    }
}

/// Submits the proposal and records the call with it. For a repeated call, only the call is left to record.
async fn submit(
    asked: &Asked<'_>,
    key: Option<String>,
    mut draft: Draft,
    asks: bool,
) -> Result<(Row<ProposalContent>, Position, bool), Problem> {
    let context = asked.context;
    draft.run_id = draft.run_id.or_else(|| context.run_id.clone());
    let id = Uuid::now_v7();
    let outcome = if asks { approval::ASKED } else { "ok" };
    let submit = Called {
        id: asked.id,
        call: Call {
            outcome: outcome.into(),
            proposal_id: Some(id),
            run_id: draft.run_id.clone(),
            ..asked.call.clone()
        },
        command: Submit {
            id,
            draft,
            new_ids: new_ids(),
        },
    };
    let idempotency = key.map(|key| asked.idempotency(key)).transpose()?;
    let request = context.request(idempotency);
    let done = context.app.executor.execute(&request, &submit).await?;
    let proposal = asked.proposal(&done).await?;
    Ok((proposal, done.position, !done.replayed))
}
