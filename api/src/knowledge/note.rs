//! Notes: their current state, past versions and history.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::On;
use domain::knowledge::note::{Changes, Note, NoteCommand, SourceFile};
use domain::knowledge::tag::spellings;
use projections::knowledge::note::{NoteContent, Notes};
use projections::{List, Row, Where};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::note_history::{self, AsOf};
use crate::App;
use crate::answer;
use crate::command::{Command, Nothing};
use crate::problem::Problem;
use crate::query::{Page, Params, Path, Read, one_of};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, revise, purge))
        .routes(routes!(archive))
        .routes(routes!(trash))
        .routes(routes!(restore))
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
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    workspace_id: Option<Uuid>,
    tag: Option<String>,
    /// Status: `active`, `archived` or `trashed`.
    status: Option<String>,
}

const fn on(id: Uuid, command: NoteCommand) -> On<Note> {
    On { id, command }
}

/// Creates a note.
#[utoipa::path(post, path = "/notes", tag = "notes", request_body = NewNote,
    responses((status = 201, body = Row<NoteContent>)), security(("api_key" = ["notes:write"])))]
async fn create(State(app): State<App>, command: Command<NewNote>) -> Result<Response, Problem> {
    let new = command.body;
    let create = NoteCommand::Create {
        workspace_id: new.workspace_id,
        title: new.title,
        body: new.body,
        tags: new.tags,
        aliases: new.aliases,
        file: new.file,
    };
    let create = on(Uuid::now_v7(), create);
    app.run::<Notes>(&command.request, &create, StatusCode::CREATED)
        .await
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
    let revise = on(id, NoteCommand::Revise(changes));
    app.run::<Notes>(&request, &revise, StatusCode::OK).await
}

/// Archives a note.
#[utoipa::path(post, path = "/notes/{id}/archive", tag = "notes", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<NoteContent>)), security(("api_key" = ["notes:write"])))]
async fn archive(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let archive = on(id, NoteCommand::Archive);
    app.run::<Notes>(&command.request, &archive, StatusCode::OK)
        .await
}

/// Moves a note to the trash.
#[utoipa::path(post, path = "/notes/{id}/trash", tag = "notes", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<NoteContent>)), security(("api_key" = ["notes:write"])))]
async fn trash(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let trash = on(id, NoteCommand::Trash);
    app.run::<Notes>(&command.request, &trash, StatusCode::OK)
        .await
}

/// Restores a note from the archive or the trash.
#[utoipa::path(post, path = "/notes/{id}/restore", tag = "notes", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<NoteContent>)), security(("api_key" = ["notes:write"])))]
async fn restore(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let restore = on(id, NoteCommand::Restore);
    app.run::<Notes>(&command.request, &restore, StatusCode::OK)
        .await
}

/// Purges a note from the trash.
#[utoipa::path(delete, path = "/notes/{id}", tag = "notes", params(("id" = Uuid, Path)),
    responses((status = 204)), security(("api_key" = ["notes:write"])))]
async fn purge(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let purge = on(id, NoteCommand::Purge);
    app.run::<Notes>(&command.request, &purge, StatusCode::OK)
        .await
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

/// Lists the notes in the caller's workspaces, newest first.
#[utoipa::path(get, path = "/notes", tag = "notes", params(Which, Page),
    responses((status = 200, body = List<Row<NoteContent>>)), security(("api_key" = ["notes:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    Params(which): Params<Which>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    one_of(
        "status",
        which.status.as_deref(),
        &["active", "archived", "trashed"],
    )?;
    let tag = which.tag.map(|tag| spellings(&tag));
    let wanted = Where::default()
        .and("t.workspace_id = ?", &which.workspace_id)
        .and("t.tags && ?::text[]", &tag)
        .and("t.status = ?", &which.status);
    Ok(answer::found(app.list::<Notes>(&read, wanted, page).await?))
}
