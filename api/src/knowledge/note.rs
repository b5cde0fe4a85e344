//! Notes: as they are, as they were, and how they came to be so.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::{Loaded, On};
use domain::knowledge::note::{Note, NoteCommand};
use projections::knowledge::note::{self, NoteRow, Wanted};
use projections::{Cursor, List};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::note_history::{self, AsOf};
use crate::App;
use crate::answer::{self, Found};
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

/// A note to be written.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewNote {
    workspace_id: Uuid,
    #[schema(max_length = 500)]
    title: String,
    /// Markdown, at most 1 MiB.
    #[serde(default)]
    body: String,
    #[serde(default)]
    #[schema(max_items = 64)]
    tags: BTreeSet<String>,
}

/// What is to change about a note.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Revision {
    #[schema(max_length = 500)]
    title: Option<String>,
    body: Option<String>,
    /// Replaces them all.
    #[schema(max_items = 64)]
    tags: Option<BTreeSet<String>>,
    /// Why; stands in the history.
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// Which notes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    workspace_id: Option<Uuid>,
    tag: Option<String>,
    /// `active`, `archived` or `trashed`.
    status: Option<String>,
}

pub(super) fn resource(note: &Loaded<Note>) -> Option<NoteRow> {
    let facts = note.facts.as_ref()?;
    let content = note.state.content()?;
    Some(NoteRow {
        id: note.id,
        product_id: facts.product_id,
        workspace_id: content.workspace_id,
        title: content.title.clone(),
        body: content.body.clone(),
        tags: content.tags.clone(),
        status: note.state.status()?.into(),
        version: note.version,
        created_at: facts.created_at,
        updated_at: facts.updated_at,
        created_by: facts.created_by.id,
        position: facts.position,
    })
}

const fn on(id: Uuid, command: NoteCommand) -> On<Note> {
    On { id, command }
}

/// Writes a note.
#[utoipa::path(post, path = "/notes", tag = "notes", request_body = NewNote,
    responses((status = 201, body = NoteRow)), security(("api_key" = ["notes:write"])))]
async fn create(State(app): State<App>, command: Command<NewNote>) -> Result<Response, Problem> {
    let new = command.body;
    let create = NoteCommand::Create {
        workspace_id: new.workspace_id,
        title: new.title,
        body: new.body,
        tags: new.tags,
    };
    let create = on(Uuid::now_v7(), create);
    app.run(&command.request, &create, StatusCode::CREATED, resource)
        .await
}

/// Changes a note. With `If-Match`, only if it is still at that version.
#[utoipa::path(patch, path = "/notes/{id}", tag = "notes", params(("id" = Uuid, Path)), request_body = Revision,
    responses((status = 200, body = NoteRow)), security(("api_key" = ["notes:write"])))]
async fn revise(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Revision>,
) -> Result<Response, Problem> {
    let Revision {
        title,
        body,
        tags,
        reason,
    } = command.body;
    let mut request = command.request;
    request.reason = reason;
    let revise = on(id, NoteCommand::Revise { title, body, tags });
    app.run(&request, &revise, StatusCode::OK, resource).await
}

/// Puts a note aside.
#[utoipa::path(post, path = "/notes/{id}/archive", tag = "notes", params(("id" = Uuid, Path)),
    responses((status = 200, body = NoteRow)), security(("api_key" = ["notes:write"])))]
async fn archive(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let archive = on(id, NoteCommand::Archive);
    app.run(&command.request, &archive, StatusCode::OK, resource)
        .await
}

/// Moves a note to the trash.
#[utoipa::path(post, path = "/notes/{id}/trash", tag = "notes", params(("id" = Uuid, Path)),
    responses((status = 200, body = NoteRow)), security(("api_key" = ["notes:write"])))]
async fn trash(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let trash = on(id, NoteCommand::Trash);
    app.run(&command.request, &trash, StatusCode::OK, resource)
        .await
}

/// Takes a note back from the archive or the trash.
#[utoipa::path(post, path = "/notes/{id}/restore", tag = "notes", params(("id" = Uuid, Path)),
    responses((status = 200, body = NoteRow)), security(("api_key" = ["notes:write"])))]
async fn restore(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let restore = on(id, NoteCommand::Restore);
    app.run(&command.request, &restore, StatusCode::OK, resource)
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
    app.run(&command.request, &purge, StatusCode::OK, resource)
        .await
}

/// One note, as it is or as it was.
#[utoipa::path(get, path = "/notes/{id}", tag = "notes", params(("id" = Uuid, Path), AsOf),
    responses((status = 200, body = NoteRow)), security(("api_key" = ["notes:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
    Params(as_of): Params<AsOf>,
) -> Result<Found<NoteRow>, Problem> {
    let (row, position) = visible(&app, &read, id).await?;
    let resource = match as_of.moment()? {
        None => row,
        Some(moment) => note_history::at(&app, id, moment).await?,
    };
    Ok(Found {
        version: resource.version,
        resource,
        position,
    })
}

/// A note that the caller may read, and how far the read models are.
pub(super) async fn visible(app: &App, read: &Read, id: Uuid) -> Result<(NoteRow, i64), Problem> {
    let position = app
        .ready(read, "notes:read", &["note", "workspace"])
        .await?;
    note::get(&app.database, read.caller.viewer(), id)
        .await?
        .map(|row| (row, position))
        .ok_or_else(|| Problem::not_found("note"))
}

/// Notes in the caller's workspaces, newest first.
#[utoipa::path(get, path = "/notes", tag = "notes", params(Which, Page),
    responses((status = 200, body = List<NoteRow>)), security(("api_key" = ["notes:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    Params(which): Params<Which>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let position = app
        .ready(&read, "notes:read", &["note", "workspace"])
        .await?;
    one_of(
        "status",
        which.status.as_deref(),
        &["active", "archived", "trashed"],
    )?;
    let wanted = Wanted {
        workspace_id: which.workspace_id,
        tag: which.tag.map(|tag| tag.trim().to_lowercase()),
        status: which.status,
    };
    let cursor = Cursor::try_from(page)?;
    let found = note::list(&app.database, read.caller.viewer(), &wanted, cursor).await?;
    Ok(answer::list(found, position))
}
