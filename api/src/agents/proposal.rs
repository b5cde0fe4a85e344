//! Proposals: agents submit them, people decide on them.

use std::iter::repeat_with;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use commands::On;
use commands::agents::proposal::{Approve, Contents, Rebase, Revert, Submit};
use domain::agents::action::{Action, MAX_ACTIONS};
use domain::agents::proposal::{Approval, Draft, Proposal, ProposalCommand};
use futures::try_join;
use projections::agents::proposal::{ProposalContent, Proposals};
use projections::knowledge::artifact::{self, Artifacts};
use projections::knowledge::task::{self, Tasks};
use projections::{List, ReadModel, Row, Where};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::action::NewAction;
use super::preview::ProposalWithPreview;
use crate::App;
use crate::answer;
use crate::body::AtMost;
use crate::caller::Caller;
use crate::command::{Command, Nothing};
use crate::problem::Problem;
use crate::query::{Page, Params, Path, Read, one_of};

const STATUSES: [&str; 8] = [
    "pending",
    "applied",
    "failed",
    "rejected",
    "withdrawn",
    "expired",
    "superseded",
    "reverted",
];

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(submit, list))
        .routes(routes!(get))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(withdraw))
        .routes(routes!(revert))
        .routes(routes!(rebase))
}

type NewActions = AtMost<NewAction, MAX_ACTIONS>;

/// Changes to propose.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProposal {
    workspace_id: Uuid,
    #[schema(value_type = Vec<NewAction>, min_items = 1, max_items = 100)]
    actions: NewActions,
    /// Reasons for the changes.
    #[schema(min_length = 1, max_length = 10_000)]
    rationale: String,
    /// Confidence, from 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    confidence: Option<f64>,
    #[schema(max_length = 200)]
    model: Option<String>,
    #[schema(max_length = 200)]
    run_id: Option<String>,
    /// Time at which the proposal expires if it is still undecided.
    expires_at: Option<DateTime<Utc>>,
    /// One of your own pending proposals that this one replaces; it can then no longer be approved.
    supersedes: Option<Uuid>,
}

impl From<NewProposal> for Draft {
    fn from(new: NewProposal) -> Self {
        Self {
            workspace_id: new.workspace_id,
            actions: actions(new.actions),
            rationale: new.rationale,
            confidence: new.confidence,
            model: new.model,
            run_id: new.run_id,
            expires_at: new.expires_at,
            supersedes: new.supersedes,
            rebased_from: None,
        }
    }
}

/// A person's approval.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewApproval {
    /// Hash of the actions that the approver has read: `edited_hash` if somebody has edited them, `actions_hash` otherwise.
    actions_hash: String,
    #[schema(max_length = 10_000)]
    comment: Option<String>,
    /// Actions to apply instead of the proposed ones.
    #[schema(value_type = Option<Vec<NewAction>>, min_items = 1, max_items = 100)]
    edited_actions: Option<NewActions>,
}

/// A person's rejection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rejection {
    #[schema(min_length = 1, max_length = 10_000)]
    reason: String,
}

/// Updates for the rebased proposal.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rebased {
    /// New actions; if not given, the old actions are carried over automatically.
    #[schema(value_type = Option<Vec<NewAction>>, min_items = 1, max_items = 100)]
    actions: Option<NewActions>,
    /// New rationale; defaults to that of the old proposal.
    #[schema(min_length = 1, max_length = 10_000)]
    rationale: Option<String>,
}

/// The reason to revert a proposal.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reversal {
    #[schema(min_length = 1, max_length = 10_000)]
    reason: Option<String>,
}

/// Filters for a list of proposals.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    workspace_id: Option<Uuid>,
    /// Status: `pending`, `applied`, `failed`, `rejected`, `withdrawn`, `expired`, `superseded` or `reverted`; `approved` also means
    /// `applied`, because an approval takes effect at once or fails.
    status: Option<String>,
}

fn actions(AtMost(new): NewActions) -> Vec<Action> {
    new.into_iter().map(Action::from).collect()
}

/// Returns ids for the resources that a proposal creates, as many as it can have actions.
pub(super) fn new_ids() -> Vec<Uuid> {
    repeat_with(Uuid::now_v7).take(MAX_ACTIONS).collect()
}

const fn on(id: Uuid, command: ProposalCommand) -> On<Proposal> {
    On { id, command }
}

/// Proposes changes. If a rule of the workspace's policy approves them and there is no conflict, they are applied at once.
#[utoipa::path(post, path = "/proposals", tag = "proposals", request_body = NewProposal,
    responses((status = 201, body = Row<ProposalContent>)), security(("api_key" = ["proposals:write"])))]
async fn submit(
    State(app): State<App>,
    command: Command<NewProposal>,
) -> Result<Response, Problem> {
    let submit = Submit {
        id: Uuid::now_v7(),
        draft: command.body.into(),
        new_ids: new_ids(),
    };
    app.run::<Proposals>(&command.request, &submit, StatusCode::CREATED)
        .await
}

/// Approves a proposal. If the workspace's policy needs no more approvals, the proposal is applied as a whole or not at all. Its status is
/// then `applied`, or `failed` with the conflicts.
#[utoipa::path(post, path = "/proposals/{id}/approve", tag = "proposals", params(("id" = Uuid, Path)),
    request_body = NewApproval, responses((status = 200, body = Row<ProposalContent>)),
    security(("api_key" = ["proposals:write"])))]
