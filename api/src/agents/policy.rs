//! The policy of a workspace: what its owners say of the proposals there.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use commands::On;
use domain::agents::policy::{
    Approvers, Automatic, Expiry, Forbidden, Merging, Policy, PolicyCommand, Rules,
};
use domain::knowledge::workspace::Role;
use domain::{Actor, Aggregate};
use projections::Row;
use projections::agents::policy::{Policies, PolicyContent};
use projections::knowledge::workspace::Workspaces;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::action::ActionType;
use crate::App;
use crate::command::Command;
use crate::problem::Problem;
use crate::query::{Path, Read};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(set, get))
}

/// What is to hold for the proposals of a workspace; what is absent is as in a workspace without a policy.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPolicy {
    /// How many people have to approve a proposal; one, if not given.
    #[schema(minimum = 1, maximum = 20)]
    quorum: Option<u32>,
    /// Everybody whose role writes, if not given.
    approvers: Option<NewApprovers>,
    expires_after: Option<NewExpiry>,
    /// What is approved as soon as it is submitted.
    #[serde(default)]
    #[schema(max_items = 50)]
    automatic: Vec<NewAutomatic>,
    /// What may not be proposed.
    #[serde(default)]
    #[schema(max_items = 50)]
    forbidden: Vec<NewForbidden>,
    /// Allowed, if not given.
    merge: Option<Merging>,
}

/// Who may approve, beside having a role that writes. Whoever is named by either may.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewApprovers {
    #[serde(default)]
    roles: BTreeSet<Role>,
    /// Ids of actors.
    #[serde(default)]
    actors: BTreeSet<Uuid>,
}

/// How long proposals wait, in seconds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewExpiry {
    /// Where a proposal does not say; the maximum, where this is not given either.
    #[schema(minimum = 1, maximum = 31_622_400)]
    default_seconds: Option<i64>,
    /// A proposal that wants to wait longer is refused.
    #[schema(minimum = 1, maximum = 31_622_400)]
    max_seconds: Option<i64>,
}

/// What is approved by itself: a proposal all of which the rule covers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAutomatic {
    /// By which it is known where it has approved something.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Actor ids of the proposers; all, if not given.
    proposers: Option<BTreeSet<Uuid>>,
    /// Types of actions, such as `note.tag`: no other is covered, however small it is.
    #[schema(min_items = 1, value_type = BTreeSet<ActionType>)]
    actions: BTreeSet<String>,
    /// Most actions of one proposal.
    #[schema(minimum = 1)]
    max_actions: Option<usize>,
    /// Most characters that a proposal takes away and adds.
    #[schema(minimum = 1)]
    max_characters: Option<usize>,
}

/// What is refused: a proposal of which the rule covers anything, or too much.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewForbidden {
    /// By which a refusal names it.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Actor ids of the proposers; all, if not given.
    proposers: Option<BTreeSet<Uuid>>,
    /// Types of actions, such as `note.archive`; all, if not given.
    #[schema(value_type = Option<BTreeSet<ActionType>>)]
    actions: Option<BTreeSet<String>>,
    /// Only proposals of more actions than this.
    #[schema(minimum = 1)]
    above_actions: Option<usize>,
    /// Only proposals that take away and add more characters than this.
    #[schema(minimum = 1)]
    above_characters: Option<usize>,
}

impl From<NewPolicy> for Rules {
    fn from(new: NewPolicy) -> Self {
        let open = Self::default();
        Self {
            quorum: new.quorum.unwrap_or(open.quorum),
            approvers: new.approvers.map(|named| Approvers {
                roles: named.roles,
                actors: named.actors,
            }),
            expires_after: new.expires_after.map(|expiry| Expiry {
                default_seconds: expiry.default_seconds,
                max_seconds: expiry.max_seconds,
            }),
            automatic: new.automatic.into_iter().map(Automatic::from).collect(),
            forbidden: new.forbidden.into_iter().map(Forbidden::from).collect(),
            merge: new.merge.unwrap_or(open.merge),
        }
    }
}

impl From<NewAutomatic> for Automatic {
    fn from(new: NewAutomatic) -> Self {
        Self {
            name: new.name,
            proposers: new.proposers,
            actions: new.actions,
            max_actions: new.max_actions,
            max_characters: new.max_characters,
        }
    }
}

impl From<NewForbidden> for Forbidden {
    fn from(new: NewForbidden) -> Self {
        Self {
            name: new.name,
            proposers: new.proposers,
            actions: new.actions,
            above_actions: new.above_actions,
            above_characters: new.above_characters,
        }
    }
}

/// The policy in force.
#[derive(Serialize, ToSchema)]
struct PolicyInForce {
    workspace_id: Uuid,
    #[serde(flatten)]
    rules: Rules,
    /// Who stands behind what its rules approve; null: it was never set.
    set_by: Option<Actor>,
    set_at: Option<DateTime<Utc>>,
    /// 0: it was never set.
    version: i64,
}

impl PolicyInForce {
    fn of(workspace_id: Uuid, row: Option<Row<PolicyContent>>) -> Self {
        let (metadata, content) = row.map(|row| (row.metadata, row.content)).unzip();
        let (rules, set_by) = content
            .map(|content| (content.rules, content.set_by))
            .unzip();
        Self {
            workspace_id,
            rules: rules.unwrap_or_default(),
            set_by,
            set_at: metadata.as_ref().map(|metadata| metadata.updated_at),
            version: metadata.map_or(0, |metadata| metadata.version),
        }
    }
}

/// Sets the policy of a workspace; it replaces the one before. A person does, who owns the workspace.
#[utoipa::path(put, path = "/workspaces/{id}/policy", tag = "workspaces", operation_id = "set_policy",
    params(("id" = Uuid, Path)), request_body = NewPolicy,
    responses((status = 200, body = PolicyInForce)), security(("api_key" = ["workspaces:write"])))]
async fn set(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<NewPolicy>,
) -> Result<Response, Problem> {
    let set = On::<Policy> {
        id,
        command: PolicyCommand::Set(command.body.into()),
    };
    app.run_as::<Policies, _>(&command.request, &set, StatusCode::OK, |row| {
        PolicyInForce::of(id, Some(row))
    })
    .await
}

/// The policy of a workspace. Where none was set: one person with a role that writes approves, and that is all.
#[utoipa::path(get, path = "/workspaces/{id}/policy", tag = "workspaces", operation_id = "get_policy",
    params(("id" = Uuid, Path)), responses((status = 200, body = PolicyInForce)),
    security(("api_key" = ["workspaces:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    let position = app
        .ready_for(&read, Policy::SCOPE, Policy::CATEGORY)
        .await?;
    // Who sees the workspace sees its policy.
    app.find::<Workspaces>(&read, id).await?;
    let viewer = read.caller.viewer();
    let row = projections::get::<Policies>(&app.database, viewer, id).await?;
    let policy = PolicyInForce::of(id, row);
    let version = policy.version;
    Ok(App::show(policy, version, position))
}
