//! What came of an approved proposal: the things that it changed, or what stood in its way.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ProposalRefusal;
use crate::Actor;
use crate::knowledge::merge::Hunk;
use crate::knowledge::note::Merge;

/// A thing that stood in the way of an approved proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Conflict {
    /// Index of the action.
    pub action: usize,
    pub note_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_id: Option<Uuid>,
    pub base_version: Option<i64>,
    /// 0: there is no such thing in the workspace.
    pub current_version: i64,
    pub reason: String,
    /// The code of the refusal, where the command of the action was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The places that were changed both by the action and by others since; the first twenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hunks: Vec<Hunk>,
}

/// A note as an applied proposal left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Applied {
    pub note_id: Uuid,
    pub version: i64,
    /// Its version before; 0: the proposal wrote it. None where it was applied before this was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_version: Option<i64>,
    /// The action was written for an earlier version, and was merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merge>,
}

impl Applied {
    /// The version that undoing it leads back to.
    pub fn base(&self) -> Result<i64, ProposalRefusal> {
        self.base_version.ok_or(ProposalRefusal::BaseUnknown)
    }
}

/// A task as an applied proposal left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AppliedTask {
    pub task_id: Uuid,
    pub version: i64,
    /// Its version before; 0: the proposal made it.
    pub base_version: i64,
    /// The action was written for an earlier version, and was merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merge>,
}

/// An artifact as an applied proposal left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AppliedArtifact {
    pub artifact_id: Uuid,
    pub version: i64,
    /// Its version before; 0: the proposal attached it.
    pub base_version: i64,
}

/// The rule of a workspace's policy by which a proposal was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ByRule {
    pub name: String,
    /// Who stands behind it.
    pub set_by: Actor,
}

/// What applied actions have left behind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    pub notes: Vec<Applied>,
    pub tasks: Vec<AppliedTask>,
    pub artifacts: Vec<AppliedArtifact>,
}
