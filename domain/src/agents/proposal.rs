//! A proposal: changes that an agent would make, waiting for a person.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::agents::action::{self, Action};
use crate::knowledge::workspace::Permission;
use crate::{Actor, ActorKind, Aggregate, Class, Moment, Refusal, Standing, Violations, events};

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
    /// Its version before; 0: the proposal wrote it. None where it was applied before this was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_version: Option<i64>,
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
    /// A pending proposal of the same proposer that it takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<Uuid>,
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
        /// Its proposer has submitted a newer one in its place, in the same append.
        Superseded("proposal.superseded", 1) { by: Uuid },
        /// What it had changed was changed back, in the same append.
        Reverted("proposal.reverted", 1) {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reason: Option<String>,
        },
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
    /// A newer proposal takes its place.
    Supersede {
        by: Uuid,
    },
    /// Takes back what it has changed.
    Revert {
        reason: Option<String>,
    },
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
    /// A rejection is somebody else's, too.
    #[error("nobody rejects their own proposal; withdraw it instead")]
    SelfRejection,
    /// Programs propose, whatever their role; people decide.
    #[error("only a person decides a proposal; this key is that of an agent or a service")]
    NeedsPerson,
    /// Nothing that a suspended agent has proposed takes effect.
    #[error(
        "the agent that proposed it is suspended; resume the agent first, or reject the proposal"
    )]
    Held,
    /// Only its proposer takes it back.
    #[error("only the proposer can withdraw or supersede a proposal; reject it instead")]
    NotProposer,
    /// A note it would change is not there.
    #[error("action {action}: there is no such note in the workspace, or it is not active")]
    NoteUnavailable {
        /// Index of the action.
        action: usize,
    },
    /// An action was written for a version that its note has not come to.
    #[error(
        "action {action}: the note is only at version {current}; name the version that was read"
    )]
    NoSuchVersion {
        /// Index of the action.
        action: usize,
        current: i64,
    },
    /// Only what took effect can be undone.
    #[error("the proposal is {0}; only an applied one is reverted")]
    NotApplied(&'static str),
    /// Undoing it would undo what others have written since.
    #[error(
        "note {note_id} was left at version {version} and is at {current} now: later edits stand on it"
    )]
    LaterEdits {
        note_id: Uuid,
        version: i64,
        current: i64,
    },
    /// Nobody knows what it changed.
    #[error(
        "the proposal was applied before it was recorded what each note was like; undo it by hand"
    )]
    BaseUnknown,
    /// The command is malformed.
    #[error("{0}")]
    Invalid(#[from] Violations),
}

impl Refusal for ProposalRefusal {
    fn class(&self) -> Class<'_> {
        match self {
            Self::NotFound => Class::Absent,
            Self::Exists | Self::NotPending(_) | Self::NotApplied(_) | Self::HashMismatch => {
                Class::Conflict
            }
            Self::NotProposer => Class::Forbidden,
            Self::Expired
            | Self::SelfApproval
            | Self::SelfRejection
            | Self::NeedsPerson
            | Self::Held
            | Self::NoteUnavailable { .. }
            | Self::LaterEdits { .. }
            | Self::BaseUnknown
            | Self::NoSuchVersion { .. } => Class::Rule,
            Self::Invalid(violations) => Class::Invalid(violations),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Proposal {
    #[default]
    Absent,
    Submitted(Box<Submission>, Stage),
}

/// How far a proposal has come.
#[derive(Debug, Clone, PartialEq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    Pending,
    /// Its outcome is not yet recorded: only ever seen inside the append that approves it.
    Approved,
    Applied,
    Failed,
    Rejected,
    Withdrawn,
    Expired,
    Superseded,
    Reverted,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    pub draft: Draft,
    pub proposer: Actor,
    pub actions_hash: String,
    pub edited_actions: Option<Vec<Action>>,
    /// What it has changed.
    pub applied: Vec<Applied>,
}

impl Submission {
    /// The actions that approval applies.
    #[must_use]
    pub fn effective_actions(&self) -> &[Action] {
        self.edited_actions.as_ref().unwrap_or(&self.draft.actions)
    }

    fn decide(
        &self,
        stage: &Stage,
        command: ProposalCommand,
        at: &Moment,
    ) -> Result<Vec<ProposalEvent>, ProposalRefusal> {
        let event = match (stage, command) {
            (_, ProposalCommand::Submit(_)) => return Err(ProposalRefusal::Exists),
            (Stage::Approved, ProposalCommand::Complete { notes }) => {
                ProposalEvent::Applied { notes }
            }
            (Stage::Approved, ProposalCommand::Fail { conflicts }) => {
                ProposalEvent::Failed { conflicts }
            }
            (
                Stage::Pending,
                ProposalCommand::Approve {
                    actions_hash,
                    comment,
                    edited_actions,
                },
            ) => self.approve(actions_hash, comment, edited_actions, at)?,
            (Stage::Pending, ProposalCommand::Reject { reason }) => {
                self.require_other_person(at, ProposalRefusal::SelfRejection)?;
                let mut violations = Violations::default();
                violations.require_length(&reason, 1, 10_000, "/reason");
                violations.into_result()?;
                ProposalEvent::Rejected { reason }
            }
            (Stage::Pending, ProposalCommand::Withdraw) => {
                self.require_proposer(at)?;
                ProposalEvent::Withdrawn {}
            }
            (Stage::Pending, ProposalCommand::Supersede { by }) => {
                self.require_proposer(at)?;
                ProposalEvent::Superseded { by }
            }
            (Stage::Pending, ProposalCommand::Expire)
                if self.draft.expires_at.is_some_and(|end| end <= at.now) =>
            {
                ProposalEvent::Expired {}
            }
            // Due work that comes early or late has nothing to do.
            (_, ProposalCommand::Expire) => return Ok(vec![]),
            (Stage::Applied, ProposalCommand::Revert { reason }) => {
                require_person(at)?;
                let mut violations = Violations::default();
                if let Some(reason) = &reason {
                    violations.require_length(reason, 1, 10_000, "/reason");
                }
                violations.into_result()?;
                ProposalEvent::Reverted { reason }
            }
            (stage, ProposalCommand::Revert { .. }) => {
                return Err(ProposalRefusal::NotApplied(stage.into()));
            }
            (stage, _) => return Err(ProposalRefusal::NotPending(stage.into())),
        };
        Ok(vec![event])
    }

