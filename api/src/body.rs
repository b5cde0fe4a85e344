//! Command bodies: JSON, with all faulty fields reported at once.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, Request as HttpRequest};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use domain::has_nul;
use jsonschema::Validator;
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use store::Busy;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::openapi;
use crate::problem::{FieldError, Problem};
use crate::schema;

/// Size in bytes from which a body is large.
const LARGE: usize = 64 << 10;
/// Number of large bodies that are received and parsed at once; others wait.
const MOST_LARGE: usize = 64;
/// Longest time that a large body waits.
const PATIENCE: Duration = Duration::from_secs(5);

static ROOM: Semaphore = Semaphore::const_new(MOST_LARGE);

/// Receives a body. A large one occupies a slot until the second value is dropped.
pub async fn receive(
    http: HttpRequest,
    limit: usize,
) -> Result<(Bytes, Option<SemaphorePermit<'static>>), Problem> {
    let size = http.body().size_hint();
    if size.lower() > limit as u64 {
        return Err(unreadable(StatusCode::PAYLOAD_TOO_LARGE, limit));
    }
    let is_small = size.upper().is_some_and(|most| most < LARGE as u64);
    let room = if is_small { None } else { Some(room().await?) };
    let received = Bytes::from_request(http, &()).await;
    let bytes = received.map_err(|rejection| unreadable(rejection.status(), limit))?;
    Ok((bytes, room))
}

async fn room() -> Result<SemaphorePermit<'static>, Problem> {
    match timeout(PATIENCE, ROOM.acquire()).await {
        Ok(Ok(room)) => Ok(room),
        Ok(Err(_)) | Err(_) => Err(Busy.into()),
    }
}

fn unreadable(status: StatusCode, limit: usize) -> Problem {
    let detail = match status {
        StatusCode::PAYLOAD_TOO_LARGE => format!("the body must be at most {limit} bytes"),
        _ => "the body did not arrive whole, or is not in the coding that Content-Encoding names"
            .into(),
    };
    Problem::new(status, "body_unreadable", detail)
}

/// Parses a body. An absent body counts as an empty object.
pub fn parse<T: DeserializeOwned + ToSchema>(
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<T, Problem> {
    if bytes.is_empty() {
        return parse_json(b"{}");
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    if !content_type.is_some_and(is_json) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            "send the body with Content-Type: application/json",
        ));
    }
    if has_nul(bytes) {
        return Err(nul());
    }
    parse_json(bytes)
}

/// Returns the refusal of text that PostgreSQL cannot store.
pub fn nul() -> Problem {
    Problem::malformed(
        "nul_character",
        "text must not contain the character U+0000; leave it out",
    )
}

/// Deserialises a field that is present, though it may be null.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    field: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// A list of at most `MOST` elements; parsing stops after that many.
pub struct AtMost<T, const MOST: usize>(pub Vec<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for AtMost<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(list: D) -> Result<Self, D::Error> {
        struct Elements<T, const MOST: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Elements<T, MOST> {
            type Value = AtMost<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MOST} elements")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
                let mut elements = vec![];
                while let Some(element) = list.next_element()? {
                    if elements.len() == MOST {
                        return Err(serde::de::Error::invalid_length(MOST + 1, &self));
                    }
                    elements.push(element);
                }
                Ok(AtMost(elements))
            }
        }

        list.deserialize_seq(Elements(PhantomData))
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse_json<T: DeserializeOwned + ToSchema>(bytes: &[u8]) -> Result<T, Problem> {
    let body = serde_json::from_slice(bytes).map_err(|_| fault::<T>(bytes))?;
    if schema::may_hold_odd_time(bytes) {
        // The parser accepts times that the schema does not.
        let value = serde_json::from_slice(bytes).map_err(|syntax| not_json(&syntax))?;
        let errors = against_schema(&T::name(), value);
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
    }
    Ok(body)
}

/// Returns the faults of a body that cannot be parsed.
fn fault<T: DeserializeOwned + ToSchema>(bytes: &[u8]) -> Problem {
    let value = match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => value,
        Err(syntax) => return not_json(&syntax),
    };
    let mut errors = against_schema(&T::name(), value);
    let deserializer = &mut serde_json::Deserializer::from_slice(bytes);
    if errors.is_empty()
        && let Err(error) = serde_path_to_error::deserialize::<_, T>(deserializer)
    {
        errors.push(FieldError {
            pointer: pointer(&error.path().to_string()),
            detail: error.inner().to_string(),
        });
    }
    Problem::invalid(errors)
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::malformed("malformed_json", format!("the body is not JSON: {error}"))
}

/// Turns `a.b[0]` into a JSON pointer.
fn pointer(path: &str) -> String {
    if path == "." {
        return String::new();
    }
    format!(
        "/{}",
        path.replace("].", "/")
            .replace(['.', '['], "/")
            .replace(']', "")
    )
}

/// Returns all violations of the published schema; serde stops at the first fault.
fn against_schema(name: &str, value: Value) -> Vec<FieldError> {
    validator(name).map_or_else(Vec::new, |validator| schema::faults(&validator, value))
}

/// Returns the validator of a published schema, built once.
fn validator(name: &str) -> Option<Arc<Validator>> {
    static MADE: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(validator) = made.get(name) {
        return Some(Arc::clone(validator));
    }
    let validator = Arc::new(schema::validator(&json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": openapi::published()["components"],
    }))?);
    made.insert(name.to_owned(), Arc::clone(&validator));
    Some(validator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_up_to_its_bound() {
        let list = |text| serde_json::from_str::<AtMost<u8, 3>>(text).map(|AtMost(list)| list);
        assert_eq!(list("[1, 2, 3]").unwrap(), [1, 2, 3]);
        // The rest is not even valid JSON.
        let error = list("[1, 2, 3, 4, ").unwrap_err().to_string();
        assert!(error.contains("at most 3 elements"), "{error}");
    }

    #[test]
    fn paths_become_pointers() {
        assert_eq!(pointer("actions[0].title"), "/actions/0/title");
        assert_eq!(pointer("."), "");
    }
}
