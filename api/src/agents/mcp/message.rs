//! Whether a body is a message of the protocol at all: told in the protocol's own words, which the transport does not.

use axum::Json;
use axum::body::{Bytes, to_bytes};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use domain::has_nul;
use rmcp::ErrorData;
use rmcp::model::JsonRpcError;
use serde_json::Value;

/// Bytes of a refusal that are told.
const MAX_TEXT: usize = 4_096;

/// What is wrong with a body that is no single message of JSON-RPC.
pub fn check(body: &Bytes) -> Result<(), ErrorData> {
    if has_nul(body) {
        let detail = "text must not contain the character U+0000; leave it out";
        return Err(ErrorData::invalid_params(detail, None));
    }
    let message: Value = serde_json::from_slice(body)
        .map_err(|error| ErrorData::parse_error(format!("the body is not JSON: {error}"), None))?;
    let says = |name: &str| message.get(name).is_some();
    let is_message = message["jsonrpc"] == "2.0"
        && (message["method"].is_string() || says("result") || says("error"));
    if is_message {
        return Ok(());
    }
    let detail = if message.is_array() {
        "batches are not taken; send one message at a time"
    } else {
        "the body is no message of JSON-RPC 2.0"
    };
    Err(ErrorData::invalid_request(detail, None))
}

/// The answer to it. Nobody knows the id of what is no request.
pub fn refuse(error: ErrorData) -> Response {
    (
        StatusCode::BAD_REQUEST,
        Json(JsonRpcError::new(None, error)),
    )
        .into_response()
}

/// What the transport refuses in plain text, as an error of the protocol.
pub async fn in_its_words(response: Response) -> Response {
    let is_text = response
        .headers()
        .get(CONTENT_TYPE)
        .is_none_or(|is| is.as_bytes().starts_with(b"text/plain"));
    if !response.status().is_client_error() || !is_text {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, MAX_TEXT).await.unwrap_or_default();
    let detail = match String::from_utf8_lossy(&text).trim() {
        "" => parts.status.to_string(),
        text => text.to_owned(),
    };
    let error = Json(JsonRpcError::new(
        None,
        ErrorData::invalid_request(detail, None),
    ));
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    (parts.status, parts.headers, error).into_response()
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
}
