//! Uploads a file and attaches it to a note in one request: a multipart form (RFC 7578).

use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use blobs::{ReceiveError, Received};
use chrono::Utc;
use commands::knowledge::attachment::Attachment;
use commands::operations::file::{Ask, Keeper};
use commands::{Done, Request};
use domain::operations::container::Container;
use domain::operations::file::Upload;
use projections::Row;
use projections::knowledge::artifact::{ArtifactContent, Artifacts};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::caller::Caller;
use crate::command;
use crate::operations::file_url::upload_until;
use crate::problem::{FieldError, Problem};
use crate::query::Path;

/// Maximum length of a form's text field, in bytes.
const MAX_TEXT: usize = 4 << 10;
/// Maximum number of fields in a form.
const MAX_FIELDS: usize = 8;
/// Media type of a file if the form does not name one.
const UNKNOWN: &str = "application/octet-stream";
const CONTAINER: Container = Container::Attachments;

pub fn routes() -> OpenApiRouter<App> {
    // The container's own limit applies, and is checked while the bytes arrive.
    OpenApiRouter::new()
        .routes(routes!(upload))
        .layer(DefaultBodyLimit::disable())
}

/// A file to upload and attach.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only described")]
struct NewAttachment {
    /// The bytes, with a file name and a media type.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Name of the artifact; defaults to the file's own name.
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
}

/// Uploads a file and attaches it to a note in one append, so that both happen or neither.
#[utoipa::path(post, path = "/notes/{id}/attachments", tag = "artifacts", operation_id = "upload",
    params(("id" = Uuid, Path)), request_body(content = NewAttachment, content_type = "multipart/form-data"),
    responses((status = 201, body = Row<ArtifactContent>)), security(("api_key" = ["artifacts:write"])))]
async fn upload(
    State(app): State<App>,
    Path(note_id): Path<Uuid>,
    caller: Caller,
    http: HttpRequest,
) -> Result<Response, Problem> {
    let (parts, body) = http.into_parts();
    crate::parameters::check(&parts)?;
    let request = command::request(&parts, &caller, &app, b"").await?;
    let http = HttpRequest::from_parts(parts.clone(), body);
    let form = Multipart::from_request(http, &app)
        .await
        .map_err(|_| not_a_form())?;
    let mut attachment = expected(&app, &caller, note_id);
    let early = keeper(&app, &request).check(&attachment).await;
    early.map_err(|error| Problem::from(error).and_close())?;
    let received = receive(&app, form, &mut attachment).await?;
    let stored = keep(&app, &parts, &caller, &attachment, &received).await;
    app.files.blobs.forget(&received).await;
    app.answer::<Artifacts, _>(stored?, StatusCode::CREATED, |artifact| artifact)
        .await
}

/// Returns an attachment of which only the note is known yet.
fn expected(app: &App, caller: &Caller, note_id: Uuid) -> Attachment {
    let upload = Upload {
        container: CONTAINER,
        name: "file".into(),
        media_type: UNKNOWN.into(),
        size: 0,
        sha256: None,
        workspace_id: None,
        owner: caller.actor,
        expires_at: upload_until(Utc::now(), app.files.url_ttl, 0),
    };
    Attachment {
        id: Uuid::now_v7(),
        note_id,
        name: None,
        file: Ask {
            id: Uuid::now_v7(),
            upload,
            max_size: app.files.max_sizes.of(CONTAINER),
            quota: app.files.quota,
        },
    }
}

fn keeper<'a>(app: &'a App, request: &'a Request) -> Keeper<'a> {
    Keeper {
        executor: &app.executor,
        blobs: &app.files.blobs,
        request,
    }
}

