//! Error responses: problem details (RFC 9457) with a stable code.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use commands::CommandError;
use domain::agents::proposal::Conflict;
use domain::{Class, PayloadError, Refusal, Violation};
use projections::{QueryError, ViewError, WaitError};
use serde::Serialize;
use serde_json::Value;
use store::{Busy, Position, ReadError};
use utoipa::ToSchema;
use uuid::Uuid;
use workers::JobError;

/// Maximum number of faults in one answer.
pub const MOST_ERRORS: usize = 100;
/// Code of the only problem with a registered type (RFC 9457, section 4.2).
const QUOTA_EXCEEDED: &str = "quota_exceeded";
const QUOTA_EXCEEDED_TYPE: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
/// Maximum number of characters of a name that are repeated.
const LONGEST_NAME: usize = 60;

/// An error to be sent to the client.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: String,
    detail: String,
    errors: Vec<FieldError>,
    extension: Option<Box<(&'static str, Value)>>,
    retry_after_seconds: Option<u32>,
    closes: bool,
}

/// An error response of any operation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProblemDetails {
    /// URI of the problem type: `urn:daybook:problem:` and the code.
    r#type: String,
    title: &'static str,
    status: u16,
    /// Stable code; match on this.
    code: String,
    /// Description of the problem and how to solve it.
    pub detail: String,
    /// Id of the request in the server's log; also in the header `Daybook-Correlation-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Uuid>,
    /// Faulty fields, if the request is malformed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(flatten)]
    #[schema(value_type = ProblemExtensions)]
    extensions: BTreeMap<&'static str, Value>,
}

/// Members that only some problems have (RFC 9457, section 3.2).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what refusals return")]
struct ProblemExtensions {
    /// Conflicts, if the actions of a proposal cannot be carried over.
    conflicts: Option<Vec<Conflict>>,
}

/// A faulty field.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the body (RFC 6901), or the name of a parameter.
    pub pointer: String,
    pub detail: String,
}

impl Problem {
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            detail: detail.into(),
            errors: vec![],
            extension: None,
            retry_after_seconds: None,
            closes: false,
        }
    }

    pub fn malformed(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// Returns a problem with each rule that the body breaks, independently of any state.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self::faulty("validation_failed", errors)
    }

    /// Returns a problem with faulty fields or parameters. Client input appears only in names, and is shortened there, to keep answers
    /// small.
    pub fn faulty(code: &str, mut errors: Vec<FieldError>) -> Self {
        errors.truncate(MOST_ERRORS);
        for error in &mut errors {
            error.pointer = shorten(&error.pointer);
        }
        let told: Vec<String> = errors.iter().map(FieldError::to_string).collect();
        Self {
            errors,
            ..Self::malformed(code, told.join("; "))
        }
    }

    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    pub fn scope_missing(scope: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "scope_missing",
            format!("this needs the scope {scope}; use a key that has it"),
        )
    }

    /// Returns the same problem for an absent resource and for another tenant's.
    pub fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("there is no such {what}"),
        )
    }

    /// Returns the problem for a resource whose first event could not be applied.
    pub fn quarantined(what: &str, at: Position) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "quarantined",
            format!(
                "the {what} cannot be shown, because its event at position {at} could not be applied; the operator can have it \
                 applied again"
            ),
        )
    }

    /// Returns the problem for an answer that took too long. The command may still take effect.
    pub fn timed_out(after: Duration) -> Self {
        let detail = format!(
            "no answer within {} s; repeat a command with the same Idempotency-Key: it takes effect once",
            after.as_secs()
        );
        Self {
            code: "timed_out".into(),
            ..Self::unavailable(detail)
        }
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self {
            retry_after_seconds: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
        }
    }

    /// Returns the problem for a caller who sends too many requests.
    pub fn quota_exceeded(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, QUOTA_EXCEEDED, detail)
        }
    }

    /// Sets the time after which to retry.
    pub fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after_seconds: Some(seconds),
            ..self
        }
    }

    pub const fn status(&self) -> StatusCode {
        self.status
    }

    pub fn code(&self) -> &str {
        &self.code
    }

    /// Replaces the code.
    pub fn coded(self, code: &str) -> Self {
        Self {
            code: code.to_owned(),
            ..self
        }
    }

    /// Closes the connection, because the rest of the body is not read.
    pub fn and_close(self) -> Self {
        Self {
            closes: true,
            ..self
        }
    }

    /// Returns the problem for an internal error. Details go to the log, not to the client.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "internal error");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong; the server's log says what",
        )
    }

    fn refused(refusal: &dyn Refusal) -> Self {
        let status = match refusal.class() {
            Class::Absent => StatusCode::NOT_FOUND,
            Class::Forbidden => StatusCode::FORBIDDEN,
            Class::Conflict => StatusCode::CONFLICT,
            Class::Rule => StatusCode::UNPROCESSABLE_ENTITY,
            Class::Invalid(violations) => {
                return Self::invalid(violations.0.iter().cloned().map(FieldError::from).collect());
            }
        };
        Self {
            extension: refusal.extension().map(Box::new),
            ..Self::new(status, &refusal.code(), refusal.to_string())
        }
    }
}

