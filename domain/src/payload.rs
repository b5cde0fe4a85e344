//! Encoding of an event's payload for the log: JSON that every read model can store.

use serde::Serialize;
use serde_json::Value;

use crate::Violations;

/// Number of digits of the largest integer that the database stores.
const DIGITS: usize = 19;

/// Reasons why an event cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// PostgreSQL cannot store a value, so read models would stop at the event.
    #[error("{0}")]
    Unstorable(Violations),
    /// The event is not JSON.
    #[error("cannot write the event: {0}")]
    Encode(#[from] serde_json::Error),
}

/// Writes an event as JSON. Refuses values that the database cannot store: U+0000 in a text, or an integer beyond 64
/// bits with a sign.
pub fn encode(event: &impl Serialize) -> Result<String, PayloadError> {
    let data = serde_json::to_string(event)?;
    if is_suspicious(data.as_bytes()) {
        let mut violations = Violations::default();
        check(&serde_json::from_str(&data)?, "", &mut violations);
        violations.into_result().map_err(PayloadError::Unstorable)?;
    }
    Ok(data)
}

/// Returns true if JSON text has a U+0000: an escape whose backslash is not itself escaped.
#[must_use]
pub fn has_nul(json: &[u8]) -> bool {
    json.windows(6).enumerate().any(|(at, window)| {
        let backslashes = || json[..at].iter().rev().take_while(|b| **b == b'\\').count();
        window == b"\\u0000" && backslashes() % 2 == 0
    })
}

/// Returns false if no value in the JSON text can be out of bounds.
fn is_suspicious(json: &[u8]) -> bool {
    let long = json
        .chunk_by(|one, next| one.is_ascii_digit() && next.is_ascii_digit())
        .any(|run| run.len() >= DIGITS);
    long || has_nul(json)
}

fn check(value: &Value, pointer: &str, violations: &mut Violations) {
    let check_text = |text: &str, violations: &mut Violations| {
        violations.require(
            !text.contains('\0'),
            pointer,
            "must not contain the character U+0000",
        );
    };
    match value {
        Value::String(text) => check_text(text, violations),
        Value::Number(number) => violations.require(
            number.is_i64() || number.is_f64(),
            pointer,
            format!("must be at most {}", i64::MAX),
        ),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check(item, &format!("{pointer}/{index}"), violations);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                check_text(name, violations);
                let name = name.replace('~', "~0").replace('/', "~1");
                check(value, &format!("{pointer}/{name}"), violations);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(event: &Value) -> Vec<String> {
        match encode(event) {
            Ok(data) => {
                assert_eq!(data, event.to_string());
                vec![]
            }
            Err(PayloadError::Unstorable(found)) => {
                found.0.into_iter().map(|v| v.pointer).collect()
            }
            Err(PayloadError::Encode(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn a_payload_that_the_database_can_keep_is_written_as_it_is() {
        for event in [
            json!({}),
            json!({"size": i64::MAX, "change": i64::MIN, "part": 0.25}),
            json!({"text": "12345678901234567890 \\u0000 \u{1}"}),
        ] {
            assert_eq!(pointers(&event), [""; 0], "{event}");
        }
    }

    #[test]
    fn a_value_that_the_database_cannot_keep_is_refused_and_named() {
        for (event, expected) in [
            (json!({"size": u64::MAX}), vec!["/size"]),
            (json!({"size": 1u64 << 63}), vec!["/size"]),
            (
                json!({"a": [{"b/c": "x\0"}], "d": "\0"}),
                vec!["/a/0/b~1c", "/d"],
            ),
            (json!({"a": {"k\0": 1}}), vec!["/a"]),
            (json!({"a": "\\\0"}), vec!["/a"]),
        ] {
            assert_eq!(pointers(&event), expected, "{event}");
        }
    }

    #[test]
    fn an_escaped_backslash_is_no_nul() {
        assert!(has_nul(br#"{"a":"\u0000"}"#));
        assert!(has_nul(br#"{"a":"\\\u0000"}"#));
        assert!(!has_nul(br#"{"a":"\\u0000"}"#));
    }
}
