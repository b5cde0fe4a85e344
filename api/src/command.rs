//! Builds a command request from an HTTP request: caller, conditions, trace, body.

use axum::extract::{FromRequest, FromRequestParts, Request as HttpRequest};
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use commands::{Idempotency, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use store::heavy;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::App;
use crate::body;
use crate::caller::Caller;
use crate::middleware::Correlation;
use crate::parameters;
use crate::problem::Problem;

/// A command with its body, ready to run.
pub struct Command<T> {
    pub caller: Caller,
    pub request: Request,
    pub body: T,
}

/// The body of a command whose path says everything.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl<T: DeserializeOwned + ToSchema + Send> FromRequest<App> for Command<T> {
    type Rejection = Problem;

    async fn from_request(http: HttpRequest, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = http.into_parts();
        let caller = Caller::from_request_parts(&mut parts, app).await?;
        parameters::check(&parts)?;
        let http = HttpRequest::from_parts(parts.clone(), body);
        let (bytes, _room) = body::receive(http, app.limits.body).await?;
        let request = request(&parts, &caller, app, &bytes).await?;
        let parsed = heavy(bytes.len(), || body::parse(&parts.headers, &bytes)).await;
        Ok(Self {
            body: parsed??,
            caller,
            request,
        })
    }
}

/// Builds the request of a command from the head of the HTTP request. `said` is the body or its digest; it distinguishes a repetition from
/// another command under the same key.
pub async fn request(
    parts: &Parts,
    caller: &Caller,
    app: &App,
    said: &[u8],
) -> Result<Request, Problem> {
    let fingerprint = Sha256::new()
        .chain_update(parts.method.as_str())
        .chain_update([0])
        .chain_update(parts.uri.path())
        .chain_update([0])
        .chain_update(parts.uri.query().unwrap_or_default())
        .chain_update([0])
        .chain_update(said)
        .finalize()
        .into();
    let correlation_id = parts
        .extensions
        .get::<Correlation>()
        .map_or_else(Uuid::now_v7, |correlation| correlation.0);
    Ok(Request {
        actor: caller.actor,
        credential: Some(caller.credential),
        controller: caller.controller,
        is_operator: caller.is_operator(),
        product_id: caller.product_id,
        scopes: caller.scopes.clone(),
        correlation_id,
        causation_id: causation(&parts.headers, caller, app).await?,
        traceparent: traceparent(&parts.headers),
        reason: None,
        idempotency: idempotency_key(&parts.headers)?.map(|key| Idempotency {
            key,
            tenant: caller.product_id,
            fingerprint,
        }),
        if_match: if_match(&parts.headers)?,
        dry_run: parameters::is_set(&parts.uri, "dry_run"),
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    headers
        .get(name)
        .map(|value| {
            value
                .to_str()
                .map_err(|_| malformed_header(name, "must be printable ASCII"))
        })
        .transpose()
}

fn malformed_header(name: &str, detail: &str) -> Problem {
    Problem::malformed("malformed_header", format!("{name} {detail}"))
}

/// Parses the IETF draft's quoted string (RFC 9651, section 3.3.3), or the bare key that most clients send.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    const NAME: &str = "Idempotency-Key";
    let Some(text) = text(headers, NAME)?.map(str::trim) else {
        return Ok(None);
    };
    let key = match text.strip_prefix('"') {
        Some(quoted) => quoted
            .strip_suffix('"')
            .ok_or_else(|| malformed_header(NAME, "has an opening quote but no closing one"))?
            .replace("\\\"", "\"")
            .replace("\\\\", "\\"),
        None => text.to_owned(),
    };
    if (1..=255).contains(&key.len()) {
        Ok(Some(key))
    } else {
        Err(malformed_header(NAME, "must be 1 to 255 characters"))
    }
}

/// Returns the versions in a list of entity tags; `*` matches any version.
fn if_match(headers: &HeaderMap) -> Result<Vec<i64>, Problem> {
    let Some(text) = text(headers, IF_MATCH.as_str())?.map(str::trim) else {
        return Ok(vec![]);
    };
    if text == "*" {
        return Ok(vec![]);
    }
    let version = |tag: &str| {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        // A digest of the embedded parts may follow the version.
        let version = tag
            .rsplit_once('-')
            .filter(|(version, _)| !version.is_empty());
        version.map_or(tag, |(version, _)| version).parse()
    };
    text.split(',')
        .map(version)
        .collect::<Result<_, _>>()
        .map_err(|_| {
            malformed_header(
                "If-Match",
                "must be ETags of earlier answers, such as \"3\" or \"3\", \"5\"",
            )
        })
}

/// Returns the causing event if the caller may see it; nobody may refer to events that they cannot see.
async fn causation(
    headers: &HeaderMap,
    caller: &Caller,
    app: &App,
) -> Result<Option<Uuid>, Problem> {
    const NAME: &str = "Daybook-Causation-Id";
    let Some(text) = text(headers, NAME)? else {
        return Ok(None);
    };
    let id =
        Uuid::try_parse(text).map_err(|_| malformed_header(NAME, "must be the id of an event"))?;
    match app.store.find(id).await? {
        Some(event) if app.sees(caller, &event).await? => Ok(Some(id)),
        Some(_) | None => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "cause_not_found",
            format!("{NAME}: there is no such event"),
        )),
    }
}

/// Returns the W3C trace context, version 00. As the specification demands, an invalid one is dropped.
pub fn traceparent(headers: &HeaderMap) -> Option<String> {
    valid_traceparent(headers.get("traceparent")?.to_str().ok()?)
}

pub fn valid_traceparent(text: &str) -> Option<String> {
    let fields: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = fields.iter().map(|field| field.len()).collect();
    let hex = |field: &&str| {
        field
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |field: &str| field.bytes().all(|b| b == b'0');
    let valid = lengths == [2, 32, 16, 2]
        && fields.iter().all(hex)
        && fields[0] != "ff"
        && !zero(fields[1])
        && !zero(fields[2]);
    valid.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            axum::http::HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )])
    }

    #[test]
    fn an_idempotency_key_may_be_quoted_or_bare() {
        let key = |value| {
            idempotency_key(&headers("idempotency-key", value))
                .ok()
                .flatten()
        };
        assert_eq!(key("abc"), Some("abc".into()));
        assert_eq!(key("\"abc\""), Some("abc".into()));
        assert_eq!(key(r#""a\"b\\c""#), Some(r#"a"b\c"#.into()));
        for bad in ["", "\"\"", "\"abc", &"x".repeat(256)] {
            assert!(
                idempotency_key(&headers("idempotency-key", bad)).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn if_match_takes_strong_and_weak_tags() {
        let version = |value| if_match(&headers("if-match", value)).ok();
        assert_eq!(version("\"3\""), Some(vec![3]));
        assert_eq!(version("W/\"3\""), Some(vec![3]));
        assert_eq!(version("3"), Some(vec![3]));
        assert_eq!(version("\"3\", W/\"5\",7"), Some(vec![3, 5, 7]));
        assert_eq!(version("\"3-0a1b\""), Some(vec![3]));
        assert_eq!(version("\"-1\""), Some(vec![-1]));
        assert_eq!(version("*"), Some(vec![]));
        assert_eq!(version("\"abc\""), None);
        assert_eq!(version("\"3\","), None);
    }

    #[test]
    fn only_a_valid_traceparent_is_carried_on() {
        let carried = |value| traceparent(&headers("traceparent", value)).is_some();
        assert!(carried(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        ));
        for bad in [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "nonsense",
        ] {
            assert!(!carried(bad), "{bad}");
        }
    }
}