/// Shortens each name in a pointer.
fn shorten(pointer: &str) -> String {
    let name = |name: &str| match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    };
    let names: Vec<String> = pointer.split('/').map(name).collect();
    names.join("/")
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "the body"
        } else {
            &self.pointer
        };
        write!(f, "{place}: {}", self.detail)
    }
}

impl From<Violation> for FieldError {
    fn from(violation: Violation) -> Self {
        Self {
            pointer: violation.pointer,
            detail: violation.detail,
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let detail = error.to_string();
        match error {
            CommandError::ScopeMissing(scope) => Self::scope_missing(&scope),
            CommandError::AgentNotAllowed => {
                Self::new(StatusCode::FORBIDDEN, "agent_not_allowed", detail)
            }
            CommandError::OperatorOnly => Self::new(StatusCode::FORBIDDEN, "operator_only", detail),
            CommandError::Refused(refusal) => Self::refused(refusal.as_ref()),
            CommandError::PreconditionFailed(_) => {
                Self::new(StatusCode::PRECONDITION_FAILED, "version_mismatch", detail)
            }
            CommandError::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                detail,
            ),
            CommandError::InProgress => Self {
                retry_after_seconds: Some(1),
                ..Self::new(StatusCode::CONFLICT, "idempotency_key_in_progress", detail)
            },
            CommandError::Contention(_) => Self {
                retry_after_seconds: Some(1),
                ..Self::new(StatusCode::CONFLICT, "contention", detail)
            },
            CommandError::Rejected(_) => Self::malformed("not_recordable", detail),
            CommandError::Unavailable(_) => Self::unavailable(detail),
            CommandError::Full(_) => Self {
                retry_after_seconds: Some(30),
                ..Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", detail)
            },
            CommandError::Payload(PayloadError::Unstorable(violations)) => {
                Self::invalid(violations.0.into_iter().map(FieldError::from).collect())
            }
            CommandError::Contract(_)
            | CommandError::Damaged(_)
            | CommandError::Payload(PayloadError::Encode(_)) => Self::internal(&detail),
        }
    }
}

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Self {
        Self::unavailable(busy.to_string()).coded("busy")
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        if error.is_unavailable() {
            tracing::warn!(%error, "a read model is not available");
            Self::unavailable(error.to_string())
        } else {
            Self::internal(&error)
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(_) => Self::unavailable(error.to_string()),
            ReadError::Damaged { .. } => Self::internal(&error),
        }
    }
}

impl From<ViewError> for Problem {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Read(error) => error.into(),
            ViewError::Contract(error) => Self::internal(&error),
            ViewError::Busy(busy) => busy.into(),
        }
    }
}

impl From<WaitError> for Problem {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::TooFarBehind { .. } => {
                Self::unavailable(error.to_string()).coded("read_model_behind")
            }
            WaitError::Unknown(_) => Self::internal(&error),
        }
    }
}

impl From<JobError> for Problem {
    fn from(error: JobError) -> Self {
        if error.is_transient() {
            Self::unavailable(error.to_string())
        } else {
            Self::internal(&error)
        }
    }
}

impl From<Problem> for ProblemDetails {
    fn from(problem: Problem) -> Self {
        let r#type = match problem.code.as_str() {
            QUOTA_EXCEEDED => QUOTA_EXCEEDED_TYPE.into(),
            code => format!("urn:daybook:problem:{code}"),
        };
        Self {
            r#type,
            title: problem.status.canonical_reason().unwrap_or("Error"),
            status: problem.status.as_u16(),
            code: problem.code,
            detail: problem.detail,
            correlation_id: None,
            errors: problem.errors,
            extensions: problem
                .extension
                .into_iter()
                .map(|extension| *extension)
                .collect(),
        }
    }
}

impl ProblemDetails {
    /// Adds the id of the request.
    pub fn correlated(self, correlation_id: Uuid) -> Self {
        Self {
            correlation_id: Some(correlation_id),
            ..self
        }
    }
}

/// Adds the request's id to the body of a problem response.
pub fn correlate(response: Response, correlation_id: Uuid) -> Response {
    let (mut parts, body) = response.into_parts();
    let Some(details) = parts.extensions.remove::<ProblemDetails>() else {
        return Response::from_parts(parts, body);
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    // The headers already have the problem's content type, which replaces the one set here.
    (parts, Json(details.correlated(correlation_id))).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, closes) = (self.status, self.closes);
        let retry_after_seconds = self.retry_after_seconds;
        let details = ProblemDetails::from(self);
        let mut response = (status, Json(details.clone())).into_response();
        // The middleware adds the correlation id to these details.
        response.extensions_mut().insert(details);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if closes || status == StatusCode::PAYLOAD_TOO_LARGE {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(seconds) = retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
