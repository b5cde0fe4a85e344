//! Approval by a person during an agent's call. The agent's client only shows where to decide. Its answer never counts as the decision: a
//! person decides with their own key.

use std::time::Duration;

use domain::text::escaped;
use projections::Row;
use projections::agents::proposal::{ProposalContent, ProposalStatus, Proposals};
use rmcp::model::{
    ElicitRequest, ElicitRequestParams, InputRequest, InputRequests, InputRequiredResult,
    RequestStateCodec, SealOptions,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::context::Context;
use super::tools::{Answer, Asked, ProposalState};
use crate::problem::Problem;

/// Outcome of a call that waits for a person.
pub const ASKED: &str = "input_required";
/// Problem code for a request state that this server did not seal for this caller and this call.
pub const STATE_INVALID: &str = "request_state_invalid";
/// Name of the only input request.
const APPROVAL: &str = "approval";
/// Validity of a sealed request state.
const VALID: Duration = Duration::from_secs(3_600);
/// Longest time that a call waits for a decision before it asks again.
const PATIENCE: Duration = Duration::from_secs(20);
/// Shortest pause between two checks.
const PAUSE: Duration = Duration::from_millis(100);
/// Maximum number of characters of the rationale in the message.
const SHOWN: usize = 500;

/// State that a client carries from one call to the next.
#[derive(Serialize, Deserialize)]
struct Waiting {
    proposal_id: Uuid,
}

/// A client's response to the input request.
#[derive(Deserialize)]
struct Response {
    action: Action,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Action {
    Accept,
    Decline,
    Cancel,
}

/// Asks the client to send a person to the page where they decide.
pub fn ask(asked: &Asked<'_>, proposal: &Row<ProposalContent>) -> Result<Answer, Problem> {
    let context = asked.context;
    let id = proposal.metadata.id;
    let elicitation = ElicitRequestParams::UrlElicitationParams {
        meta: None,
        message: message(proposal),
        url: address(context, id),
        elicitation_id: id.to_string(),
    };
    let request = InputRequest::Elicitation(ElicitRequest::new(elicitation));
    let waiting = Waiting { proposal_id: id };
    let state = codec(context)?
        .seal_json_with(
            &waiting,
            &SealOptions::new()
                .associated_data(&bound_to(asked))
                .ttl(VALID),
        )
        .map_err(|error| Problem::internal(&error))?;
    let requests = InputRequests::from([(APPROVAL.to_owned(), request)]);
    Ok(Answer {
        response: InputRequiredResult::new(Some(requests), Some(state)).into(),
        outcome: ASKED,
        proposal_id: Some(id),
        is_recorded: false,
    })
}

/// Resumes a call: waits for the decision if the person opened the page, then returns the proposal's state.
pub async fn resume(asked: &Asked<'_>) -> Result<Answer, Problem> {
    let context = asked.context;
    let state = asked.request_state.as_deref().unwrap_or_default();
    let Waiting { proposal_id } = codec(context)?
        .open_json_with(state, &bound_to(asked))
        .map_err(|error| {
            Problem::malformed(
                STATE_INVALID,
                format!("{error}; call again without requestState, under the same idempotency_key"),
            )
        })?;
    let response = asked.input_responses.get(APPROVAL);
    let response = response.and_then(|response| Response::deserialize(response).ok());
    let patience = match &response {
        Some(response) if response.action == Action::Accept => {
            PATIENCE.min(context.app.limits.timeout / 2)
        }
        Some(_) | None => Duration::ZERO,
    };
    let (proposal, position) = decided(context, proposal_id, patience).await?;
    let declined = response.is_some_and(|response| response.action != Action::Accept);
    if proposal.content.status == ProposalStatus::Pending && !declined {
        ask(asked, &proposal)
    } else {
        let answer = Answer::of(&ProposalState::from(proposal), position)?;
        Ok(answer.about(proposal_id))
    }
}

/// Returns the proposal once it is decided, or its current state when `patience` runs out.
async fn decided(
    context: &Context,
    id: Uuid,
    patience: Duration,
) -> Result<(Row<ProposalContent>, i64), Problem> {
    let end = Instant::now() + patience;
    let mut head = context.app.store.head();
    loop {
        head.mark_unchanged();
        let read = context.read_latest().await?;
        let (proposal, position) = context.app.find::<Proposals>(&read, id).await?;
        if proposal.content.status != ProposalStatus::Pending || Instant::now() >= end {
            return Ok((proposal, position));
        }
        // Any appended event may be the decision.
        let _ = tokio::time::timeout_at(end, head.changed()).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Binds the state to its caller and call, so that it is useless for any other.
fn bound_to(asked: &Asked<'_>) -> Vec<u8> {
    let caller = &asked.context.caller;
    [
        caller.product_id.as_bytes().as_slice(),
        caller.actor.id.as_bytes(),
        asked.call.tool.as_bytes(),
        asked.call.arguments_sha256.as_bytes(),
    ]
    .concat()
}

fn codec(context: &Context) -> Result<RequestStateCodec, Problem> {
    RequestStateCodec::try_new(context.app.secrets.request_state_key())
        .map_err(|error| Problem::internal(&error))
}

fn address(context: &Context, id: Uuid) -> String {
    match &context.app.mcp.approval_url {
        Some(template) => template.replace("{id}", &id.to_string()),
        None => format!("{}/docs", context.base_url),
    }
}

fn message(proposal: &Row<ProposalContent>) -> String {
    let content = &proposal.content;
    let rationale: String = content.rationale.chars().take(SHOWN).collect();
    let rationale = escaped(&rationale);
    format!(
        "Proposal {} makes {} change(s) in workspace {}. Why: {rationale}\nDecide on it at this address, with your own key \
         (its actions_hash is {}), and come back then.",
        proposal.metadata.id,
        content.actions.len(),
        content.workspace_id,
        content.actions_hash,
    )
}
