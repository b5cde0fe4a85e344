//! A proposal: changes that an agent would make, waiting for a person.

use std::collections::BTreeSet;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::knowledge::note::{self, NoteCommand};
use crate::knowledge::workspace::Permission;
use crate::{Actor, Aggregate, Class, Moment, Refusal, Standing, Violations, events};

/// Most actions in one proposal.
pub const MAX_ACTIONS: usize = 100;

/// One change that a proposal would make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type")]
pub enum Action {
    #[serde(rename = "note.create")]
    CreateNote {
        title: String,
        body: String,
        #[serde(default)]
        tags: BTreeSet<String>,
    },
    /// Holds only while the note is still at `base_version`.
    #[serde(rename = "note.revise")]
    ReviseNote {
        note_id: Uuid,
        base_version: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    },
    #[serde(rename = "note.tag")]
    TagNote {
        note_id: Uuid,
        #[serde(default)]
        add: BTreeSet<String>,
        #[serde(default)]
        remove: BTreeSet<String>,
    },
    #[serde(rename = "note.archive")]
    ArchiveNote { note_id: Uuid },
}

impl Action {
    /// The note it changes; none where it creates one.
    #[must_use]
    pub const fn note_id(&self) -> Option<Uuid> {
        match self {
            Self::CreateNote { .. } => None,
            Self::ReviseNote { note_id, .. }
            | Self::TagNote { note_id, .. }
            | Self::ArchiveNote { note_id } => Some(*note_id),
        }
    }

    /// The version that the note must still have.
    #[must_use]
    pub const fn base_version(&self) -> Option<i64> {
        match self {
            Self::ReviseNote { base_version, .. } => Some(*base_version),
            Self::CreateNote { .. } | Self::TagNote { .. } | Self::ArchiveNote { .. } => None,
        }
    }

    /// The command that carries it out.
    #[must_use]
    pub fn command(&self, workspace_id: Uuid) -> NoteCommand {
        match self.clone() {
            Self::CreateNote { title, body, tags } => NoteCommand::Create {
                workspace_id,
                title,
                body,
                tags,
            },
            Self::ReviseNote { title, body, .. } => NoteCommand::Revise {
                title,
                body,
                tags: None,
            },
            Self::TagNote { add, remove, .. } => NoteCommand::Tag { add, remove },
            Self::ArchiveNote { .. } => NoteCommand::Archive,
        }
    }
}

/// SHA-256, in hex, of the actions as compact JSON with sorted keys: what an approver has read.
#[must_use]
pub fn actions_hash(actions: &[Action]) -> String {
    let canonical = serde_json::to_value(actions)
        .unwrap_or_default()
        .to_string();
    hex::encode(Sha256::digest(canonical))
}

/// A note that stood in the way of an approved proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Conflict {
    /// Index of the action.
    pub action: usize,
    pub note_id: Option<Uuid>,
    pub base_version: Option<i64>,
    pub current_version: i64,
    pub reason: String,
}

/// A note as an applied proposal left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Applied {
    pub note_id: Uuid,
    pub version: i64,
}

/// What an agent submits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    pub workspace_id: Uuid,
    pub actions: Vec<Action>,
    pub rationale: String,
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

events! {
    /// Everything that happens to a proposal.
    pub enum ProposalEvent {
        Submitted("proposal.submitted", 1) {
            #[serde(flatten)]
            draft: Draft,
            proposer: Actor,
            actions_hash: String,
        },
        /// A person agreed; `edited_actions` are theirs where they changed the proposal first.
        Approved("proposal.approved", 1) {
            actions_hash: String,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            comment: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            edited_actions: Option<Vec<Action>>,
        },
        /// Its actions took effect, in the same append.
        Applied("proposal.applied", 1) { notes: Vec<Applied> },
        /// It was approved, but a note had moved on; nothing was changed.
        Failed("proposal.failed", 1) { conflicts: Vec<Conflict> },
        Rejected("proposal.rejected", 1) { reason: String },
        Withdrawn("proposal.withdrawn", 1) {},
        Expired("proposal.expired", 1) {},
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "proposal.", serialize_all = "snake_case")]
pub enum ProposalCommand {
    Submit(Draft),
    Approve {
        actions_hash: String,
        comment: Option<String>,
        edited_actions: Option<Vec<Action>>,
    },
    /// Records that the approved actions took effect.
    Complete {
        notes: Vec<Applied>,
    },
    /// Records why they could not.
    Fail {
        conflicts: Vec<Conflict>,
    },
    Reject {
        reason: String,
    },
    Withdraw,
    Expire,
}

