//! `read_note`: a note as it is or as it was, what it is linked with, and what is attached to it.

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

/// Links of each kind, and artifacts, that are shown.
const SHOWN: usize = 50;

const ARTIFACTS_SCOPE: &str = "artifacts:read";

pub struct ReadNote;

/// Which note, and as of when.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReadNoteInput {
    note_id: Uuid,
    /// The note as it was at this version; as it is now, if not given.
    #[schema(minimum = 1)]
    version: Option<i64>,
}

/// A note with its links.
#[derive(Serialize, ToSchema)]
struct ReadNoteOutput {
    #[schema(inline)]
    note: Row<NoteContent>,
    /// Links from the note as it is now, newest first; 50 at most.
    links: Vec<Link>,
    /// Links of other notes to it, newest first; 50 at most.
    backlinks: Vec<Link>,
    /// There are more links than are shown.
    links_truncated: bool,
    /// What is attached to it now, newest first; 50 at most. Null: your key lacks the scope artifacts:read.
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
            // Whoever may see it now may see its past.
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
