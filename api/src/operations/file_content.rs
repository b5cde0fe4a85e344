//! The bytes of files at signed URLs, without a key, so that browsers can send and show them. Daybook streams them to and from its store,
//! and hashes uploads.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use blobs::{BlobError, Blobs, ReceiveError, Received};
use commands::operations::file::{Keeper, StoreError};
use commands::{Loaded, Request};
use domain::operations::file::{File, Upload, Variant};
use futures::TryStreamExt;
use projections::Row;
use projections::operations::file::{FileContent, Files};
use utoipa::IntoResponses;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::file_url::{Claims, Signed};
use super::range::{self, Wanted};
use super::uploads::Uploads;
use crate::App;
use crate::entity_tag::has;
use crate::middleware::Correlation;
use crate::problem::{Problem, ProblemDetails};
use crate::query::{Params, Path};

/// Bytes never change at their URL.
const CACHED: &str = "private, max-age=31536000, immutable";
/// Content security policy of all files: they run no code in this server's origin.
const CONFINED: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(upload, download))
}

/// The refusals of an upload.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only described")]
enum Refused {
    /// The request is malformed or incomplete.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(ProblemDetails),
    /// The URL was altered or has expired.
    #[response(status = 403, content_type = "application/problem+json")]
    Unsigned(ProblemDetails),
    /// The upload stalled or was too slow.
    #[response(status = 408, content_type = "application/problem+json")]
    Stalled(ProblemDetails),
    /// Other bytes are stored already, or an upload is in progress.
    #[response(status = 409, content_type = "application/problem+json")]
    Taken(ProblemDetails),
    /// The media type differs from the requested one.
    #[response(status = 415, content_type = "application/problem+json")]
    Mistyped(ProblemDetails),
    /// The size or digest differs from the requested one.
    #[response(status = 422, content_type = "application/problem+json")]
    Different(ProblemDetails),
    /// The store does not answer; retry at the same URL.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDetails),
    /// The store is full; retry at the same URL.
    #[response(status = 507, content_type = "application/problem+json")]
    Full(ProblemDetails),
}

/// The refusals of a download.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "only described")]
enum Unread {
    /// The request is malformed.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(ProblemDetails),
    /// The URL was altered or has expired.
    #[response(status = 403, content_type = "application/problem+json")]
    Unsigned(ProblemDetails),
    /// The file has no bytes in the requested `Range`.
    #[response(status = 416, content_type = "application/problem+json")]
    Beyond(ProblemDetails),
    /// The store does not answer.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDetails),
}

/// Uploads the bytes of a file to the URL from the file's request.
#[utoipa::path(put, path = "/files/{id}", tag = "files", params(("id" = Uuid, Path), Signed),
    request_body(content = String, content_type = "application/octet-stream", description = "The bytes, with the file's own media type."),
    responses((status = 200, body = Row<FileContent>), Refused))]
async fn upload(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Params(signed): Params<Signed>,
    http: HttpRequest,
) -> Result<Response, Problem> {
    signed.require_time()?;
    let loaded = app.executor.repository().latest::<File>(id).await?;
    let claims = loaded.state.upload();
    let claims = claims.map(|upload| Claims::upload_said(upload, &signed));
    signed.verify(&app.secrets, id, claims.as_ref())?;
    let (Some(upload), Some(product_id)) = (loaded.state.upload(), loaded.product_id) else {
        return Err(Problem::not_found("file"));
    };
    let correlation_id = http.extensions().get::<Correlation>().map(|known| known.0);
    check_headers(http.headers(), upload)?;
    let _underway = Uploads::begin(&app.uploads, id)?;
    let received = receive(&app, &loaded, upload, http.into_body()).await?;
    let request = Request::signed(
        upload.owner,
        product_id,
        correlation_id.unwrap_or_else(Uuid::now_v7),
        loaded.last_event(),
    );
    let keeper = Keeper {
        executor: &app.executor,
        blobs: &app.files.blobs,
        request: &request,
    };
    let stored = match check_bytes(upload, &received) {
        Ok(()) => keeper
            .store(id, upload, &received)
            .await
            .map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    app.files.blobs.forget(&received).await;
    app.answer::<Files, _>(stored?, StatusCode::OK, |file| file)
        .await
}

/// Downloads a file or a part of it from a signed URL.
#[utoipa::path(get, path = "/files/{id}", tag = "files", params(("id" = Uuid, Path), Signed),
    responses((status = 200, body = String, content_type = "application/octet-stream", description = "The bytes, with the file's own media type."),
        (status = 206, body = String, content_type = "application/octet-stream", description = "The part that `Range` asks for."),
        (status = 304, description = "As `If-None-Match` has it."), Unread))]