/// Why a command on a proposal is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error, strum::AsRefStr)]
#[strum(prefix = "proposal_", serialize_all = "snake_case")]
pub enum ProposalRefusal {
    /// It was never submitted.
    #[error("there is no such proposal")]
    NotFound,
    /// The id is taken.
    #[error("a proposal with this id exists already")]
    Exists,
    /// Somebody decided it before.
    #[error("the proposal is {0} and can no longer be decided")]
    NotPending(&'static str),
    /// Its time ran out.
    #[error("the proposal has expired; submit it again")]
    Expired,
    /// The approver has read something else.
    #[error(
        "actions_hash is not that of the pending actions; read the proposal again before you approve it"
    )]
    HashMismatch,
    /// Four eyes.
    #[error("nobody approves their own proposal; ask another member")]
    SelfApproval,
    /// Only its proposer takes it back.
    #[error("only the proposer can withdraw a proposal; reject it instead")]
    NotProposer,
    /// A note it would change is not there.
    #[error("action {action}: there is no such note in the workspace, or it is not active")]
    NoteUnavailable {
        /// Index of the action.
        action: usize,
    },
    /// The command is malformed.
    #[error("{0}")]
    Invalid(#[from] Violations),
}

impl Refusal for ProposalRefusal {
    fn class(&self) -> Class<'_> {
        match self {
            Self::NotFound => Class::Absent,
            Self::Exists | Self::NotPending(_) | Self::HashMismatch => Class::Conflict,
            Self::NotProposer => Class::Forbidden,
            Self::Expired | Self::SelfApproval | Self::NoteUnavailable { .. } => Class::Rule,
            Self::Invalid(violations) => Class::Invalid(violations),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Proposal {
    #[default]
    Absent,
    Pending(Submission),
    /// Approved, its outcome not yet recorded: only ever seen inside the append that approves it.
    Approved(Submission),
    Applied(Submission, Vec<Applied>),
    Failed(Submission, Vec<Conflict>),
    Rejected(Submission, String),
    Withdrawn(Submission),
    Expired(Submission),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    pub draft: Draft,
    pub proposer: Actor,
    pub actions_hash: String,
    pub comment: Option<String>,
    pub edited_actions: Option<Vec<Action>>,
}

impl Submission {
    /// The actions that approval applies.
    #[must_use]
    pub fn effective_actions(&self) -> &[Action] {
        self.edited_actions.as_ref().unwrap_or(&self.draft.actions)
    }

    fn approve(
        &self,
        actions_hash: String,
        comment: Option<String>,
        edited_actions: Option<Vec<Action>>,
        at: &Moment,
    ) -> Result<ProposalEvent, ProposalRefusal> {
        if self.proposer.id == at.actor.id {
            return Err(ProposalRefusal::SelfApproval);
        }
        if self.draft.expires_at.is_some_and(|end| end <= at.now) {
            return Err(ProposalRefusal::Expired);
        }
        if self.actions_hash != actions_hash {
            return Err(ProposalRefusal::HashMismatch);
        }
        let mut violations = Violations::default();
        if let Some(comment) = &comment {
            violations.require_length(comment, 0, 10_000, "/comment");
        }
        if let Some(actions) = &edited_actions {
            check_actions(actions, "/edited_actions", &mut violations);
        }
        violations.into_result()?;
        Ok(ProposalEvent::Approved {
            actions_hash,
            comment,
            edited_actions,
        })
    }
}

impl Proposal {
    /// The life-cycle's name of this state.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Pending(_) => "pending",
            Self::Approved(_) => "approved",
            Self::Applied(..) => "applied",
            Self::Failed(..) => "failed",
            Self::Rejected(..) => "rejected",
            Self::Withdrawn(_) => "withdrawn",
            Self::Expired(_) => "expired",
        }
    }

