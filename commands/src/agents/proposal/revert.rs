//! Reverting of applied proposals.

mod note;
mod task;

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use domain::agents::proposal::{
    Applied, AppliedArtifact, AppliedTask, Effects, Proposal, ProposalCommand, ProposalRule,
};
use domain::knowledge::artifact::{Artifact, ArtifactCommand};
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use crate::knowledge::artifact;
use crate::{CommandError, Handler, UnitOfWork};

/// Reverts all changes of an applied proposal.
pub struct Revert {
    pub id: Uuid,
    pub reason: Option<String>,
    /// Tasks and artifacts that others may have added to the notes that the proposal created.
    pub contents: Contents,
}

/// Tasks and artifacts that belong to notes.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    pub tasks: Vec<Uuid>,
    pub artifacts: Vec<Uuid>,
}

#[async_trait]
impl Handler for Revert {
    fn name(&self) -> String {
        "proposal.revert".into()
    }

    fn context(&self) -> &'static str {
        Proposal::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Proposal>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let reason = self.reason.clone();
        let reverted = work
            .decide::<Proposal>(self.id, ProposalCommand::Revert { reason })
            .await?;
        work.caused_by(reverted.last().copied());
        let proposal = work.load::<Proposal>(self.id).await?;
        let applied = proposal.state.submission().map(|s| s.applied.clone());
        let Effects {
            notes,
            tasks,
            artifacts,
        } = applied.unwrap_or_default();
        // Several actions may have changed one subject; the last entry has its final version.
        let notes: BTreeMap<Uuid, Applied> = notes.into_iter().map(|n| (n.note_id, n)).collect();
        let tasks: BTreeMap<Uuid, AppliedTask> =
            tasks.into_iter().map(|t| (t.task_id, t)).collect();
        let artifacts: BTreeMap<Uuid, AppliedArtifact> =
            artifacts.into_iter().map(|a| (a.artifact_id, a)).collect();
        let own: HashSet<Uuid> = tasks.keys().chain(artifacts.keys()).copied().collect();
        let others = self.contents.without(&own);
        for applied in notes.into_values() {
            note::undo(work, applied, &others).await?;
        }
        for applied in tasks.into_values() {
            task::undo(work, applied).await?;
        }
        for applied in artifacts.into_values() {
            undo(work, applied).await?;
        }
        Ok(())
    }
}

impl Contents {
    fn without(&self, own: &HashSet<Uuid>) -> Self {
        let others = |ids: &[Uuid]| ids.iter().filter(|id| !own.contains(id)).copied().collect();
        Self {
            tasks: others(&self.tasks),
            artifacts: others(&self.artifacts),
        }
    }
}

/// Detaches artifacts that the proposal attached, and attaches those that it detached.
async fn undo(work: &mut UnitOfWork<'_>, applied: AppliedArtifact) -> Result<(), CommandError> {
    let AppliedArtifact {
        artifact_id,
        version,
        base_version,
    } = applied;
    if base_version == version {
        return Ok(());
    }
    let current = work.base_version::<Artifact>(artifact_id).await?;
    if current != version {
        return Err(CommandError::refused(ProposalRule::ArtifactChanged {
            artifact_id,
            version,
            current,
        }));
    }
    let back = match work
        .at_version::<Artifact>(artifact_id, base_version)
        .await?
    {
        Artifact::Attached(_) => ArtifactCommand::Restore,
        Artifact::Absent | Artifact::Detached(_) | Artifact::Removed => ArtifactCommand::Detach,
    };
    artifact::decide(work, artifact_id, back).await
}
