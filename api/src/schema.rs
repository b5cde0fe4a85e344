//! Descriptions of schema violations: the field and the rule. They never repeat values, so that an answer stays small however large the
//! request was.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most of JSON Schema's keywords need no words of their own"
)]

use chrono::{DateTime, Datelike, NaiveDate, Timelike};
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ValidationError, Validator};
use serde_json::Value;

use crate::problem::{FieldError, MOST_ERRORS};

/// Number of array elements that are checked: more than any array may have.
const MOST_ELEMENTS: usize = 101;
/// Maximum number of fields of an object: more than any described object has.
const MOST_FIELDS: usize = 200;

/// Field that distinguishes the variants of a union.
const TAG: &str = "type";

/// Returns a validator of the schema, including formats; `None` if the schema is invalid.
pub fn validator(schema: &Value) -> Option<Validator> {
    jsonschema::options()
        .should_validate_formats(true)
        .with_format("date-time", is_time)
        .with_format("date", is_date)
        .build(schema)
        .ok()
}

/// Returns true for an RFC 3339 time that the database can store: no leap second, and years 1 to 9999.
fn is_time(text: &str) -> bool {
    DateTime::parse_from_rfc3339(text).is_ok_and(|time| {
        let time = time.to_utc();
        time.nanosecond() < 1_000_000_000 && (1..=9999).contains(&time.year())
    })
}

fn is_date(text: &str) -> bool {
    let date = text.parse::<NaiveDate>();
    date.is_ok_and(|date| (1..=9999).contains(&date.year()) && text.len() == "2030-01-31".len())
}

/// Returns false if no text in the JSON can be a time or date that the parser accepts but the schema forbids.
pub fn may_hold_odd_time(json: &[u8]) -> bool {
    const ODD: [&str; 4] = [":60", "\"0000-", "\"0001-01-01", "\"9999-12-31"];
    json.iter().enumerate().any(|(at, byte)| match byte {
        b':' | b'"' => {
            let rest = &json[at..];
            let is_signed = matches!(rest, [b'"', b'+' | b'-', b'0'..=b'9', ..]);
            is_signed || ODD.iter().any(|odd| rest.starts_with(odd.as_bytes()))
        }
        _ => false,
    })
}

/// Returns the faults of a value, up to the limit of one answer. Checks only the first elements of a long array, because each is compared
/// with all variants of its type.
pub fn faults(validator: &Validator, mut value: Value) -> Vec<FieldError> {
    if let Some(at) = with_too_many_fields(&value) {
        let detail = format!("has more than {MOST_FIELDS} fields");
        return vec![FieldError {
            pointer: at,
            detail,
        }];
    }
    shorten(&mut value);
    let mut faults = vec![];
    for error in validator.iter_errors(&value) {
        if faults.len() >= MOST_ERRORS {
            break;
        }
        explain(&error, &mut faults);
    }
    faults
}