/// Reads the form: exactly one file, and text fields before or after it.
async fn receive(
    app: &App,
    mut form: Multipart,
    attachment: &mut Attachment,
) -> Result<Received, Problem> {
    let mut received = None;
    for _ in 0..MAX_FIELDS {
        let field = match next(app, &mut form).await {
            Ok(Some(field)) => field,
            Ok(None) => return received.ok_or_else(|| invalid("file", "is required")),
            Err(problem) => return forget(app, received, problem).await,
        };
        let name = field.name().unwrap_or_default().to_owned();
        let read = match (name.as_str(), &received) {
            ("file", None) => {
                describe(&field, &mut attachment.file.upload);
                file(app, field, attachment.file.max_size)
                    .await
                    .map(|file| received = Some(file))
            }
            ("file", Some(_)) => Err(invalid("file", "is given more than once")),
            ("name", _) => text(field).await.map(|name| attachment.name = Some(name)),
            (other, _) => Err(invalid(other, "is not a field that there is")),
        };
        if let Err(problem) = read {
            return forget(app, received, problem).await;
        }
    }
    let problem = invalid("", "has too many fields; send `file` and `name`");
    forget(app, received, problem).await
}

async fn next<'a>(app: &App, form: &'a mut Multipart) -> Result<Option<Field<'a>>, Problem> {
    let idle = app.limits.timeout;
    let field = tokio::time::timeout(idle, form.next_field()).await;
    field
        .map_err(|_| ReceiveError::Stalled(idle).into())
        .and_then(|field| field.map_err(|error| broken(&error)))
}

/// Deletes the bytes received from a refused form.
async fn forget(
    app: &App,
    received: Option<Received>,
    problem: Problem,
) -> Result<Received, Problem> {
    if let Some(received) = received {
        app.files.blobs.forget(&received).await;
    }
    Err(problem.and_close())
}

/// Takes the file's name and media type from its part's headers.
fn describe(field: &Field<'_>, upload: &mut Upload) {
    if let Some(name) = field.file_name().filter(|name| !name.is_empty()) {
        name.clone_into(&mut upload.name);
    }
    let media_type = field.content_type().unwrap_or(UNKNOWN);
    let essence = media_type.split(';').next().unwrap_or(UNKNOWN);
    upload.media_type = essence.trim().to_ascii_lowercase();
}

async fn file(app: &App, field: Field<'_>, limit: u64) -> Result<Received, Problem> {
    let received = app.files.blobs.receive(field, limit, app.limits.timeout);
    received.await.map_err(|error| match error {
        ReceiveError::TooLong(limit) => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "file_too_large",
            format!("the file must be at most {limit} bytes"),
        ),
        ReceiveError::Stalled(_)
        | ReceiveError::Slow(_)
        | ReceiveError::Broken(_)
        | ReceiveError::Store(_) => error.into(),
    })
}

async fn text(mut field: Field<'_>) -> Result<String, Problem> {
    let name = field.name().unwrap_or_default().to_owned();
    let mut bytes = vec![];
    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error))? {
        if bytes.len() + chunk.len() > MAX_TEXT {
            return Err(invalid(&name, format!("must be at most {MAX_TEXT} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| invalid(&name, "must be UTF-8"))
}

/// Runs the command. Its fingerprint covers the form's content, because the boundary differs with each request.
async fn keep(
    app: &App,
    parts: &Parts,
    caller: &Caller,
    expected: &Attachment,
    received: &Received,
) -> Result<Done, Problem> {
    let mut attachment = expected.clone();
    attachment.file.upload.size = received.size;
    let upload = &attachment.file.upload;
    let said = serde_json::to_vec(&(
        &upload.name,
        &upload.media_type,
        &attachment.name,
        &received.sha256,
    ))
    .map_err(|error| Problem::internal(&error))?;
    let request = command::request(parts, caller, app, &said).await?;
    let keeper = keeper(app, &request);
    Ok(keeper.attach(&attachment, received).await?)
}

fn invalid(field: &str, detail: impl Into<String>) -> Problem {
    Problem::invalid(vec![FieldError {
        pointer: format!("/{field}"),
        detail: detail.into(),
    }])
}

fn broken(error: &MultipartError) -> Problem {
    Problem::malformed(
        "malformed_form",
        format!("the body is not a multipart form: {}", error.body_text()),
    )
}

fn not_a_form() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not_a_form",
        "send the body with Content-Type: multipart/form-data; boundary=…",
    )
    .and_close()
}
