//! What approving a pending proposal would change now, as anybody who may see the proposal may see it.

use std::iter::repeat_with;

use commands::Request;
use commands::agents::proposal::{Changed, preview};
use domain::agents::action::MAX_ACTIONS;
use domain::agents::proposal::Conflict;
use domain::knowledge::note::{Merge, Note};
use projections::Row;
use projections::agents::proposal::ProposalContent;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::App;
use crate::caller::Caller;
use crate::knowledge::text;
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
struct Preview {
    /// Whether it would be applied. If not, nothing of it would be.
    applies: bool,
    /// The notes that its actions change, where they can.
    notes: Vec<NoteChange>,
    /// What stands in its way.
    conflicts: Vec<Conflict>,
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
        let preview = match proposal.content.status.as_str() {
            "pending" => self.preview(caller, &proposal).await?,
            _ => None,
        };
        Ok(ProposalWithPreview { proposal, preview })
    }

    async fn preview(
        &self,
        caller: &Caller,
        proposal: &Row<ProposalContent>,
    ) -> Result<Option<Preview>, Problem> {
        let request = Request::look(caller.actor, proposal.facts.product_id);
        let mut book = self.executor.scratch(&request);
        let new_ids: Vec<Uuid> = repeat_with(Uuid::now_v7).take(MAX_ACTIONS).collect();
        let found = preview(&mut book, proposal.facts.id, &new_ids).await?;
        Ok(found.map(|found| {
            let merged = |id| {
                found
                    .applied
                    .iter()
                    .find_map(|a| a.merged.filter(|_| a.note_id == id))
            };
            Preview {
                applies: found.conflicts.is_empty(),
                notes: found
                    .notes
                    .iter()
                    .map(|note| NoteChange::of(note, merged(note.after.id)))
                    .collect(),
                conflicts: found.conflicts,
            }
        }))
    }
}

impl NoteChange {
    fn of(note: &Changed<Note>, merged: Option<Merge>) -> Self {
        let Changed { before, after } = note;
        let content = after.state.content();
        Self {
            note_id: (before.version > 0).then_some(after.id),
            title: content.map_or_else(String::new, |content| content.title.clone()),
            from_version: before.version,
            to_version: after.version,
            merged,
            diff: text::diff(
                &text::of_note(&before.state),
                &text::of_note(&after.state),
                [before.version, after.version],
            ),
        }
    }
}