/// Truncates arrays to the checked elements: one more than any array may have, so that an oversized one still fails.
fn shorten(value: &mut Value) {
    match value {
        Value::Array(all) => {
            all.truncate(MOST_ELEMENTS);
            all.iter_mut().for_each(shorten);
        }
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

/// Returns the pointer to an object with more fields than any described object.
fn with_too_many_fields(value: &Value) -> Option<String> {
    let at = |step: &str, value: &Value| Some(below("", step) + &with_too_many_fields(value)?);
    match value {
        Value::Object(fields) if fields.len() > MOST_FIELDS => Some(String::new()),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| at(name, value)),
        Value::Array(all) => {
            let mut all = all.iter().enumerate();
            all.find_map(|(index, value)| at(&index.to_string(), value))
        }
        _ => None,
    }
}

fn explain(error: &ValidationError<'_>, faults: &mut Vec<FieldError>) {
    let at = error.instance_path().as_str();
    let mut fault = |pointer: String, detail: String| faults.push(FieldError { pointer, detail });
    match error.kind() {
        Kind::OneOfNotValid { context } | Kind::AnyOf { context } => choose(at, context, faults),
        Kind::Required { property } => fault(below(at, name(property)), "is required".into()),
        Kind::AdditionalProperties { unexpected } => {
            for field in unexpected {
                fault(below(at, field), "is not a field that there is".into());
            }
        }
        Kind::Type { kind } => fault(at.into(), format!("must be {}", types(kind).join(" or "))),
        Kind::Enum { options } => fault(at.into(), one_of(&words(options))),
        Kind::Format { format } => fault(at.into(), format!("must be {}", form(format))),
        _ => fault(at.into(), error.masked_with("it").to_string()),
    }
}

/// Explains the faults of a union's value: those of its own variant, if its tag names one.
fn choose(at: &str, variants: &[Vec<ValidationError<'_>>], faults: &mut Vec<FieldError>) {
    let tag = below(at, TAG);
    let of_another = |error: &ValidationError<'_>| {
        let place = error.instance_path().as_str();
        match error.kind() {
            Kind::Required { property } => place == at && property == TAG,
            Kind::Type { .. } => place == at,
            _ => place == tag,
        }
    };
    if let Some(own) = variants
        .iter()
        .find(|errors| !errors.iter().any(of_another))
    {
        for error in own {
            explain(error, faults);
        }
        return;
    }
    let (mut tags, mut kinds) = (vec![], vec![]);
    for error in variants.iter().flatten() {
        match error.kind() {
            Kind::Constant { expected_value } if error.instance_path().as_str() == tag => {
                tags.push(name(expected_value).to_owned());
            }
            Kind::Type { kind } if error.instance_path().as_str() == at => {
                kinds.extend(types(kind))
            }
            _ => {}
        }
    }
    kinds.dedup();
    let (pointer, detail) = match (tags.is_empty(), kinds.is_empty()) {
        (false, _) => (tag, one_of(&tags)),
        (true, false) => (at.to_owned(), format!("must be {}", kinds.join(" or "))),
        (true, true) => (tag, "is required".into()),
    };
    faults.push(FieldError { pointer, detail });
}

/// Returns the pointer to a field below a pointer (RFC 6901).
fn below(at: &str, field: &str) -> String {
    format!("{at}/{}", field.replace('~', "~0").replace('/', "~1"))
}

fn name(property: &Value) -> &str {
    property.as_str().unwrap_or_default()
}

fn words(options: &Value) -> Vec<String> {
    let options = options.as_array().into_iter().flatten();
    options
        .filter_map(|option| option.as_str().map(str::to_owned))
        .collect()
}

pub fn one_of(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    format!("must be one of {}", words.join(", "))
}

fn types(kind: &TypeKind) -> Vec<&'static str> {
    let word = |kind: JsonType| match kind {
        JsonType::Array => "an array",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "a whole number",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    };
    match kind {
        TypeKind::Single(kind) => vec![word(*kind)],
        TypeKind::Multiple(kinds) => {
            let mut words: Vec<_> = kinds.iter().map(word).collect();
            words.sort_by_key(|word| *word == "null");
            words
        }
    }
}

fn form(format: &str) -> String {
    match format {
        "uuid" => "a UUID".into(),
        "date-time" => {
            "a time as in RFC 3339, such as 2030-01-31T12:00:00Z, without a leap second".into()
        }
        "date" => "a date such as 2030-01-31".into(),
        other => format!("a valid {other}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(value: Value) -> Vec<FieldError> {
        let schema = json!({"properties": {"all": {"type": "array", "maxItems": 100, "items": {"type": "string"}}}});
        faults(&validator(&schema).unwrap(), value)
    }

    #[test]
    fn names_no_more_faults_than_one_answer_has() {
        let many: Vec<u32> = (0..100_000).collect();
        assert_eq!(found(json!({"all": many})).len(), MOST_ERRORS);
        assert_eq!(found(json!({"all": [1, "a", 2]})).len(), 2);
    }

    #[test]
    fn says_of_a_long_array_that_it_is_too_long() {
        let many = vec!["a"; 100_000];
        let faults = found(json!({"all": many}));
        assert_eq!(faults.len(), 1);
        assert!(
            faults[0].detail.contains("100 items"),
            "{}",
            faults[0].detail
        );
    }

    #[test]
    fn refuses_an_object_of_countless_fields_as_a_whole() {
        let fields: serde_json::Map<_, _> = (0..=MOST_FIELDS)
            .map(|n| (n.to_string(), json!(1)))
            .collect();
        let faults = found(json!({"all": [{"a": fields}]}));
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].pointer, "/all/0/a");
    }

    #[test]
    fn times_that_the_database_cannot_keep_are_faults_and_never_look_plain() {
        let schema = json!({"format": "date-time"});
        let validator = validator(&schema).unwrap();
        for time in ["2030-01-31T12:00:00Z", "2030-01-31t12:00:00.5+02:00"] {
            assert!(validator.is_valid(&json!(time)), "{time}");
        }
        for time in [
            "2030-01-31T12:00:60Z",
            "2030-12-31T23:59:60.5Z",
            "+20000-01-01T00:00:00Z",
            "-0001-01-01T00:00:00Z",
            "0000-12-31T00:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
        ] {
            let json = json!(time);
            assert!(!validator.is_valid(&json), "{time}");
            assert!(may_hold_odd_time(json.to_string().as_bytes()), "{time}");
        }
        assert!(!may_hold_odd_time(
            br#"{"at": "2030-01-31T12:00:00Z", "body": "- 1"}"#
        ));
    }
}
