//! What approving a pending proposal would change now, as anybody who may see the proposal may see it.

use commands::Request;
use commands::agents::proposal::{Changed, preview};
use domain::agents::proposal::{Conflict, Effects};
use domain::knowledge::artifact::Artifact;
use domain::knowledge::note::{Merge, Note};
use domain::knowledge::task::Task;
use projections::Row;
use projections::agents::proposal::ProposalContent;
use serde::Serialize;
use store::heavy;
use utoipa::ToSchema;
use uuid::Uuid;

use super::proposal::new_ids;
use crate::App;
use crate::caller::Caller;
use crate::knowledge::text::{self, Diffs};
use crate::problem::Problem;

/// A proposal, and what would come of it.
#[derive(Serialize, ToSchema)]
pub struct ProposalWithPreview {
    #[serde(flatten)]
    proposal: Row<ProposalContent>,
    /// What approval would do now; while it is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<Preview>,
}

/// What approval would do now, found out by doing it and appending nothing.
#[derive(Serialize, ToSchema)]
pub(super) struct Preview {
    /// Whether the last approval that it needs would apply it. If not, nothing of it would be.
    applies: bool,
    /// Why nobody can approve it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Refused>,
    /// How many people have to approve it still.
    missing_approvals: u32,
    /// The notes that its actions change, where they can.
    notes: Vec<NoteChange>,
    /// The tasks, likewise.
    tasks: Vec<TaskChange>,
    /// The artifacts, likewise.
    artifacts: Vec<ArtifactChange>,
    /// What stands in its way.
    conflicts: Vec<Conflict>,
}

/// How an artifact would change.
#[derive(Serialize, ToSchema)]
struct ArtifactChange {
    /// None: it would be attached.
    artifact_id: Option<Uuid>,
    note_id: Option<Uuid>,
    name: String,
    /// 0: it would be attached.
    from_version: i64,
    to_version: i64,
    /// Whether it would be attached from then on.
    attached: bool,
}

/// What an approval would be refused with.
#[derive(Serialize, ToSchema)]
struct Refused {
    code: String,
    detail: String,
}

/// How a task would change.
#[derive(Serialize, ToSchema)]
struct TaskChange {
    /// None: it would be made.
    task_id: Option<Uuid>,
    /// As it would be; as it is, if it would be deleted.
    title: String,
    /// 0: it would be made.
    from_version: i64,
    to_version: i64,
    /// The proposal was written for an earlier version, and would be merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged: Option<Merge>,
    /// Unified diff of the whole task.
    diff: String,
}

/// How a note would change.
#[derive(Serialize, ToSchema)]
struct NoteChange {
    /// None: it would be created.
    note_id: Option<Uuid>,
    /// As it would be.
    title: String,
    /// 0: it would be created.
    from_version: i64,
    to_version: i64,
    /// The proposal was written for an earlier version, and would be merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged: Option<Merge>,
    /// Unified diff of the whole note: title, tags, links and body.
    diff: String,
}

impl App {
    /// A proposal as it is shown alone.
    pub(super) async fn with_preview(
        &self,
        caller: &Caller,
        proposal: Row<ProposalContent>,
    ) -> Result<ProposalWithPreview, Problem> {
        let preview = self.preview(caller, &proposal).await?;
        Ok(ProposalWithPreview { proposal, preview })
    }

    /// What approval would do now; none: nobody can approve it any more.
    pub(super) async fn preview(
        &self,
        caller: &Caller,
        proposal: &Row<ProposalContent>,
    ) -> Result<Option<Preview>, Problem> {
        if proposal.content.status != "pending" {
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
                code: refusal.as_ref().as_ref().to_owned(),
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
