//! `search_notes`: full-text search in notes, best match first.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::Aggregate;
use domain::knowledge::note::Note;
use projections::knowledge::search::{self, Hit, Kind, Search, Wanted};
use rmcp::model::{self, ToolAnnotations};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Answer, Asked, Tool, tool};
use crate::cursor::{ListId, NOT_OURS};
use crate::problem::{FieldError, Problem};
use crate::query::limit;

/// Maximum number of notes per page.
const MOST: usize = 100;

pub struct SearchNotes;

/// A search query.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SearchNotesInput {
    /// Words, "phrases", alternatives with `or`, exclusions with a minus. The last word may be unfinished.
    #[schema(max_length = 1_000)]
    query: String,
    /// Searches only this workspace.
    workspace_id: Option<Uuid>,
    /// Searches only notes with this tag.
    tag: Option<String>,
    /// Searches only notes changed at or after this time.
    since: Option<DateTime<Utc>>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
    /// Maximum number of notes per page; 20 if not given.
    #[schema(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// A matching note.
#[derive(Serialize, ToSchema)]
struct FoundNote {
    note_id: Uuid,
    workspace_id: Uuid,
    title: String,
    /// Part of the body around the match.
    snippet: String,
    tags: Vec<String>,
    status: String,
    updated_at: DateTime<Utc>,
    /// Relevance: from 2, the title equals the query; from 1, the title contains all of it. Comparable within one search only.
    score: f64,
}

/// A page of notes, best match first.
#[derive(Serialize, ToSchema)]
struct SearchNotesOutput {
    items: Vec<FoundNote>,
    /// Cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

impl From<Hit> for FoundNote {
    fn from(hit: Hit) -> Self {
        Self {
            note_id: hit.id,
            workspace_id: hit.workspace_id,
            title: hit.title,
            snippet: hit.snippet.into_iter().map(|piece| piece.text).collect(),
            tags: hit.tags,
            status: hit.status,
            updated_at: hit.updated_at,
            score: hit.score,
        }
    }
}

impl SearchNotesInput {
    fn wanted(self, list: ListId) -> Result<Wanted, Problem> {
        let input = self;
        let malformed = || {
            Problem::invalid(vec![FieldError {
                pointer: "/cursor".into(),
                detail: NOT_OURS.into(),
            }])
        };
        let cursor = input.cursor.as_deref();
        let after = cursor.map(|cursor| list.open(cursor).ok_or_else(malformed));
        let all = Wanted::default();
        Ok(Wanted {
            text: input.query,
            kinds: vec![Kind::Note],
            workspace_id: input.workspace_id,
            tags: input.tag.into_iter().collect(),
            since: input.since,
            after: after.transpose()?,
            limit: limit(input.limit, all.limit, MOST)?,
            ..all
        })
    }
}

#[async_trait]
impl Tool for SearchNotes {
    fn name(&self) -> &'static str {
        "search_notes"
    }

    fn scope(&self) -> &'static str {
        "notes:read"
    }

    fn describe(&self) -> model::Tool {
        tool::<SearchNotesInput, SearchNotesOutput>(
            self,
            "Search notes",
            "Finds notes of your workspaces by the words of their titles, tags and bodies, the best first. Read what looks right with \
             read_note.",
            ToolAnnotations::new().read_only(true),
        )
    }

    async fn call(&self, asked: &Asked<'_>) -> Result<Answer, Problem> {
        let input: SearchNotesInput = asked.parse(asked.arguments.clone())?;
        let (app, read) = (&asked.context.app, asked.context.read_list(self.name()));
        let position = app.ready_for(&read, Note::SCOPE, Search::NAME).await?;
        let wanted = input.wanted(read.list)?;
        let found = search::search(&app.database, read.caller.viewer(), &wanted).await?;
        let output = SearchNotesOutput {
            items: found.items.into_iter().map(FoundNote::from).collect(),
            next_cursor: found.next_cursor.map(|place| read.list.cursor(place)),
        };
        Answer::of(&output, position)
    }
}
