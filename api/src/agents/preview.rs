//! Previews: the effect that approving a pending proposal would have now, for everybody who may see the proposal.

use commands::Request;
use commands::agents::proposal::{Changed, preview};
use domain::agents::proposal::{Conflict, Effects};
use domain::knowledge::artifact::Artifact;
use domain::knowledge::note::{Merge, Note};
use domain::knowledge::task::Task;
use projections::Row;
use projections::agents::proposal::{ProposalContent, ProposalStatus};
use serde::Serialize;
use store::heavy;
use utoipa::ToSchema;
use uuid::Uuid;

use super::proposal::new_ids;
use crate::App;
use crate::caller::Caller;
use crate::knowledge::text::{self, Diffs};
use crate::problem::Problem;

/// A proposal with its preview.
#[derive(Serialize, ToSchema)]
pub struct ProposalWithPreview {
    #[serde(flatten)]
    proposal: Row<ProposalContent>,
    /// The effect that approval would have now; only while the proposal is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<Preview>,
}

/// The effect that approval would have now, found by a dry run that appends nothing.
#[derive(Serialize, ToSchema)]
pub(super) struct Preview {
    /// True if the last missing approval would apply the proposal. If false, no part of it would be applied.
    applies: bool,
    /// The reason why nobody can approve the proposal now.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Refused>,
    /// Number of approvals still missing.
    missing_approvals: u32,
    /// Notes that the actions would change, where possible.
    notes: Vec<NoteChange>,
    /// Tasks that the actions would change, where possible.
    tasks: Vec<TaskChange>,
    /// Artifacts that the actions would change, where possible.
    artifacts: Vec<ArtifactChange>,
    /// Conflicts that keep the proposal from being applied.
    conflicts: Vec<Conflict>,
}

/// The change to an artifact.
#[derive(Serialize, ToSchema)]
struct ArtifactChange {
    /// Id of the artifact; absent if it would be attached.
    artifact_id: Option<Uuid>,
    note_id: Option<Uuid>,
    name: String,
    /// Current version; 0 if it would be attached.
    from_version: i64,
    to_version: i64,
    /// True if the artifact would be attached afterwards.
    attached: bool,
}

/// The refusal that an approval would get.
#[derive(Serialize, ToSchema)]
struct Refused {
    code: String,
    detail: String,
}

/// The change to a task.
#[derive(Serialize, ToSchema)]
struct TaskChange {
    /// Id of the task; absent if it would be created.
    task_id: Option<Uuid>,
    /// Title after the change; the current title if the task would be deleted.
    title: String,
    /// Current version; 0 if it would be created.
    from_version: i64,
    to_version: i64,
    /// The merge, if the proposal was written for an earlier version.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged: Option<Merge>,
    /// Unified diff of the whole task.
    diff: String,
}

/// The change to a note.
#[derive(Serialize, ToSchema)]
struct NoteChange {
    /// Id of the note; absent if it would be created.
    note_id: Option<Uuid>,
    /// Title after the change.
    title: String,
    /// Current version; 0 if it would be created.
    from_version: i64,
    to_version: i64,
    /// The merge, if the proposal was written for an earlier version.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged: Option<Merge>,
    /// Unified diff of the whole note: title, tags, links and body.
    diff: String,
}

impl App {
    /// Returns a proposal with its preview.
    pub(super) async fn with_preview(
        &self,
        caller: &Caller,
        proposal: Row<ProposalContent>,
    ) -> Result<ProposalWithPreview, Problem> {
        let preview = self.preview(caller, &proposal).await?;
        Ok(ProposalWithPreview { proposal, preview })
    }

    /// Returns the effect that approval would have now; `None` if nobody can approve the proposal any more.
    pub(super) async fn preview(
        &self,
        caller: &Caller,
        proposal: &Row<ProposalContent>,
    ) -> Result<Option<Preview>, Problem> {
        if proposal.content.status != ProposalStatus::Pending {
            return Ok(None);
        }
        let request = Request::look(caller.actor, proposal.metadata.product_id);
        let mut work = self.executor.scratch(&request);
        let found = preview(&mut work, proposal.metadata.id, &new_ids()).await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let body = |note: &Note| note.content().map_or(0, |content| content.body.len());
        let changed = |note: &Changed<Note>| body(&note.before.state) + body(&note.after.state);
        let bytes = found.notes.iter().map(changed).sum();
        Ok(Some(heavy(bytes, || Preview::of(found)).await?))
    }
}

impl Preview {
    fn of(found: commands::agents::proposal::Preview) -> Self {
        let Effects { notes, tasks, .. } = &found.effects;
        let mut diffs = Diffs::default();
        let mut note = |note: &Changed<Note>| {
            let same = notes
                .iter()
                .filter(|applied| applied.note_id == note.after.id);
            let merged = same.filter_map(|applied| applied.merged).next();
            NoteChange::of(note, merged, &mut diffs)
        };
        let changed_notes = found.notes.iter().map(&mut note).collect();
        let mut task = |task: &Changed<Task>| {
            let same = tasks
                .iter()
                .filter(|applied| applied.task_id == task.after.id);
            let merged = same.filter_map(|applied| applied.merged).next();
            TaskChange::of(task, merged, &mut diffs)
        };
        Self {
            applies: found.conflicts.is_empty() && found.refusal.is_none(),
            missing_approvals: found.missing_approvals,
            notes: changed_notes,
            tasks: found.tasks.iter().map(&mut task).collect(),
            artifacts: found.artifacts.iter().map(ArtifactChange::of).collect(),
            refusal: found.refusal.map(|refusal| Refused {
                code: refusal.code().into_owned(),
                detail: refusal.to_string(),
            }),
            conflicts: found.conflicts,
        }
    }
}

fn diff<A>(changed: &Changed<A>, as_text: fn(&A) -> String, diffs: &mut Diffs) -> String {
    let Changed { before, after } = changed;
    let versions = [before.version, after.version];
    diffs.diff(&as_text(&before.state), &as_text(&after.state), versions)
}

impl NoteChange {
    fn of(note: &Changed<Note>, merged: Option<Merge>, diffs: &mut Diffs) -> Self {
        let Changed { before, after } = note;
        let content = after.state.content();
        Self {
            note_id: (before.version > 0).then_some(after.id),
            title: content.map_or_else(String::new, |content| content.title.clone()),
            from_version: before.version,
            to_version: after.version,
            merged,
            diff: diff(note, text::of_note, diffs),
        }
    }
}

impl TaskChange {
    fn of(task: &Changed<Task>, merged: Option<Merge>, diffs: &mut Diffs) -> Self {
        let Changed { before, after } = task;
        let draft = after.state.draft().or_else(|| before.state.draft());
        Self {
            task_id: (before.version > 0).then_some(after.id),
            title: draft.map_or_else(String::new, |draft| draft.title.clone()),
            from_version: before.version,
            to_version: after.version,
            merged,
            diff: diff(task, text::of_task, diffs),
        }
    }
}

impl ArtifactChange {
    fn of(artifact: &Changed<Artifact>) -> Self {
        let Changed { before, after } = artifact;
        let attachment = after.state.attachment();
        Self {
            artifact_id: (before.version > 0).then_some(after.id),
            note_id: attachment.map(|attachment| attachment.note_id),
            name: attachment.map_or_else(String::new, |attachment| attachment.name.clone()),
            from_version: before.version,
            to_version: after.version,
            attached: matches!(after.state, Artifact::Attached(_)),
        }
    }
}
