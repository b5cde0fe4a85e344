//! Code that queries share: the caller, the minimum position, parameters, pages.

use std::str::FromStr;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Query, RawPathParams};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use domain::MAX_PATTERNS;
use projections::Cursor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use store::Position;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::App;
use crate::caller::Caller;
use crate::cursor::ListId;
use crate::parameters;
use crate::problem::{FieldError, Problem};

/// Maximum page length.
const MAX_LIMIT: usize = 200;

/// A query's caller, and the position that the read models must have reached.
pub struct Read {
    pub caller: Caller,
    /// Position to wait for; -1 waits for nothing.
    pub min_position: Position,
    /// The requested list, if any.
    pub list: ListId,
}

impl FromRequestParts<App> for Read {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        parameters::check(parts)?;
        Ok(Self {
            min_position: min_position(&parts.headers, app, &caller)?,
            list: ListId::of(parts),
            caller,
        })
    }
}

/// Returns the position that the read models must have reached: that of the caller's own writes on this node or the one that they ask for,
/// whichever is later; -1 if neither exists.
pub fn min_position(headers: &HeaderMap, app: &App, caller: &Caller) -> Result<Position, Problem> {
    let written = app.executor.written_by(caller.credential);
    let Some(value) = headers.get("daybook-min-position") else {
        return Ok(written);
    };
    value
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|position| *position >= 0)
        .map(|position: Position| position.max(written))
        .ok_or_else(|| {
            Problem::malformed(
                "malformed_header",
                "Daybook-Min-Position must be a position, such as the Daybook-Position of an earlier answer",
            )
        })
}

/// Ids in the path; all malformed ones are reported.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, app).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(malformed_path(&rejection, parts, app).await),
        }
    }
}

/// Reports the malformed parameters of the path.
async fn malformed_path(rejection: &PathRejection, parts: &mut Parts, app: &App) -> Problem {
    let fault = |name: &str, detail: &str| FieldError {
        pointer: name.to_owned(),
        detail: detail.to_owned(),
    };
    let mut faults = vec![];
    if let PathRejection::FailedToDeserializePathParams(error) = rejection
        && let ErrorKind::InvalidUtf8InPathParam { key } = error.kind()
    {
        faults.push(fault(key, "must be UTF-8, percent-encoded"));
    } else if let Ok(parameters) = RawPathParams::from_request_parts(parts, app).await {
        let malformed = parameters
            .iter()
            .filter(|(_, text)| Uuid::try_parse(text).is_err());
        faults.extend(malformed.map(|(name, _)| fault(name, "must be a UUID")));
    }
    Problem::faulty("malformed_path", faults)
}

/// Parameters in the query string; malformed ones are a problem.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(value)| Self(value))
            .map_err(|rejection| Problem::malformed("malformed_query", explain(&rejection)))
    }
}

/// Returns the parser's message without the framework's wrapping.
fn explain(rejection: &QueryRejection) -> String {
    std::error::Error::source(rejection).map_or_else(|| rejection.to_string(), ToString::to_string)
}

/// Parameters that select a page of a list.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// The `next_cursor` of the previous page.
    pub cursor: Option<String>,
    /// Maximum number of items per page: 1 to 200; 50 if not given.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
}

impl Page {
    /// Returns the last item of the previous page, if there is one.
    pub fn after<T: FromStr>(&self, list: ListId) -> Result<Option<T>, Problem> {
        list.place(self.cursor.as_deref())
    }

    /// Returns the database cursor of the page.
    pub fn of(&self, list: ListId) -> Result<Cursor, Problem> {
        Ok(Cursor {
            before: self.after(list)?,
            limit: self.limit()?,
        })
    }

    pub fn limit(&self) -> Result<usize, Problem> {
        limit(self.limit, 50, MAX_LIMIT)
    }
}

/// Returns a page length, or refuses one out of bounds.
pub fn limit(asked: Option<usize>, default: usize, max: usize) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(default);
    if (1..=max).contains(&limit) {
        Ok(limit)
    } else {
        Err(parameters::invalid("limit", format!("must be 1 to {max}")))
    }
}

/// Splits a comma-separated list of a limited number of words.
pub fn words<'a>(name: &str, list: Option<&'a str>) -> Result<Vec<&'a str>, Problem> {
    let words: Vec<&str> = list
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .take(MAX_PATTERNS + 1)
        .collect();
    if words.len() > MAX_PATTERNS {
        let detail = format!("must be at most {MAX_PATTERNS}; ask for the rest in another request");
        return Err(parameters::invalid(name, detail));
    }
    Ok(words)
}

/// Refuses a position that the log has not reached. Reads the log itself, because another node may be ahead of this one.
pub async fn reached(app: &App, name: &str, position: Position) -> Result<(), Problem> {
    if position <= app.head() {
        return Ok(());
    }
    match app.store.read_head().await? {
        head if position <= head => Ok(()),
        head => Err(Problem::malformed(
            "position_ahead",
            format!(
                "{name}: the log ends at position {head}; start from a position that it has reached"
            ),
        )),
    }
}
