//! The policy of a workspace: its owners' rules for proposals.

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

/// Rules for the proposals of a workspace; absent rules are as in a workspace without a policy.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPolicy {
    /// Number of people who must approve a proposal; one if not given.
    #[schema(minimum = 1, maximum = 20)]
    quorum: Option<u32>,
    /// People who may approve; everybody whose role can write, if not given.
    approvers: Option<NewApprovers>,
    expires_after: Option<NewExpiry>,
    /// Rules that approve proposals on submission.
    #[serde(default)]
    #[schema(max_items = 50)]
    automatic: Vec<NewAutomatic>,
    /// Rules that refuse proposals.
    #[serde(default)]
    #[schema(max_items = 50)]
    forbidden: Vec<NewForbidden>,
    /// Merging with later changes; allowed if not given.
    merge: Option<Merging>,
}

/// People who may approve, by role or by actor id. They also need a role that can write.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewApprovers {
    #[serde(default)]
    roles: BTreeSet<Role>,
    /// Ids of actors.
    #[serde(default)]
    actors: BTreeSet<Uuid>,
}

/// Lifetime of proposals, in seconds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewExpiry {
    /// Lifetime of a proposal that names none; defaults to the maximum.
    #[schema(minimum = 1, maximum = 31_622_400)]
    default_seconds: Option<i64>,
    /// Maximum lifetime; a proposal that asks for more is refused.
    #[schema(minimum = 1, maximum = 31_622_400)]
    max_seconds: Option<i64>,
}

/// A rule that approves a proposal automatically if it covers every action.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAutomatic {
    /// Name of the rule, shown on proposals that it has approved.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Actor ids of the proposers; all if not given.
    proposers: Option<BTreeSet<Uuid>>,
    /// Types of actions, such as `note.tag`; no other type is covered, however small the change.
    #[schema(min_items = 1, value_type = BTreeSet<ActionType>)]
    actions: BTreeSet<String>,
    /// Maximum number of actions in one proposal.
    #[schema(minimum = 1)]
    max_actions: Option<usize>,
    /// Maximum number of characters that a proposal removes and adds.
    #[schema(minimum = 1)]
    max_characters: Option<usize>,
}

/// A rule that refuses a proposal if it contains a covered action and exceeds the given limits.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewForbidden {
    /// Name of the rule, shown in refusals.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Actor ids of the proposers; all if not given.
    proposers: Option<BTreeSet<Uuid>>,
    /// Types of actions, such as `note.archive`; all if not given.
    #[schema(value_type = Option<BTreeSet<ActionType>>)]
    actions: Option<BTreeSet<String>>,
    /// Applies only to proposals with more actions than this.
    #[schema(minimum = 1)]
    above_actions: Option<usize>,
    /// Applies only to proposals that remove and add more characters than this.
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

/// The current policy.
#[derive(Serialize, ToSchema)]
struct PolicyInForce {
    workspace_id: Uuid,
    #[serde(flatten)]
    rules: Rules,
    /// Actor responsible for what the rules approve; null if no policy was ever set.
    set_by: Option<Actor>,
    set_at: Option<DateTime<Utc>>,
    /// Version of the policy; 0 if none was ever set.
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

/// Sets the policy of a workspace and replaces the previous one. Only a person who owns the workspace may do so.
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

/// Returns the policy of a workspace. Without one, proposals need the approval of one person whose role can write.
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
    // Everybody who sees the workspace sees its policy.
    app.find::<Workspaces>(&read, id).await?;
    let viewer = read.caller.viewer();
    let row = projections::get::<Policies>(&app.database, viewer, id).await?;
    let policy = PolicyInForce::of(id, row);
    let version = policy.version;
    Ok(App::show(policy, version, position))
}