    fn require_proposer(&self, at: &Moment) -> Result<(), ProposalRefusal> {
        if self.proposer.id == at.actor.id {
            Ok(())
        } else {
            Err(ProposalRefusal::NotProposer)
        }
    }

    /// Four eyes, two of them human.
    fn require_other_person(
        &self,
        at: &Moment,
        own: ProposalRefusal,
    ) -> Result<(), ProposalRefusal> {
        if self.proposer.id == at.actor.id {
            return Err(own);
        }
        require_person(at)
    }

    fn approve(
        &self,
        actions_hash: String,
        comment: Option<String>,
        edited_actions: Option<Vec<Action>>,
        at: &Moment,
    ) -> Result<ProposalEvent, ProposalRefusal> {
        self.require_other_person(at, ProposalRefusal::SelfApproval)?;
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
            action::check(actions, "/edited_actions", &mut violations);
        }
        violations.into_result()?;
        Ok(ProposalEvent::Approved {
            actions_hash,
            comment,
            edited_actions,
        })
    }
}

fn require_person(at: &Moment) -> Result<(), ProposalRefusal> {
    match at.actor.kind {
        ActorKind::Person => Ok(()),
        ActorKind::Agent | ActorKind::Service => Err(ProposalRefusal::NeedsPerson),
    }
}

impl Proposal {
    #[must_use]
    pub const fn submission(&self) -> Option<&Submission> {
        match self {
            Self::Absent => None,
            Self::Submitted(submission, _) => Some(submission),
        }
    }

    fn becomes(mut self, next: Stage) -> Self {
        if let Self::Submitted(_, stage) = &mut self {
            *stage = next;
        }
        self
    }
}

impl Aggregate for Proposal {
    const CATEGORY: &'static str = "proposal";
    const CONTEXT: &'static str = "proposals";
    const CHAINED: bool = true;
    type Command = ProposalCommand;
    type Event = ProposalEvent;
    type Refusal = ProposalRefusal;

    fn evolve(mut self, event: &ProposalEvent) -> Self {
        match event {
            ProposalEvent::Submitted {
                draft,
                proposer,
                actions_hash,
            } => {
                let submission = Box::new(Submission {
                    draft: draft.clone(),
                    proposer: *proposer,
                    actions_hash: actions_hash.clone(),
                    edited_actions: None,
                    applied: vec![],
                });
                Self::Submitted(submission, Stage::Pending)
            }
            ProposalEvent::Approved { edited_actions, .. } => {
                if let Self::Submitted(submission, _) = &mut self {
                    submission.edited_actions.clone_from(edited_actions);
                }
                self.becomes(Stage::Approved)
            }
            ProposalEvent::Applied { notes } => {
                if let Self::Submitted(submission, _) = &mut self {
                    submission.applied.clone_from(notes);
                }
                self.becomes(Stage::Applied)
            }
            ProposalEvent::Failed { .. } => self.becomes(Stage::Failed),
            ProposalEvent::Rejected { .. } => self.becomes(Stage::Rejected),
            ProposalEvent::Withdrawn {} => self.becomes(Stage::Withdrawn),
            ProposalEvent::Expired {} => self.becomes(Stage::Expired),
            ProposalEvent::Superseded { .. } => self.becomes(Stage::Superseded),
            ProposalEvent::Reverted { .. } => self.becomes(Stage::Reverted),
        }
    }

    fn decide(
        &self,
        command: ProposalCommand,
        at: &Moment,
    ) -> Result<Vec<ProposalEvent>, ProposalRefusal> {
        match (self, command) {
            (Self::Absent, ProposalCommand::Submit(draft)) => Ok(vec![submit(draft, at)?]),
            (Self::Absent, _) => Err(ProposalRefusal::NotFound),
            (Self::Submitted(submission, stage), command) => submission.decide(stage, command, at),
        }
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
            ProposalCommand::Withdraw | ProposalCommand::Supersede { .. } => Permission::Propose,
            ProposalCommand::Approve { .. }
            | ProposalCommand::Complete { .. }
            | ProposalCommand::Fail { .. }
            | ProposalCommand::Reject { .. }
            | ProposalCommand::Revert { .. }
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
    action::check(&draft.actions, "/actions", &mut violations);
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
        actions_hash: action::hash(&draft.actions),
        proposer: at.actor,
        draft,
    })
}

#[cfg(test)]
#[path = "proposal_tests.rs"]
mod tests;