async fn download(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Params(signed): Params<Signed>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    signed.require_time()?;
    let loaded = app.executor.repository().latest::<File>(id).await?;
    let stored = loaded.state.stored().zip(loaded.product_id);
    let variant = stored.and_then(|(stored, product_id)| {
        Some((stored, stored.variant(product_id, signed.pixels)?))
    });
    let claims = variant.as_ref();
    let claims = claims.map(|(_, variant)| Claims::download_said(variant, &signed));
    signed.verify(&app.secrets, id, claims.as_ref())?;
    let Some((stored, variant)) = variant else {
        return Err(Problem::not_found("file"));
    };
    let tag = format!("\"{}\"", variant.key.sha256);
    let mut response = match range::wanted(&headers, variant.size, &tag) {
        _ if has(&headers, &tag) => StatusCode::NOT_MODIFIED.into_response(),
        Wanted::Nothing => return Ok(beyond(variant.size)),
        Wanted::Whole => send(&app.files.blobs, &variant, None, &method).await?,
        Wanted::Part(part) => send(&app.files.blobs, &variant, Some(part), &method).await?,
    };
    let name = &stored.upload.name;
    describe(response.headers_mut(), variant.media_type, &tag, name);
    Ok(response)
}

/// Checks the headers before the bytes arrive.
fn check_headers(headers: &HeaderMap, upload: &Upload) -> Result<(), Problem> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let media_type = text(header::CONTENT_TYPE).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    // Clients that know only bytes send them as such; the media type was given when the file was requested.
    let untyped = essence.eq_ignore_ascii_case("application/octet-stream");
    if !untyped && !essence.eq_ignore_ascii_case(&upload.media_type) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "file_media_type_mismatch",
            format!(
                "send it with Content-Type: {}, as it was asked for",
                upload.media_type
            ),
        )
        .and_close());
    }
    match text(header::CONTENT_LENGTH).map(str::parse::<u64>) {
        Some(Ok(size)) if size != upload.size => {
            Err(wrong_size(upload.size, &size.to_string()).and_close())
        }
        Some(_) | None => Ok(()),
    }
}

fn wrong_size(wanted: u64, found: &str) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "file_size_mismatch",
        format!("the file has {found} bytes, not {wanted} as was asked for"),
    )
}

/// Receives the bytes. If the file is stored already, they are only compared with it.
async fn receive(
    app: &App,
    file: &Loaded<File>,
    upload: &Upload,
    body: Body,
) -> Result<Received, Problem> {
    let (limit, idle) = (upload.size, app.limits.timeout);
    let bytes = body.into_data_stream();
    let received = match file.state.stored() {
        Some(_) => Blobs::inspect(bytes, limit, idle).await,
        None => app.files.blobs.receive(bytes, limit, idle).await,
    };
    received.map_err(|error| Problem::from(error).and_close())
}

