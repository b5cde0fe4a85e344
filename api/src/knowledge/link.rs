//! Links between notes, and their graph.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::On;
use commands::knowledge::note::Link as MakeLink;
use domain::Aggregate;
use domain::knowledge::note::{Note, NoteCommand, TypedLink};
use projections::knowledge::link::{self, Graph, Link, Links};
use projections::knowledge::note::{NoteContent, Notes};
use projections::{List, Row, Where};
use serde::Deserialize;
use store::Position;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::answer;
use crate::command::{Command, Nothing};
use crate::problem::Problem;
use crate::query::{Page, Params, Path, Read};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(link, outgoing))
        .routes(routes!(unlink))
        .routes(routes!(backlinks))
        .routes(routes!(graph))
        .routes(routes!(list))
}

/// A link to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewLink {
    /// Id of another note of the same workspace.
    target_id: Uuid,
    /// Relation of the note to the target: `relates_to`, `blocks`, `duplicates`, `cites`, or any other word in snake case.
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z][a-z0-9_]*$")]
    relation: String,
}

/// Filters for the links to one target.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Between {
    /// Relation of the link; all links if not given.
    relation: Option<String>,
}

/// Options for a graph.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Around {
    /// Maximum number of links from the note to any other: 1 to 5; 1 if not given.
    #[param(minimum = 1, maximum = 5)]
    depth: Option<i32>,
}

/// Filters for a list of links.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LinkFilter {
    workspace_id: Option<Uuid>,
    /// True for links without a target, false for links with one.
    dangling: Option<bool>,
    /// Relation of typed links.
    relation: Option<String>,
}

/// Links a note to another note of its workspace; returns the note.
#[utoipa::path(post, path = "/notes/{id}/links", tag = "links", params(("id" = Uuid, Path)), request_body = NewLink,
    responses((status = 200, body = Row<NoteContent>)), security(("api_key" = ["notes:write"])))]
async fn link(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<NewLink>,
) -> Result<Response, Problem> {
    let NewLink {
        target_id,
        relation,
    } = command.body;
    let link = TypedLink {
        target_id,
        relation,
    };
    app.run::<Notes>(&command.request, &MakeLink { id, link }, StatusCode::OK)
        .await
}

/// Removes typed links from a note to another; returns the note.
#[utoipa::path(delete, path = "/notes/{id}/links/{target_id}", tag = "links",
    params(("id" = Uuid, Path), ("target_id" = Uuid, Path), Between),
    responses((status = 200, body = Row<NoteContent>)), security(("api_key" = ["notes:write"])))]
async fn unlink(
    State(app): State<App>,
    Path((id, target_id)): Path<(Uuid, Uuid)>,
    Params(Between { relation }): Params<Between>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let unlink = On::<Note> {
        id,
        command: NoteCommand::Unlink {
            target_id,
            relation,
        },
    };
    app.run::<Notes>(&command.request, &unlink, StatusCode::OK)
        .await
}

/// Lists the links from a note, both typed and in its body, newest first.
#[utoipa::path(get, path = "/notes/{id}/links", tag = "links", params(("id" = Uuid, Path), Page),
    responses((status = 200, body = List<Link>)), security(("api_key" = ["notes:read"])))]
async fn outgoing(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let found = app.links_of(&read, id, End::Source, page).await?;
    Ok(answer::found(found))
}

/// Lists the links from other notes to a note, newest first.
#[utoipa::path(get, path = "/notes/{id}/backlinks", tag = "links", params(("id" = Uuid, Path), Page),
    responses((status = 200, body = List<Link>)), security(("api_key" = ["notes:read"])))]
async fn backlinks(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let found = app.links_of(&read, id, End::Target, page).await?;
    Ok(answer::found(found))
}

/// Returns the notes around a note and the links between them. Links are followed in both directions; at most 200 notes are returned.
#[utoipa::path(get, path = "/notes/{id}/graph", tag = "links", params(("id" = Uuid, Path), Around),
    responses((status = 200, body = Graph)), security(("api_key" = ["notes:read"])))]
async fn graph(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
    Params(Around { depth }): Params<Around>,
) -> Result<Response, Problem> {
    let position = app.ready_for_links(&read).await?;
    let viewer = read.caller.viewer();
    let graph = link::graph(&app.database, viewer, id, depth.unwrap_or(1)).await?;
    let graph = graph.ok_or_else(|| Problem::not_found(Note::CATEGORY))?;
    Ok(answer::found((graph, position)))
}

/// Lists the links in the caller's workspaces, newest first.
#[utoipa::path(get, path = "/links", tag = "links", params(LinkFilter, Page),
    responses((status = 200, body = List<Link>)), security(("api_key" = ["notes:read"])))]
async fn list(
    State(app): State<App>,
    read: Read,
    Params(filter): Params<LinkFilter>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let position = app.ready_for_links(&read).await?;
    let dangling = match filter.dangling {
        Some(true) => Some("t.dangling"),
        Some(false) => Some("not t.dangling"),
        None => None,
    };
    let wanted = Where::default()
        .and("t.workspace_id = ?", filter.workspace_id)
        .and_only(dangling)
        .and("t.relation = ?", filter.relation);
    let found = app.links(&read, wanted, page).await?;
    Ok(answer::found((found, position)))
}

/// The end of a link that a note is at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Source,
    Target,
}

impl App {
    async fn ready_for_links(&self, read: &Read) -> Result<Position, Problem> {
        self.ready_for(read, Note::SCOPE, Links::NAME).await
    }

    /// Returns the links at one end of a note that the caller may see.
    pub(crate) async fn links_of(
        &self,
        read: &Read,
        note_id: Uuid,
        end: End,
        page: Page,
    ) -> Result<(List<Link>, Position), Problem> {
        let position = self.ready_for_links(read).await?;
        if !link::exists(&self.database, read.caller.viewer(), note_id).await? {
            return Err(Problem::not_found(Note::CATEGORY));
        }
        let note_id = Some(note_id);
        let wanted = match end {
            End::Source => Where::default().and("t.source_id = ?", note_id),
            End::Target => Where::default().and("t.target_id = ?", note_id),
        };
        Ok((self.links(read, wanted, page).await?, position))
    }

    async fn links(&self, read: &Read, wanted: Where, page: Page) -> Result<List<Link>, Problem> {
        let (viewer, cursor) = (read.caller.viewer(), page.of(read.list)?);
        let found = link::list(&self.database, viewer, wanted, cursor).await?;
        Ok(found.sealed(|place| read.list.cursor(place)))
    }
}
