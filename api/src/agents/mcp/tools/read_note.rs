//! `read_note`: returns the current or a past version of a note, its links and its artifacts.

use async_trait::async_trait;
use futures::try_join;
use projections::Row;
use projections::knowledge::artifact::ArtifactContent;
use projections::knowledge::link::Link;
use projections::knowledge::note::{NoteContent, Notes};
use rmcp::model::{self, ToolAnnotations};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Answer, Asked, Tool, tool};
use crate::knowledge::link::End;
use crate::knowledge::note_history::{self, When};
use crate::problem::Problem;
use crate::query::Page;

/// Maximum number of links of each kind, and of artifacts.
const SHOWN: usize = 50;

const ARTIFACTS_SCOPE: &str = "artifacts:read";

pub struct ReadNote;

/// The note to read, and its version.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReadNoteInput {
    note_id: Uuid,
    /// Version to read; the current one if not given.
    #[schema(minimum = 1)]
    version: Option<i64>,
}

/// A note with its links.
#[derive(Serialize, ToSchema)]
struct ReadNoteOutput {
    #[schema(inline)]
    note: Row<NoteContent>,
    /// Links from the current note, newest first; 50 at most.
    links: Vec<Link>,
    /// Links from other notes to this note, newest first; 50 at most.
    backlinks: Vec<Link>,
    /// True if there are more links than shown.
    links_truncated: bool,
    /// Artifacts attached now, newest first; 50 at most. Null if your key lacks the scope artifacts:read.
    artifacts: Option<Vec<Row<ArtifactContent>>>,
}

#[async_trait]
impl Tool for ReadNote {
    fn name(&self) -> &'static str {
        "read_note"
    }

    fn scope(&self) -> &'static str {
        "notes:read"
    }

    fn describe(&self) -> model::Tool {
        tool::<ReadNoteInput, ReadNoteOutput>(
            self,
            "Read a note",
            "Reads one note, as it is now or as of a version, with its links, back-links and artifacts. The version in the answer is \
             the base_version of changes that you propose.",
            ToolAnnotations::new().read_only(true),
        )
    }

    async fn call(&self, asked: &Asked<'_>) -> Result<Answer, Problem> {
        let ReadNoteInput { note_id, version } = asked.parse(asked.arguments.clone())?;
        let (app, read) = (&asked.context.app, asked.context.read());
        let (mut note, position) = app.find::<Notes>(&read, note_id).await?;
        if let Some(version) = version {
            // Access to the current note includes its history.
            note = note_history::at(app, note_id, When::Version(version)).await?;
            if note.metadata.version != version {
                return Err(Problem::not_found("version of the note"));
            }
        }
        let page = Page {
            cursor: None,
            limit: Some(SHOWN),
        };
        let ((links, _), (backlinks, _)) = try_join!(
            app.links_of(&read, note_id, End::Source, page.clone()),
            app.links_of(&read, note_id, End::Target, page.clone()),
        )?;
        let artifacts = match read.caller.require(ARTIFACTS_SCOPE) {
            Ok(()) => Some(app.artifacts_of(&read, note_id, page).await?.0.items),
            Err(_) => None,
        };
        let output = ReadNoteOutput {
            note,
            links_truncated: links.next_cursor.or(backlinks.next_cursor).is_some(),
            links: links.items,
            backlinks: backlinks.items,
            artifacts,
        };
        Answer::of(&output, position)
    }
}
