//! Notes: their current state, past versions and history.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::On;
use domain::knowledge::note::{Changes, Note, NoteCommand, SourceFile};
use domain::knowledge::tag::spellings;
use projections::knowledge::note::{NoteContent, Notes};
use projections::{Row, Where};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::note_history::{self, AsOf};
use crate::App;
use crate::command::{Command, Nothing};
use crate::filter::Filter;
use crate::filter::columns;
use crate::problem::Problem;
use crate::query::{Params, Path, Read};
use crate::resource::Resource;
use projections::knowledge::note::NoteStatus;
use serde::Serialize;

pub fn routes() -> OpenApiRouter<App> {
    Resource::<Notes>::at("/notes")
        .create("Creates a note.", |new: NewNote| NoteCommand::Create {
            workspace_id: new.workspace_id,
            title: new.title,
            body: new.body,
            tags: new.tags,
            aliases: new.aliases,
            file: new.file,
        })
        .list::<NoteFilter>("Lists the notes in the caller's workspaces, newest first.")
        .with(routes!(get))
        .with(routes!(revise))
        .action("archive", "Archives a note.", |_: Nothing| {
            NoteCommand::Archive
        })
        .action("trash", "Moves a note to the trash.", |_: Nothing| {
            NoteCommand::Trash
        })
        .action(
            "restore",
            "Restores a note from the archive or the trash.",
            |_: Nothing| NoteCommand::Restore,
        )
        .delete("Purges a note from the trash.", || NoteCommand::Purge)
        .routes()
        .merge(note_history::routes())
}

/// A note to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewNote {
    workspace_id: Uuid,
    #[schema(max_length = 500)]
    title: String,
    /// Body in Markdown, at most 1 MiB.
    #[serde(default)]
    body: String,
    #[serde(default)]
    #[schema(max_items = 64)]
    tags: BTreeSet<String>,
    /// Alternative names that links can use.
    #[serde(default)]
    #[schema(max_items = 64)]
    aliases: BTreeSet<String>,
    /// File that the note was imported from.
    file: Option<SourceFile>,
}

/// Changes to a note.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoteRevision {
    #[schema(max_length = 500)]
    title: Option<String>,
    body: Option<String>,
    /// Replaces all tags.
    #[schema(max_items = 64)]
    tags: Option<BTreeSet<String>>,
    /// Replaces all aliases.
    #[schema(max_items = 64)]
    aliases: Option<BTreeSet<String>>,
    /// File that the note was imported from.
    file: Option<SourceFile>,
    /// Reason for the change, shown in the history.
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// Filters for a list of notes.
#[derive(Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct NoteFilter {
    workspace_id: Option<Uuid>,
    tag: Option<String>,
    #[param(inline)]
    status: Option<NoteStatus>,
}

impl Filter for NoteFilter {
    fn conditions(mut self) -> Result<Where, Problem> {
        let tag = self.tag.take().map(|tag| spellings(&tag));
        Ok(columns(&self)?.and("t.tags && ?::text[]", tag))
    }
}

/// Changes a note. With `If-Match`, only if it still has that version.
#[utoipa::path(patch, path = "/notes/{id}", tag = "notes", params(("id" = Uuid, Path)), request_body = NoteRevision,
    responses((status = 200, body = Row<NoteContent>)), security(("api_key" = ["notes:write"])))]
async fn revise(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<NoteRevision>,
) -> Result<Response, Problem> {
    let NoteRevision {
        title,
        body,
        tags,
        aliases,
        file,
        reason,
    } = command.body;
    let mut request = command.request;
    request.reason = reason;
    let changes = Changes {
        title,
        body,
        tags,
        aliases,
        file,
    };
    let revise = On::<Note> {
        id,
        command: NoteCommand::Revise(changes),
    };
    app.run::<Notes>(&request, &revise, StatusCode::OK).await
}

/// Returns one note, in its current or a past state.
#[utoipa::path(get, path = "/notes/{id}", tag = "notes", params(("id" = Uuid, Path), AsOf),
    responses((status = 200, body = Row<NoteContent>)), security(("api_key" = ["notes:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
    Params(as_of): Params<AsOf>,
) -> Result<Response, Problem> {
    let Some(when) = as_of.when()? else {
        return app.get::<Notes>(&read, id).await;
    };
    // Access to the current note includes its history.
    let (_, position) = app.find::<Notes>(&read, id).await?;
    let row = note_history::at(&app, id, when).await?;
    Ok(App::show(&row, row.metadata.version, position))
}