    #[must_use]
    pub const fn submission(&self) -> Option<&Submission> {
        match self {
            Self::Absent => None,
            Self::Pending(submission)
            | Self::Approved(submission)
            | Self::Applied(submission, _)
            | Self::Failed(submission, _)
            | Self::Rejected(submission, _)
            | Self::Withdrawn(submission)
            | Self::Expired(submission) => Some(submission),
        }
    }

    fn close(self, place: impl FnOnce(Submission) -> Self) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Pending(submission)
            | Self::Approved(submission)
            | Self::Applied(submission, _)
            | Self::Failed(submission, _)
            | Self::Rejected(submission, _)
            | Self::Withdrawn(submission)
            | Self::Expired(submission) => place(submission),
        }
    }
}

impl Aggregate for Proposal {
    const CATEGORY: &'static str = "proposal";
    const CONTEXT: &'static str = "proposals";
    type Command = ProposalCommand;
    type Event = ProposalEvent;
    type Refusal = ProposalRefusal;

    fn evolve(self, event: &ProposalEvent) -> Self {
        match event {
            ProposalEvent::Submitted {
                draft,
                proposer,
                actions_hash,
            } => Self::Pending(Submission {
                draft: draft.clone(),
                proposer: *proposer,
                actions_hash: actions_hash.clone(),
                comment: None,
                edited_actions: None,
            }),
            ProposalEvent::Approved {
                comment,
                edited_actions,
                ..
            } => self.close(|submission| {
                Self::Approved(Submission {
                    comment: comment.clone(),
                    edited_actions: edited_actions.clone(),
                    ..submission
                })
            }),
            ProposalEvent::Applied { notes } => {
                self.close(|submission| Self::Applied(submission, notes.clone()))
            }
            ProposalEvent::Failed { conflicts } => {
                self.close(|submission| Self::Failed(submission, conflicts.clone()))
            }
            ProposalEvent::Rejected { reason } => {
                self.close(|submission| Self::Rejected(submission, reason.clone()))
            }
            ProposalEvent::Withdrawn {} => self.close(Self::Withdrawn),
            ProposalEvent::Expired {} => self.close(Self::Expired),
        }
    }

    fn decide(
        &self,
        command: ProposalCommand,
        at: &Moment,
    ) -> Result<Vec<ProposalEvent>, ProposalRefusal> {
        let event = match (self, command) {
            (Self::Absent, ProposalCommand::Submit(draft)) => submit(draft, at)?,
            (_, ProposalCommand::Submit(_)) => return Err(ProposalRefusal::Exists),
            (Self::Absent, _) => return Err(ProposalRefusal::NotFound),

            (Self::Approved(_), ProposalCommand::Complete { notes }) => {
                ProposalEvent::Applied { notes }
            }
            (Self::Approved(_), ProposalCommand::Fail { conflicts }) => {
                ProposalEvent::Failed { conflicts }
            }

            (
                Self::Pending(submission),
                ProposalCommand::Approve {
                    actions_hash,
                    comment,
                    edited_actions,
                },
            ) => submission.approve(actions_hash, comment, edited_actions, at)?,
            (Self::Pending(_), ProposalCommand::Reject { reason }) => {
                let mut violations = Violations::default();
                violations.require_length(&reason, 1, 10_000, "/reason");
                violations.into_result()?;
                ProposalEvent::Rejected { reason }
            }
            (Self::Pending(submission), ProposalCommand::Withdraw) => {
                if submission.proposer.id != at.actor.id {
                    return Err(ProposalRefusal::NotProposer);
                }
                ProposalEvent::Withdrawn {}
            }
            (Self::Pending(submission), ProposalCommand::Expire) => {
                if submission.draft.expires_at.is_none_or(|end| at.now < end) {
                    return Ok(vec![]);
                }
                ProposalEvent::Expired {}
            }
            // Due work that comes late has nothing left to do.
            (_, ProposalCommand::Expire) => return Ok(vec![]),
            (state, _) => return Err(ProposalRefusal::NotPending(state.status())),
        };
        Ok(vec![event])
    }

