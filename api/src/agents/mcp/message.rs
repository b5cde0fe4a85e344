//! Checks that a body is a protocol message, and reports faults as protocol errors, which the transport does not.

use axum::Json;
use axum::body::{Bytes, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::has_nul;
use rmcp::ErrorData;
use rmcp::model::{JsonRpcError, RequestId};
use serde::Deserialize;
use serde_json::Value;

/// Maximum number of bytes of a refusal that are passed on.
const MAX_TEXT: usize = 4_096;

/// The fault of a body that is not a single JSON-RPC message, with the id of the request, whose caller waits for an answer.
type Fault = (Option<RequestId>, ErrorData);

/// Checks that a body is one JSON-RPC message; returns the id if it is a request.
pub fn check(body: &Bytes) -> Result<Option<RequestId>, Fault> {
    let message: Value = serde_json::from_slice(body).map_err(|error| {
        let detail = format!("the body is not JSON: {error}");
        (None, ErrorData::parse_error(detail, None))
    })?;
    let invalid = |id, detail: &str| (id, ErrorData::invalid_request(detail.to_owned(), None));
    if message.is_array() {
        let detail = "batches are not taken; send one message at a time";
        return Err(invalid(None, detail));
    }
    let id = match message.get("id") {
        None => None,
        Some(id) => Some(RequestId::deserialize(id).map_err(|_| {
            let detail = "an id is a string, or a whole number of at most 64 bits";
            invalid(None, detail)
        })?),
    };
    if has_nul(body) {
        let detail = "text must not contain the character U+0000; leave it out";
        return Err((id, ErrorData::invalid_params(detail, None)));
    }
    let says = |name: &str| message.get(name).is_some();
    let is_message = message["jsonrpc"] == "2.0"
        && (message["method"].is_string() || says("result") || says("error"));
    if !is_message {
        return Err(invalid(id, "the body is no message of JSON-RPC 2.0"));
    }
    match message.get("params") {
        None | Some(Value::Null | Value::Object(_)) => Ok(id),
        Some(_) => {
            let error = ErrorData::invalid_params("the params must be an object", None);
            Err((id, error))
        }
    }
}

/// Returns true if the headers declare a JSON body.
pub fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|is| is.to_str().ok());
    let essence = media_type.and_then(|is| is.split(';').next());
    essence.is_some_and(|is| is.trim().eq_ignore_ascii_case("application/json"))
}

/// Returns an error response to a request.
pub fn refuse(status: StatusCode, id: Option<RequestId>, error: ErrorData) -> Response {
    (status, Json(JsonRpcError::new(id, error))).into_response()
}

/// Turns the transport's plain-text refusals into protocol errors. The transport answers 415 to every body it cannot read; for a JSON
/// body, this becomes 400.
pub async fn in_its_words(response: Response, id: Option<RequestId>, is_json: bool) -> Response {
    let is_text = response
        .headers()
        .get(CONTENT_TYPE)
        .is_none_or(|is| is.as_bytes().starts_with(b"text/plain"));
    if !response.status().is_client_error() || !is_text {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, MAX_TEXT).await.unwrap_or_default();
    if parts.status == StatusCode::UNSUPPORTED_MEDIA_TYPE && is_json {
        parts.status = StatusCode::BAD_REQUEST;
    }
    let detail = match String::from_utf8_lossy(&text).trim() {
        "" => parts.status.to_string(),
        text => text.to_owned(),
    };
    let error = ErrorData::invalid_request(detail, None);
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    (
        parts.status,
        parts.headers,
        Json(JsonRpcError::new(id, error)),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_of_json_rpc_passes() {
        let passes = |text: &'static str| check(&Bytes::from_static(text.as_bytes())).is_ok();
        assert!(passes(r#"{"jsonrpc": "2.0", "id": 1, "method": "ping"}"#));
        assert!(passes(r#"{"jsonrpc": "2.0", "id": 1, "result": {}}"#));
        for bad in [
            "",
            "{",
            "[]",
            "null",
            r#"{"id": 1, "method": "ping"}"#,
            r#"{"jsonrpc": "2.0", "id": 1, "method": 7}"#,
            r#"[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]"#,
            r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a\u0000b"}}"#,
        ] {
            assert!(!passes(bad), "{bad}");
        }
    }

    #[test]
    fn the_fault_of_a_request_has_its_id() {
        let fault = |id: &str, params: &str| {
            let text =
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping","params":{params}}}"#);
            let (id, error) = check(&Bytes::from(text)).unwrap_err();
            (id.map(|id| id.to_string()), error.code.0)
        };
        for params in ["[]", "\"x\"", "3"] {
            assert_eq!(fault("7", params), (Some("7".into()), -32602), "{params}");
            assert_eq!(fault("\"q\"", params), (Some("q".into()), -32602));
        }
        for id in ["null", "1.5", "18446744073709551616", "{}", "true"] {
            assert_eq!(fault(id, "{}"), (None, -32600), "{id}");
        }
    }
}
