//! Proposals: agents submit them, people decide on them.

use std::iter::repeat_with;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use commands::agents::proposal::{Approve, Contents, Rebase, Revert, Submit};
use domain::agents::action::{Action, MAX_ACTIONS};
use domain::agents::proposal::{Approval, Draft, ProposalCommand};
use futures::try_join;
use projections::agents::proposal::{ProposalContent, Proposals};
use projections::knowledge::artifact::{self, Artifacts};
use projections::knowledge::task::{self, Tasks};
use projections::{ReadModel, Row};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::action::NewAction;
use super::preview::ProposalWithPreview;
use crate::App;
use crate::body::AtMost;
use crate::caller::Caller;
use crate::command::{Command, Nothing};
use crate::filter::Filter;
use crate::problem::Problem;
use crate::query::{Path, Read};
use crate::resource::Resource;
use serde::Serialize;

pub fn routes() -> OpenApiRouter<App> {
    Resource::<Proposals>::at("/proposals")
        .with(routes!(submit))
        .list::<ProposalFilter>("Lists the proposals in the caller's workspaces, newest first.")
        .with(routes!(get))
        .action_with(
            "approve",
            "Approves a proposal. If the workspace's policy needs no more approvals, the proposal is applied as a whole or not at \
             all. Its status is then `applied`, or `failed` with the conflicts.",
            |id, approval: NewApproval| Approve {
                id,
                approval: approval.into(),
                new_ids: new_ids(),
            },
        )
        .action("reject", "Rejects a proposal.", |NewRejection { reason }| {
            ProposalCommand::Reject { reason }
        })
        .action("withdraw", "Withdraws one of your own proposals.", |_: Nothing| {
            ProposalCommand::Withdraw
        })
        .with(routes!(revert))
        .with(routes!(rebase))
        .routes()
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

impl From<NewApproval> for Approval {
    fn from(new: NewApproval) -> Self {
        Self {
            actions_hash: new.actions_hash,
            comment: new.comment,
            edited_actions: new.edited_actions.map(actions),
            by_rule: None,
        }
    }
}

/// A person's rejection.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rejection)]
struct NewRejection {
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
#[derive(Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ProposalFilter {
    workspace_id: Option<Uuid>,
    /// Status; `approved` also means `applied`, because an approval takes effect at once or fails.
    #[param(inline)]
    status: Option<AskedStatus>,
}

/// A status of proposals, or `approved`.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AskedStatus {
    Pending,
    #[serde(rename(serialize = "applied"))]
    Approved,
    Applied,
    Failed,
    Rejected,
    Withdrawn,
    Expired,
    Superseded,
    Reverted,
}

impl Filter for ProposalFilter {}

fn actions(AtMost(new): NewActions) -> Vec<Action> {
    new.into_iter().map(Action::from).collect()
}

/// Returns ids for the resources that a proposal creates, as many as it can have actions.
pub(super) fn new_ids() -> Vec<Uuid> {
    repeat_with(Uuid::now_v7).take(MAX_ACTIONS).collect()
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
