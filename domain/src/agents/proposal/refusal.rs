//! Refusals of commands on proposals.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Conflict, Proposal};
use crate::{Class, Rejection, Rule};

/// Rules of proposals.
#[derive(Debug, Clone, PartialEq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ProposalRule {
    /// The proposal is already decided.
    #[error("the proposal is {0} and can no longer be decided")]
    NotPending(&'static str),
    /// The proposal has expired.
    #[error("the proposal has expired; submit it again")]
    Expired,
    /// Each approver approves only once.
    #[error("you have approved it already; others have to, too")]
    AlreadyApproved,
    /// The proposal is neither pending nor failed.
    #[error("the proposal is {0}; only a pending or a failed one is rebased")]
    NotRebasable(&'static str),
    /// Others have changed the same places.
    #[error(
        "{} of its actions cannot be carried over; send the actions as they should be now", .0.len()
    )]
    RebaseConflict(Vec<Conflict>),
    /// The approver has read other actions than those pending.
    #[error(
        "actions_hash is not that of the actions that are pending now; read the proposal again before you approve it"
    )]
    HashMismatch,
    /// An approval must come from somebody other than the proposer.
    #[error("nobody approves their own proposal; ask another member")]
    SelfApproval,
    /// One person who controls the keys of two actors counts once.
    #[error(
        "the key is in the same hands as that of its proposer, or of somebody who has approved it; enrol it (POST /v1/api-keys/enrol), or ask a member whose key is their own"
    )]
    NotIndependent,
    /// A rejection must come from somebody other than the proposer.
    #[error("nobody rejects their own proposal; withdraw it instead")]
    SelfRejection,
    /// Only people decide proposals; programs propose, whatever their role.
    #[error("only a person decides a proposal; this key is that of an agent or a service")]
    NeedsPerson,
    /// Proposals of a suspended agent do not take effect.
    #[error(
        "the agent that proposed it is suspended; resume the agent first, or reject the proposal"
    )]
    Held,
    /// Only its proposer withdraws, supersedes or rebases a proposal.
    #[error("only the proposer can withdraw, supersede or rebase a proposal; reject it instead")]
    NotProposer,
    /// A note that the proposal would change is not available.
    #[error("action {action}: there is no such note in the workspace, or it is not active")]
    NoteUnavailable {
        /// Index of the action in the proposal.
        action: usize,
    },
    /// A task that the proposal would change is not available.
    #[error("action {action}: there is no such task in the workspace")]
    TaskUnavailable {
        /// Index of the action in the proposal.
        action: usize,
    },
    /// An artifact that the proposal would detach is not available.
    #[error("action {action}: there is no such artifact in the workspace")]
    ArtifactUnavailable {
        /// Index of the action in the proposal.
        action: usize,
    },
    /// An action names a version that its note or task has not reached yet.
    #[error("action {action}: it is only at version {current}; name the version that was read")]
    NoSuchVersion {
        /// Index of the action in the proposal.
        action: usize,
        current: i64,
    },
    /// The actions could not be carried out, whoever approved them.
    #[error("{}", impossible(.0))]
    Impossible(Vec<Conflict>),
    /// Only applied proposals can be reverted.
    #[error("the proposal is {0}; only an applied one is reverted")]
    NotApplied(&'static str),
    /// A revert would undo later edits of a note.
    #[error(
        "note {note_id} was left at version {version} and is at {current} now: later edits stand on it"
    )]
    LaterEdits {
        note_id: Uuid,
        version: i64,
        current: i64,
    },
    /// A revert would undo later changes of a task.
    #[error(
        "task {task_id} was left at version {version} and is at {current} now: later changes stand on it"
    )]
    LaterChanges {
        task_id: Uuid,
        version: i64,
        current: i64,
    },
    /// A revert would undo later changes of an artifact.
    #[error(
        "artifact {artifact_id} was left at version {version} and is at {current} now: later changes stand on it"
    )]
    ArtifactChanged {
        artifact_id: Uuid,
        version: i64,
        current: i64,
    },
    /// A revert would trash a note that others have added something to since.
    #[error(
        "the proposal wrote note {note_id}, in which {by} is now; remove that first, or trash the note by hand"
    )]
    NoteInUse { note_id: Uuid, by: String },
    /// The versions from before the proposal were not recorded.
    #[error(
        "the proposal was applied before it was recorded what each note was like; undo it by hand"
    )]
    BaseUnknown,
}

impl Rule for ProposalRule {
    type Of = Proposal;

    fn class(&self) -> Class<'_> {
        match self {
            Self::NotProposer => Class::Forbidden,
            Self::NotPending(..)
            | Self::AlreadyApproved
            | Self::NotRebasable(..)
            | Self::RebaseConflict(..)
            | Self::HashMismatch
            | Self::NotApplied(..) => Class::Conflict,
            Self::Expired
            | Self::SelfApproval
            | Self::NotIndependent
            | Self::SelfRejection
            | Self::NeedsPerson
            | Self::Held
            | Self::NoteUnavailable { .. }
            | Self::TaskUnavailable { .. }
            | Self::ArtifactUnavailable { .. }
            | Self::NoSuchVersion { .. }
            | Self::Impossible(..)
            | Self::LaterEdits { .. }
            | Self::LaterChanges { .. }
            | Self::ArtifactChanged { .. }
            | Self::NoteInUse { .. }
            | Self::BaseUnknown => Class::Rule,
        }
    }

    fn extension(&self) -> Option<(&'static str, Value)> {
        if let Self::RebaseConflict(conflicts) | Self::Impossible(conflicts) = self {
            Some(("conflicts", json!(conflicts)))
        } else {
            None
        }
    }
}

/// Reasons to refuse a command.
pub type ProposalRefusal = Rejection<ProposalRule>;

fn impossible(conflicts: &[Conflict]) -> String {
    let of = |conflict: &Conflict| format!("action {}: {}", conflict.action, conflict.reason);
    conflicts.iter().map(of).collect::<Vec<_>>().join("; ")
}