/// Refuses bytes other than the announced ones, before anything is written.
fn check_bytes(upload: &Upload, received: &Received) -> Result<(), Problem> {
    if received.size != upload.size {
        return Err(wrong_size(upload.size, &received.size.to_string()));
    }
    match &upload.sha256 {
        Some(expected) if *expected != received.sha256 => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "file_digest_mismatch",
            format!(
                "the SHA-256 of the bytes is {}, not {expected} as was asked for",
                received.sha256
            ),
        )),
        Some(_) | None => Ok(()),
    }
}

/// Returns the refusal of a range beyond the end of the file.
fn beyond(size: u64) -> Response {
    let problem = Problem::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "range_not_satisfiable",
        format!("the file has {size} bytes"),
    );
    let headers = [
        (header::CONTENT_RANGE, format!("bytes */{size}")),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ];
    (headers, problem).into_response()
}

/// Sends the bytes, or a part of them.
async fn send(
    blobs: &Blobs,
    variant: &Variant<'_>,
    part: Option<Range<u64>>,
    method: &Method,
) -> Result<Response, Problem> {
    let size = variant.size;
    let length = part.as_ref().map_or(size, |part| part.end - part.start);
    let content_range = part
        .as_ref()
        .map(|part| format!("bytes {}-{}/{size}", part.start, part.end - 1));
    let body = if *method == Method::HEAD || length == 0 {
        Body::empty()
    } else {
        let bytes = blobs.read(&variant.key.to_string(), part).await?;
        let told = |error: &BlobError| tracing::warn!(%error, "a download breaks off");
        Body::from_stream(bytes.inspect_err(told))
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(range) = content_range.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(header::CONTENT_RANGE, range);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// Sets the headers that all answers about a file share.
fn describe(headers: &mut HeaderMap, media_type: &str, tag: &str, name: &str) {
    for (name, text) in [
        (header::ETAG, tag),
        (header::ACCEPT_RANGES, "bytes"),
        (header::CACHE_CONTROL, CACHED),
        (header::CONTENT_SECURITY_POLICY, CONFINED),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_DISPOSITION, &disposition(name)),
        (header::CONTENT_TYPE, media_type),
    ] {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
}

/// Makes browsers save the file under its name (RFC 6266), never show it as a page of this server.
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' | '%' => '_',
            c if c.is_ascii_graphic() || c == ' ' => c,
            _ => '_',
        })
        .collect();
    let encoded: String = name
        .bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Absent(_) => Self::internal(&error),
            BlobError::Full(_) => {
                tracing::error!(%error, "an upload finds no room");
                let detail = "there is no room for it now; try again later at the same address";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "file_store_full", detail)
            }
            BlobError::Unavailable(_) => {
                tracing::warn!(%error, "the store of files");
                let detail = "the store of files is not available; try again at the same address";
                Self::unavailable(detail).coded("file_store_unavailable")
            }
        }
    }
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::TooLong(limit) => wrong_size(limit, &format!("more than {limit}")),
            ReceiveError::Stalled(_) | ReceiveError::Slow(_) => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                "upload_stalled",
                error.to_string(),
            ),
            ReceiveError::Broken(_) => {
                Self::malformed("body_unreadable", "the body did not arrive whole")
            }
            ReceiveError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Blob(error) => error.into(),
            StoreError::Command(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_how_to_save_it_and_nothing_else() {
        assert_eq!(
            disposition("tea.pdf"),
            "attachment; filename=\"tea.pdf\"; filename*=UTF-8''tea.pdf"
        );
        assert_eq!(
            disposition("a\"; filename=\"x.exe"),
            "attachment; filename=\"a_; filename=_x.exe\"; filename*=UTF-8''a%22%3B%20filename%3D%22x.exe"
        );
        let brewed = disposition("Brühe 🍵\r\n.txt");
        assert!(brewed.starts_with("attachment; filename=\"Br_he ___.txt\""));
        assert!(brewed.ends_with("UTF-8''Br%C3%BChe%20%F0%9F%8D%B5%0D%0A.txt"));
        assert!(HeaderValue::from_str(&brewed).is_ok());
    }
}
