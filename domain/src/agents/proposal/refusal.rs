//! Why a command on a proposal is refused.

use uuid::Uuid;

use super::Conflict;
use crate::{Class, Refusal, Violations};

/// Why a command on a proposal is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
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
    /// Several have to agree, each once.
    #[error("you have approved it already; others have to, too")]
    AlreadyApproved,
    /// Its actions were decided for good, or are no longer anybody's.
    #[error("the proposal is {0}; only a pending or a failed one is rebased")]
    NotRebasable(&'static str),
    /// Others have changed the same places.
    #[error(
        "{} of its actions cannot be carried over; send the actions as they should be now", .0.len()
    )]
    RebaseConflict(Vec<Conflict>),
    /// The approver has read something else.
    #[error(
        "actions_hash is not that of the actions that are pending now; read the proposal again before you approve it"
    )]
    HashMismatch,
    /// Four eyes.
    #[error("nobody approves their own proposal; ask another member")]
    SelfApproval,
    /// One person with the keys of two is one person.
    #[error(
        "the key is in the same hands as that of its proposer, or of somebody who has approved it; enrol it (POST /v1/api-keys/enrol), or ask a member whose key is their own"
    )]
    NotIndependent,
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
    #[error("only the proposer can withdraw, supersede or rebase a proposal; reject it instead")]
    NotProposer,
    /// A note it would change is not there.
    #[error("action {action}: there is no such note in the workspace, or it is not active")]
    NoteUnavailable {
        /// Index of the action.
        action: usize,
    },
    /// A task it would change is not there.
    #[error("action {action}: there is no such task in the workspace")]
    TaskUnavailable {
        /// Index of the action.
        action: usize,
    },
    /// An artifact it would detach is not there.
    #[error("action {action}: there is no such artifact in the workspace")]
    ArtifactUnavailable {
        /// Index of the action.
        action: usize,
    },
    /// An action was written for a version that its note or task has not come to.
    #[error("action {action}: it is only at version {current}; name the version that was read")]
    NoSuchVersion {
        /// Index of the action.
        action: usize,
        current: i64,
    },
    /// Its actions could not be carried out, whoever approved them.
    #[error("{}", impossible(.0))]
    Impossible(Vec<Conflict>),
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
    /// The same for a task.
    #[error(
        "task {task_id} was left at version {version} and is at {current} now: later changes stand on it"
    )]
    LaterChanges {
        task_id: Uuid,
        version: i64,
        current: i64,
    },
    /// The same for an artifact.
    #[error(
        "artifact {artifact_id} was left at version {version} and is at {current} now: later changes stand on it"
    )]
    ArtifactChanged {
        artifact_id: Uuid,
        version: i64,
        current: i64,
    },
    /// Undoing it would put away what others have put into a note since.
    #[error(
        "the proposal wrote note {note_id}, in which {by} is now; remove that first, or trash the note by hand"
    )]
    NoteInUse { note_id: Uuid, by: String },
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
            Self::Exists
            | Self::NotPending(_)
            | Self::NotApplied(_)
            | Self::NotRebasable(_)
            | Self::AlreadyApproved
            | Self::RebaseConflict(_)
            | Self::HashMismatch => Class::Conflict,
            Self::NotProposer => Class::Forbidden,
            Self::Expired
            | Self::SelfApproval
            | Self::NotIndependent
            | Self::SelfRejection
            | Self::NeedsPerson
            | Self::Held
            | Self::NoteUnavailable { .. }
            | Self::TaskUnavailable { .. }
            | Self::ArtifactUnavailable { .. }
            | Self::ArtifactChanged { .. }
            | Self::LaterEdits { .. }
            | Self::LaterChanges { .. }
            | Self::NoteInUse { .. }
            | Self::BaseUnknown
            | Self::Impossible(_)
            | Self::NoSuchVersion { .. } => Class::Rule,
            Self::Invalid(violations) => Class::Invalid(violations),
        }
    }

    fn conflicts(&self) -> &[Conflict] {
        if let Self::RebaseConflict(conflicts) | Self::Impossible(conflicts) = self {
            conflicts
        } else {
            &[]
        }
    }
}

fn impossible(conflicts: &[Conflict]) -> String {
    let of = |conflict: &Conflict| format!("action {}: {}", conflict.action, conflict.reason);
    conflicts.iter().map(of).collect::<Vec<_>>().join("; ")
}
