//! The outcome of an approved proposal: the subjects that it changed, or its conflicts.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ProposalRule;
use crate::Actor;
use crate::knowledge::merge::Hunk;
use crate::knowledge::note::Merge;

/// A conflict that prevented an approved proposal from taking effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Conflict {
    /// Index of the action in the proposal.
    pub action: usize,
    pub note_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_id: Option<Uuid>,
    pub base_version: Option<i64>,
    /// Current version of the subject; 0: it does not exist in the workspace.
    pub current_version: i64,
    pub reason: String,
    /// Code of the refusal, if the command of the action was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Places that both the action and others have changed; at most the first twenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hunks: Vec<Hunk>,
}

crate::generate! {
    struct Conflict {
        action, note_id, task_id, artifact_id, base_version, current_version, reason, code, hunks,
    }
}

/// A note after a proposal was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Applied {
    pub note_id: Uuid,
    pub version: i64,
    /// Version before the proposal; 0: the proposal created the note. None if it was applied before this was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_version: Option<i64>,
    /// Set if the action was written for an earlier version and was merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merge>,
}

crate::generate! { struct Applied { note_id, version, base_version, merged } }

impl Applied {
    /// Returns the version that a revert restores.
    pub fn base(&self) -> Result<i64, ProposalRule> {
        self.base_version.ok_or(ProposalRule::BaseUnknown)
    }
}

/// A task after a proposal was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AppliedTask {
    pub task_id: Uuid,
    pub version: i64,
    /// Version before the proposal; 0: the proposal created the task.
    pub base_version: i64,
    /// Set if the action was written for an earlier version and was merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merge>,
}

crate::generate! { struct AppliedTask { task_id, version, base_version, merged } }

/// An artifact after a proposal was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AppliedArtifact {
    pub artifact_id: Uuid,
    pub version: i64,
    /// Version before the proposal; 0: the proposal attached the artifact.
    pub base_version: i64,
}

crate::generate! { struct AppliedArtifact { artifact_id, version, base_version } }

/// The rule of a workspace's policy that approved a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ByRule {
    pub name: String,
    /// The person who set the rule.
    pub set_by: Actor,
}

crate::generate! { struct ByRule { name, set_by } }

/// The subjects that applied actions have changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    pub notes: Vec<Applied>,
    pub tasks: Vec<AppliedTask>,
    pub artifacts: Vec<AppliedArtifact>,
}
