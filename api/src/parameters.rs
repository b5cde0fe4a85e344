//! Query parameters: checked against the operation's description; others are refused.

use std::collections::HashMap;
use std::sync::OnceLock;

use axum::extract::{MatchedPath, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use jsonschema::Validator;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::openapi::{self, OperationKey, key};
use crate::problem::{FieldError, Problem};
use crate::schema;

/// The parameters of one operation.
struct Described {
    /// Schemas by parameter name.
    schemas: Map<String, Value>,
    validator: Validator,
}

/// Refuses a query string that does not fit the operation's description; reports all faults.
pub fn check(parts: &Parts) -> Result<(), Problem> {
    let given = given(&parts.uri);
    let (Some(path), false) = (parts.extensions.get::<MatchedPath>(), given.is_empty()) else {
        return Ok(());
    };
    let Some(operation) = operations().get(&key(&parts.method, path.as_str())) else {
        return Ok(());
    };
    let mut faults = not_utf8(&parts.uri);
    let mut values = Map::new();
    for (name, text) in given {
        let detail = match operation.schemas.get(&name) {
            None => operation.names(),
            Some(_) if values.contains_key(&name) => "is given more than once".into(),
            Some(_) if text.contains('\0') => "must be text without the character U+0000".into(),
            Some(schema) => {
                values.insert(name, read(schema, text));
                continue;
            }
        };
        faults.push(FieldError {
            pointer: name,
            detail,
        });
    }
    let wrong = schema::faults(&operation.validator, values.into());
    faults.extend(wrong.into_iter().map(|fault| FieldError {
        pointer: fault.pointer.trim_start_matches('/').to_owned(),
        ..fault
    }));
    if faults.is_empty() {
        Ok(())
    } else {
        Err(malformed(faults))
    }
}

/// Returns true if a boolean parameter is set; its name alone suffices.
pub fn is_set(uri: &Uri, name: &str) -> bool {
    given(uri)
        .iter()
        .any(|(given, text)| given == name && text != "false")
}

/// Returns the problem of an invalid query parameter.
pub fn invalid(name: &str, detail: impl Into<String>) -> Problem {
    malformed(vec![FieldError {
        pointer: name.to_owned(),
        detail: detail.into(),
    }])
}

fn malformed(faults: Vec<FieldError>) -> Problem {
    Problem::faulty("malformed_query", faults)
}

/// Returns the parameters of a query string, unchecked.
pub fn given(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map_or_else(|_| vec![], |Query(pairs)| pairs)
}

/// Returns faults for parameters that are not UTF-8. Decoding would silently replace their bytes by U+FFFD.
fn not_utf8(uri: &Uri) -> Vec<FieldError> {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs
        .filter(|pair| percent_decode_str(pair).decode_utf8().is_err())
        .map(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            FieldError {
                pointer: percent_decode_str(name).decode_utf8_lossy().into_owned(),
                detail: "must be UTF-8, percent-encoded".into(),
            }
        })
        .collect()
}

/// Converts text to a value of the type that its schema asks for.
fn read(schema: &Value, text: String) -> Value {
    match schema["type"].as_str() {
        Some("boolean") if text.is_empty() => Value::Bool(true),
        Some("boolean" | "integer") => text.parse().unwrap_or(Value::String(text)),
        _ => Value::String(text),
    }
}

impl Described {
    fn names(&self) -> String {
        let names: Vec<&str> = self.schemas.keys().map(String::as_str).collect();
        match names.as_slice() {
            [] => "is not a parameter: there are none here".into(),
            names => format!("is not a parameter: there are {}", names.join(", ")),
        }
    }
}

/// Returns all operations by method and path.
fn operations() -> &'static HashMap<OperationKey, Described> {
    static OPERATIONS: OnceLock<HashMap<OperationKey, Described>> = OnceLock::new();
    OPERATIONS.get_or_init(|| {
        openapi::operations_of(openapi::published())
            .filter_map(|(key, operation)| Some((key, describe(&operation["parameters"])?)))
            .collect()
    })
}

fn describe(parameters: &Value) -> Option<Described> {
    let schemas: Map<String, Value> = parameters
        .as_array()
        .into_iter()
        .flatten()
        .filter(|parameter| parameter["in"] == "query")
        .filter_map(|parameter| {
            Some((
                parameter["name"].as_str()?.to_owned(),
                present(&parameter["schema"]),
            ))
        })
        .collect();
    let validator = schema::validator(&json!({"properties": schemas}))?;
    Some(Described { schemas, validator })
}

/// Removes null from a parameter's schema, because a parameter may be absent but not null.
fn present(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(types) = schema["type"].as_array() {
        schema["type"] = types.iter().find(|kind| **kind != "null").cloned().into();
    }
    schema
}
