//! Drafts: the data that a proposer submits.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ProposalEvent;
use crate::agents::action::{self, Action};
use crate::{DecisionContext, Violations};

/// Data that an agent submits as a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    pub workspace_id: Uuid,
    pub actions: Vec<Action>,
    pub rationale: String,
    /// Confidence from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Id of a pending proposal of the same proposer that this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<Uuid>,
    /// Id of the proposal whose actions were carried over to the current versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebased_from: Option<Uuid>,
}

crate::generate! {
    struct Draft {
        workspace_id, actions, rationale, confidence, model, run_id, expires_at, supersedes,
        rebased_from,
    }
}

pub(super) fn submit(mut draft: Draft, at: &DecisionContext) -> Result<ProposalEvent, Violations> {
    // Truncated to microseconds, the precision of the read model; a leap second becomes the second after it.
    draft.expires_at = draft
        .expires_at
        .and_then(|end| DateTime::from_timestamp_micros(end.timestamp_micros()));
    let mut violations = Violations::default();
    action::check(&draft.actions, "/actions", &mut violations);
    violations.require_length(&draft.rationale, 1, 10_000, "/rationale");
    violations.require(
        draft.confidence.is_none_or(|c| (0.0..=1.0).contains(&c)),
        "/confidence",
        "must be from 0 to 1",
    );
    for (pointer, text) in [("/model", &draft.model), ("/run_id", &draft.run_id)] {
        if let Some(text) = text {
            violations.require_line(text, 1, 200, pointer);
        }
    }
    violations.require(
        draft
            .expires_at
            .is_none_or(|end| at.now < end && end <= at.now + TimeDelta::days(366)),
        "/expires_at",
        "must be in the future, at most a year away",
    );
    violations.into_result()?;
    Ok(ProposalEvent::Submitted {
        actions_hash: action::hash(&draft.actions),
        proposer: at.actor,
        controlled_by: at.controlled_by(at.actor),
        draft,
    })
}