    fn standing(&self, _id: Uuid, command: &ProposalCommand, at: &Moment) -> Standing {
        let permission = match command {
            ProposalCommand::Submit(draft) => {
                return Standing::Member {
                    workspace_id: draft.workspace_id,
                    permission: Permission::Propose,
                };
            }
            ProposalCommand::Expire if at.actor == Actor::SYSTEM => return Standing::Product,
            ProposalCommand::Withdraw => Permission::Propose,
            ProposalCommand::Approve { .. }
            | ProposalCommand::Complete { .. }
            | ProposalCommand::Fail { .. }
            | ProposalCommand::Reject { .. }
            | ProposalCommand::Expire => Permission::Write,
        };
        self.submission()
            .map_or(Standing::Product, |submission| Standing::Member {
                workspace_id: submission.draft.workspace_id,
                permission,
            })
    }
}

fn submit(mut draft: Draft, at: &Moment) -> Result<ProposalEvent, Violations> {
    // Finer than any clock here, and than the read model keeps.
    draft.expires_at = draft.expires_at.map(|end| end.trunc_subsecs(6));
    let mut violations = Violations::default();
    check_actions(&draft.actions, "/actions", &mut violations);
    violations.require_length(&draft.rationale, 1, 10_000, "/rationale");
    violations.require(
        draft.confidence.is_none_or(|c| (0.0..=1.0).contains(&c)),
        "/confidence",
        "must be from 0 to 1",
    );
    for (pointer, text) in [("/model", &draft.model), ("/run_id", &draft.run_id)] {
        if let Some(text) = text {
            violations.require_length(text, 1, 200, pointer);
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
        actions_hash: actions_hash(&draft.actions),
        proposer: at.actor,
        draft,
    })
}

fn check_actions(actions: &[Action], pointer: &str, violations: &mut Violations) {
    violations.require(
        (1..=MAX_ACTIONS).contains(&actions.len()),
        pointer,
        format!("must be 1 to {MAX_ACTIONS} actions"),
    );
    for (index, action) in actions.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        match action {
            Action::CreateNote { title, body, tags } => {
                note::check(
                    Some(title),
                    Some(body),
                    &pointer,
                    "tags",
                    Some(tags),
                    violations,
                );
            }
            Action::ReviseNote {
                title,
                body,
                base_version,
                ..
            } => {
                violations.require(
                    *base_version > 0,
                    format!("{pointer}/base_version"),
                    "must be at least 1",
                );
                violations.require(
                    title.is_some() || body.is_some(),
                    &pointer,
                    "must change the title or the body",
                );
                note::check(
                    title.as_deref(),
                    body.as_deref(),
                    &pointer,
                    "tags",
                    None,
                    violations,
                );
            }
            Action::TagNote { add, remove, .. } => {
                violations.require(
                    !add.is_empty() || !remove.is_empty(),
                    &pointer,
                    "must add or remove a tag",
                );
                note::check(None, None, &pointer, "add", Some(add), violations);
            }
            Action::ArchiveNote { .. } => {}
        }
    }
}

#[cfg(test)]
#[path = "proposal_tests.rs"]
mod tests;