async fn approve(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<NewApproval>,
) -> Result<Response, Problem> {
    let approval = command.body;
    let approve = Approve {
        id,
        approval: Approval {
            actions_hash: approval.actions_hash,
            comment: approval.comment,
            edited_actions: approval.edited_actions.map(actions),
            by_rule: None,
        },
        new_ids: new_ids(),
    };
    app.run::<Proposals>(&command.request, &approve, StatusCode::OK)
        .await
}

/// Rejects a proposal.
#[utoipa::path(post, path = "/proposals/{id}/reject", tag = "proposals", params(("id" = Uuid, Path)),
    request_body = Rejection, responses((status = 200, body = Row<ProposalContent>)),
    security(("api_key" = ["proposals:write"])))]
async fn reject(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Rejection>,
) -> Result<Response, Problem> {
    let reason = command.body.reason;
    let reject = on(id, ProposalCommand::Reject { reason });
    app.run::<Proposals>(&command.request, &reject, StatusCode::OK)
        .await
}

/// Withdraws one of your own proposals.
#[utoipa::path(post, path = "/proposals/{id}/withdraw", tag = "proposals", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<ProposalContent>)), security(("api_key" = ["proposals:write"])))]
async fn withdraw(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let withdraw = on(id, ProposalCommand::Withdraw);
    app.run::<Proposals>(&command.request, &withdraw, StatusCode::OK)
        .await
}

/// Reverts an applied proposal: its notes return to their previous content, and notes that it created move to the trash. Fails if one of
/// them has later edits, or if somebody has added something to a note that it created.
#[utoipa::path(post, path = "/proposals/{id}/revert", tag = "proposals", params(("id" = Uuid, Path)),
    request_body = Option<Reversal>, responses((status = 200, body = Row<ProposalContent>)),
    security(("api_key" = ["proposals:write"])))]
async fn revert(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Reversal>,
) -> Result<Response, Problem> {
    let reason = command.body.reason;
    let mut request = command.request;
    request.reason.clone_from(&reason);
    let revert = Revert {
        id,
        reason,
        contents: app.contents_of_new_notes(&command.caller, id).await?,
    };
    app.run::<Proposals>(&request, &revert, StatusCode::OK)
        .await
}

/// Rebases one of your own pending or failed proposals onto the current state, and submits the result as a new proposal. If others have
/// changed the same content, fails with the conflicts, unless new actions are given.
#[utoipa::path(post, path = "/proposals/{id}/rebase", tag = "proposals", params(("id" = Uuid, Path)),
    request_body = Option<Rebased>, responses((status = 201, body = Row<ProposalContent>)),
    security(("api_key" = ["proposals:write"])))]
async fn rebase(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Rebased>,
) -> Result<Response, Problem> {
    let rebase = Rebase {
        id: Uuid::now_v7(),
        from: id,
        actions: command.body.actions.map(actions),
        rationale: command.body.rationale,
        new_ids: new_ids(),
    };
    app.run::<Proposals>(&command.request, &rebase, StatusCode::CREATED)
        .await
}

/// Returns one proposal; while it is pending, with the effect that approving it would have now.
#[utoipa::path(get, path = "/proposals/{id}", tag = "proposals", params(("id" = Uuid, Path)),
    responses((status = 200, body = ProposalWithPreview)), security(("api_key" = ["proposals:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    // Not cached: the preview depends on the resources that the proposal changes.
    let (row, position) = app.find::<Proposals>(&read, id).await?;
    let version = row.metadata.version;
    let proposal = app.with_preview(&read.caller, row).await?;
    App::show_with_others(&proposal, version, position)
}

/// Lists the proposals in the caller's workspaces, newest first.
#[utoipa::path(get, path = "/proposals", tag = "proposals", params(Which, Page),
    responses((status = 200, body = List<Row<ProposalContent>>)), security(("api_key" = ["proposals:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    Params(which): Params<Which>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let status = match which.status.as_deref() {
        Some("approved") => Some("applied"),
        status => status,
    };
    one_of("status", status, &STATUSES)?;
    let wanted = Where::default()
        .and("t.workspace_id = ?", &which.workspace_id)
        .and("t.status = ?", &status);
    Ok(answer::found(
        app.list::<Proposals>(&read, wanted, page).await?,
    ))
}

impl App {
    /// Returns the current contents of the notes that a proposal created. The command needs them, so no read scope is required.
    async fn contents_of_new_notes(&self, caller: &Caller, id: Uuid) -> Result<Contents, Problem> {
        let head = self.store.read_head().await?;
        for model in [Proposals::NAME, Tasks::NAME, Artifacts::NAME] {
            self.readers.wait(model, head).await?;
        }
        let proposal = projections::get::<Proposals>(&self.database, caller.viewer(), id).await?;
        let notes = proposal.into_iter().flat_map(|row| row.content.notes);
        let mut contents = Contents::default();
        for note in notes.filter(|note| note.base_version == Some(0)) {
            let (tasks, artifacts) = try_join!(
                task::of_note(&self.database, note.note_id),
                artifact::of_note(&self.database, note.note_id),
            )?;
            contents.tasks.extend(tasks);
            contents.artifacts.extend(artifacts);
        }
        Ok(contents)
    }
}
