//! What reads share: the caller, the position they wait for, parameters, pages.

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
use crate::schema;

/// Longest page of a list.
const MAX_LIMIT: usize = 200;

/// A query: who asks, and how far the read models must be.
pub struct Read {
    pub caller: Caller,
    /// -1: nothing is waited for.
    pub min_position: Position,
    /// The list that is asked for, where one is.
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

/// Returns the position at which the read models must be, so that the caller sees their own writes, and what they ask for; -1: they
/// have written nothing here.
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

/// Ids in the path; every one that does not parse is named.
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

/// Names the parameters of the path that are at fault.
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

/// Parameters in the query string; what does not parse is a problem.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(value)| Self(value))
            .map_err(|rejection| Problem::malformed("malformed_query", explain(&rejection)))
    }
}

/// What the parser says, without what the framework says around it.
fn explain(rejection: &QueryRejection) -> String {
    std::error::Error::source(rejection).map_or_else(|| rejection.to_string(), ToString::to_string)
}

/// Which page of a list.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Items on the page: 1 to 200; 50 if not given.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<usize>,
}

impl Page {
    /// Where it starts: the last thing of the page before, if there is one.
    pub fn after<T: FromStr>(&self, list: ListId) -> Result<Option<T>, Problem> {
        list.place(self.cursor.as_deref())
    }

    /// The part of a list that it is.
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

/// A page length within its bounds.
pub fn limit(asked: Option<usize>, default: usize, max: usize) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(default);
    if (1..=max).contains(&limit) {
        Ok(limit)
    } else {
        Err(parameters::invalid("limit", format!("must be 1 to {max}")))
    }
}

/// The words of a list with commas between them, a bounded number of them.
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

/// One of a few words.
pub fn one_of(name: &str, asked: Option<&str>, words: &[&str]) -> Result<(), Problem> {
    match asked {
        Some(word) if !words.contains(&word) => {
            Err(parameters::invalid(name, schema::one_of(words)))
        }
        Some(_) | None => Ok(()),
    }
}

/// Refuses a position that the log has not reached. Another node may know more of the log than this one: the log itself
/// decides.
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
