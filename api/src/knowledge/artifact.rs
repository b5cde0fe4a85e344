//! Artifacts: files and URLs attached to notes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::knowledge::artifact::{Attach, Change, Draft};
use domain::knowledge::artifact::ArtifactCommand;
use projections::knowledge::artifact::{ArtifactContent, ArtifactStatus, Artifacts};
use projections::knowledge::note::Notes;
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
use crate::filter::Filter;
use crate::filter::columns;
use crate::problem::Problem;
use crate::query::{Page, Params, Path, Read};
use crate::resource::Resource;
use serde::Serialize;

pub fn routes() -> OpenApiRouter<App> {
    Resource::<Artifacts>::at("/artifacts")
        .with(routes!(attach, of_note))
        .list::<ArtifactFilter>(
            "Lists the artifacts of notes in the caller's workspaces, newest first, without those of notes in the trash.",
        )
        .get("Returns one artifact.")
        .patch_with(
            "Renames an artifact; its file keeps its own name.",
            |id, ArtifactRevision { name }| Change {
                id,
                command: ArtifactCommand::Rename { name },
            },
        )
        .with(routes!(detach))
        .action_with("restore", "Attaches a detached artifact again.", |id, _: Nothing| Change {
            id,
            command: ArtifactCommand::Restore,
        })
        .routes()
}

/// An artifact to attach: a file or an external URL.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewArtifact {
    /// Id of an uploaded file; its name, media type, size and digest are known.
    file_id: Option<Uuid>,
    /// External URL; it needs a media type.
    #[schema(max_length = 2000)]
    url: Option<String>,
    /// Name of the artifact; defaults to the file's own name.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// Path within the folder that the artifact is imported from, with `/` between names.
    #[schema(max_length = 1000, example = "Attachments/barrel.png")]
    path: Option<String>,
    /// Media type in lower case, without parameters.
    #[schema(example = "application/pdf")]
    media_type: Option<String>,
    /// Size in bytes.
    size: Option<u64>,
    /// SHA-256 digest in hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sha256: Option<String>,
}

/// A new name for an artifact.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ArtifactRevision {
    #[schema(min_length = 1, max_length = 255)]
    name: String,
}

/// Filters for a list of artifacts.
#[derive(Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ArtifactFilter {
    workspace_id: Option<Uuid>,
    note_id: Option<Uuid>,
    file_id: Option<Uuid>,
    /// Status of the artifacts; attached ones if not given.
    #[param(inline)]
    status: Option<ArtifactStatus>,
}

impl Filter for ArtifactFilter {
    fn conditions(mut self) -> Result<Where, Problem> {
        self.status.get_or_insert(ArtifactStatus::Attached);
        columns(&self)
    }
}

/// Attaches a file or an external URL to a note.
#[utoipa::path(post, path = "/notes/{id}/artifacts", tag = "artifacts", operation_id = "attach",
    params(("id" = Uuid, Path)), request_body = NewArtifact,
    responses((status = 201, body = Row<ArtifactContent>)), security(("api_key" = ["artifacts:write"])))]
async fn attach(
    State(app): State<App>,
    Path(note_id): Path<Uuid>,
    command: Command<NewArtifact>,
) -> Result<Response, Problem> {
    let body = command.body;
    let attach = Attach {
        id: Uuid::now_v7(),
        note_id,
        draft: Draft {
            file_id: body.file_id,
            url: body.url,
            name: body.name,
            path: body.path,
            media_type: body.media_type,
            size: body.size,
            sha256: body.sha256,
        },
    };
    app.run::<Artifacts>(&command.request, &attach, StatusCode::CREATED)
        .await
}

/// Lists the artifacts of a note, newest first.
#[utoipa::path(get, path = "/notes/{id}/artifacts", tag = "artifacts", operation_id = "artifacts",
    params(("id" = Uuid, Path), Page),
    responses((status = 200, body = List<Row<ArtifactContent>>)), security(("api_key" = ["artifacts:read"])))]
async fn of_note(
    State(app): State<App>,
    read: Read,
    Path(note_id): Path<Uuid>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let found = app.artifacts_of(&read, note_id, page).await?;
    if found.0.items.is_empty() {
        // The note has no artifacts or does not exist.
        app.row::<Notes>(&read, note_id).await?;
    }
    Ok(answer::found(found))
}

/// Detaches an artifact from its note; it can be restored for as long as its file exists.
#[utoipa::path(delete, path = "/artifacts/{id}", tag = "artifacts", params(("id" = Uuid, Path)),
    responses((status = 200, body = Row<ArtifactContent>)), security(("api_key" = ["artifacts:write"])))]
async fn detach(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let detach = Change {
        id,
        command: ArtifactCommand::Detach,
    };
    app.run::<Artifacts>(&command.request, &detach, StatusCode::OK)
        .await
}

impl App {
    /// Returns a page of the artifacts of a note.
    pub(crate) async fn artifacts_of(
        &self,
        read: &Read,
        note_id: Uuid,
        page: Page,
    ) -> Result<(List<Row<ArtifactContent>>, Position), Problem> {
        let note_id = Some(note_id);
        let wanted = Where::default()
            .and("t.note_id = ?", note_id)
            .and_only(Some("t.status = 'attached'"));
        self.list::<Artifacts>(read, wanted, page).await
    }
}
