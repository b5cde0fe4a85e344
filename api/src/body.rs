//! Bodies of commands: JSON, every field at fault named at once.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::openapi;
use crate::problem::{FieldError, Problem};
use crate::schema;

/// Parses a body. No body at all stands for an empty object.
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
            axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            "send the body with Content-Type: application/json",
        ));
    }
    if has_nul(bytes) {
        return Err(Problem::malformed(
            "nul_character",
            "text must not contain the character U+0000",
        ));
    }
    parse_json(bytes)
}

/// A field that is there, though it may be null.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    field: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// PostgreSQL's text cannot hold it: a `\u0000` whose backslash is not itself escaped.
pub fn has_nul(bytes: &[u8]) -> bool {
    bytes.windows(6).enumerate().any(|(at, window)| {
        window == b"\\u0000"
            && bytes[..at]
                .iter()
                .rev()
                .take_while(|b| **b == b'\\')
                .count()
                % 2
                == 0
    })
}

fn parse_json<T: DeserializeOwned + ToSchema>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|_| fault::<T>(bytes))
}

/// What is wrong with a body that cannot be parsed.
fn fault<T: DeserializeOwned + ToSchema>(bytes: &[u8]) -> Problem {
    let value = match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => value,
        Err(syntax) => return not_json(&syntax),
    };
    let mut errors = against_schema(&T::name(), &value);
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

/// `a.b[0]` as a JSON pointer.
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

/// Everything that the published schema holds against a value: serde stops at the first fault.
fn against_schema(name: &str, value: &Value) -> Vec<FieldError> {
    let schema = json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": openapi::published()["components"],
    });
    schema::validator(&schema).map_or_else(Vec::new, |validator| schema::faults(&validator, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_and_an_escaped_backslash_is_not_one() {
        assert!(has_nul(br#"{"a":"\u0000"}"#));
        assert!(has_nul(br#"{"a":"\\\u0000"}"#));
        assert!(!has_nul(br#"{"a":"\\u0000"}"#));
    }

    #[test]
    fn paths_become_pointers() {
        assert_eq!(pointer("actions[0].title"), "/actions/0/title");
        assert_eq!(pointer("."), "");
    }
}
