//! Files: requested, listed, deleted. Their bytes are transferred through [signed addresses](super::file_content).

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{TimeDelta, Utc};
use commands::operations::file::{Ask, End};
use domain::operations::container::Container;
use domain::operations::file::Upload;
use projections::Row;
use projections::operations::file::{FileContent, FileStatus, Files};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::file_url::{Claims, SignedUrl, download_until, upload_until};
use crate::App;
use crate::answer;
use crate::command::Command;
use crate::filter::Filter;
use crate::problem::Problem;
use crate::query::{Params, Path, Read};
use crate::resource::Resource;

/// Minimum lifetime of a small picture's URL. The URL stays the same during that time, because pages show it repeatedly.
const SMALL_PICTURES: TimeDelta = TimeDelta::days(1);

pub fn routes() -> OpenApiRouter<App> {
    Resource::<Files>::at("/files")
        .with(routes!(request))
        .list::<FileFilter>(
            "Lists the files of the caller's workspaces and of the whole product, newest first.",
        )
        .get("Returns one file.")
        .delete_with(
            "Deletes a file, or cancels its request. Its bytes are deleted once no other file shares them.",
            End::delete,
        )
        .with(routes!(address))
        .routes()
}

/// A file to upload.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFile {
    /// Purpose of the file, which decides its maximum size and allowed media types.
    container: Container,
    /// Display name of the file.
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    /// Media type in lower case, without parameters.
    #[schema(example = "text/plain", max_length = 255)]
    media_type: String,
    /// Exact size in bytes.
    size: u64,
    /// SHA-256 of the bytes in hex; other bytes are refused.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sha256: Option<String>,
    /// Id of the workspace whose members alone may see the file; if absent, the whole product may.
    workspace_id: Option<Uuid>,
}

/// A file, and instructions for its upload.
#[derive(Serialize, ToSchema)]
#[schema(as = RequestedFile)]
struct RequestedFile {
    #[serde(flatten)]
    file: Row<FileContent>,
    upload: SignedUrl,
}

/// Filters for a list of files.
#[derive(Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct FileFilter {
    #[param(inline)]
    container: Option<Container>,
    workspace_id: Option<Uuid>,
    #[param(inline)]
    status: Option<FileStatus>,
}

impl Filter for FileFilter {}

/// The size of a picture.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Size {
    /// Width and height in pixels, as in `renditions`; the file itself if not given.
    #[param(minimum = 1)]
    pixels: Option<u32>,
}

/// Requests a file: reserves space for it, and returns the URL for its upload.
#[utoipa::path(post, path = "/files", tag = "files", request_body = NewFile,
    responses((status = 201, body = RequestedFile)), security(("api_key" = ["files:write"])))]
async fn request(State(app): State<App>, command: Command<NewFile>) -> Result<Response, Problem> {
    let NewFile {
        container,
        name,
        media_type,
        size,
        sha256,
        workspace_id,
    } = command.body;
    let ask = Ask {
        id: Uuid::now_v7(),
        upload: Upload {
            container,
            name,
            media_type,
            size,
            sha256,
            workspace_id,
            owner: command.request.actor,
            expires_at: upload_until(Utc::now(), app.files.url_ttl, size),
        },
        max_size: app.files.max_sizes.of(container),
        quota: app.files.quota,
    };
    app.run_as::<Files, _>(&command.request, &ask, StatusCode::CREATED, |file| {
        let upload = upload_url(&app, &file);
        RequestedFile { file, upload }
    })
    .await
    .map(answer::secret)
}

/// Returns the upload's URL, which is the same for every repetition of the request.
fn upload_url(app: &App, file: &Row<FileContent>) -> SignedUrl {
    let content = &file.content;
    let (media_type, expires_at) = (&content.media_type, content.expires_at);
    let sha256 = content.sha256.as_deref();
    let claims = Claims::upload(content.size, media_type, sha256, expires_at);
    SignedUrl {
        method: "PUT",
        url: claims.url(&app.secrets, file.metadata.id),
        headers: BTreeMap::from([
            ("Content-Type", media_type.clone()),
            ("Content-Length", content.size.to_string()),
        ]),
        expires_at,
    }
}

/// Returns a temporary URL for a file's bytes that needs no key.
#[utoipa::path(get, path = "/files/{id}/download", tag = "files",
    params(("id" = Uuid, Path), Size),
    responses((status = 200, body = SignedUrl)), security(("api_key" = ["files:read"])))]
async fn address(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
    Params(Size { pixels }): Params<Size>,
) -> Result<Response, Problem> {
    let (file, position) = app.find::<Files>(&read, id).await?;
    let url = download_url(&app, &file, pixels)?;
    Ok(answer::secret(answer::found((url, position))))
}

/// Returns a temporary URL for downloading a file.
pub fn download_url(
    app: &App,
    file: &Row<FileContent>,
    pixels: Option<u32>,
) -> Result<SignedUrl, Problem> {
    let content = &file.content;
    let (FileStatus::Stored, Some(sha256)) = (content.status, &content.sha256) else {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "file_not_stored",
            "the file has not been uploaded yet",
        ));
    };
    let ttl = app.files.url_ttl;
    let ttl = pixels.map_or(ttl, |_| ttl.max(SMALL_PICTURES));
    let until = download_until(Utc::now(), ttl);
    let claims = match pixels {
        None => Claims::download(content.size, &content.media_type, sha256, None, until),
        Some(pixels) => {
            let found = content.renditions.iter().find(|r| r.pixels == pixels);
            let rendition = found.ok_or_else(|| Problem::not_found("size of this file"))?;
            let (size, media_type) = (rendition.size, &rendition.media_type);
            Claims::download(size, media_type, &rendition.sha256, Some(pixels), until)
        }
    };
    Ok(SignedUrl {
        method: "GET",
        url: claims.url(&app.secrets, file.metadata.id),
        headers: BTreeMap::new(),
        expires_at: until,
    })
}
