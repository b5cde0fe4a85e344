//! Types of bodies: their fields in words, and an example of each.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::Page;
use super::guides::inline;
use super::layout::address;
use crate::openapi;

const REFERENCE: &str = "#/components/schemas/";
/// Types within types that an example goes into.
const DEEPEST: usize = 8;

/// All types.
pub fn page() -> Page {
    let schemas = openapi::published()["components"]["schemas"].as_object();
    let body = html! {
        h1 { "All types" }
        p { "Bodies of requests and answers, as the operations name them. Fields that are not marked as required may be absent." }
        @for (name, schema) in schemas.into_iter().flatten() {
            section id=(name) {
                h2 { (name) }
                (described(schema))
            }
        }
    };
    Page {
        title: "All types".into(),
        body,
    }
}

/// A type: its fields, its variants, or the values that it has.
pub fn described(schema: &Value) -> Markup {
    let (properties, required) = fields(schema);
    let variants = schema["oneOf"].as_array();
    html! {
        @if let Some(description) = text(schema, "description") { p { (inline(description)) } }
        @if let Some(variants) = variants {
            p { "One of:" }
            ul { @for variant in variants { li { (kind(variant)) } } }
        } @else if properties.is_empty() {
            p { (kind(schema)) (bounds(schema)) }
        } @else {
            (table(&properties, &required))
        }
    }
}

fn table(properties: &Map<String, Value>, required: &BTreeSet<&str>) -> Markup {
    html! {
        table {
            thead { tr { th { "Field" } th { "Type" } th { "Means" } } }
            tbody {
                @for (name, schema) in properties {
                    tr {
                        td { code { (name) } @if required.contains(name.as_str()) { " " small { "required" } } }
                        td { (kind(schema)) (bounds(schema)) }
                        td { (meaning(schema)) }
                    }
                }
            }
        }
    }
}

/// The sentences about a field; of a type with a name those of its own, if the field has none.
pub fn meaning(schema: &Value) -> Markup {
    let own = text(schema, "description");
    let options = schema["oneOf"].as_array().into_iter().flatten();
    let described = own.or_else(|| {
        options
            .into_iter()
            .find_map(|option| text(option, "description"))
    });
    html! { @if let Some(sentences) = described { (inline(sentences)) } }
}

fn text<'a>(schema: &'a Value, field: &str) -> Option<&'a str> {
    schema[field].as_str().filter(|text| !text.is_empty())
}

/// The type in words, with the way to it if it has a name.
pub fn kind(schema: &Value) -> Markup {
    if let Some(name) = reference(schema) {
        let href = format!("{}#{name}", address("schemas"));
        return html! { a href=(href) { (name) } };
    }
    if let Some(only) = schema.get("const") {
        return html! { code { (only) } };
    }
    if let Some(values) = schema["enum"].as_array() {
        return listed(values.iter().map(|value| html! { code { (value) } }));
    }
    for union in ["oneOf", "anyOf", "allOf"] {
        if let Some(parts) = schema[union].as_array() {
            return listed(parts.iter().map(kind));
        }
    }
    let names = names(schema);
    match names.is_empty() {
        true => html! { "anything" },
        false => listed(names.into_iter().map(|name| one(schema, name))),
    }
}

fn listed(parts: impl Iterator<Item = Markup>) -> Markup {
    html! {
        @for (index, part) in parts.enumerate() {
            @if index > 0 { " or " }
            (part)
        }
    }
}

/// The names that JSON has for values of the type: one, or several.
fn names(schema: &Value) -> Vec<&str> {
    let all = schema["type"].as_array().into_iter().flatten();
    let one = schema["type"].as_str();
    all.filter_map(Value::as_str).chain(one).collect()
}

fn one(schema: &Value, name: &str) -> Markup {
    match (name, text(schema, "format")) {
        ("array", _) => html! { "list of " (kind(&schema["items"])) },
        ("string", Some("date-time")) => html! { "time (RFC 3339)" },
        ("string", Some("date")) => html! { "date" },
        ("string", Some("uuid")) => html! { "UUID" },
        ("string", Some("binary")) => html! { "bytes" },
        ("string", _) => html! { "text" },
        ("object", _) if schema["additionalProperties"].is_object() => {
            html! { "object of " (kind(&schema["additionalProperties"])) }
        }
        _ => html! { (name) },
    }
}

/// The limits of a value.
fn bounds(schema: &Value) -> Markup {
    let limits: Vec<String> = [
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minLength", "characters: at least"),
        ("maxLength", "characters: at most"),
        ("minItems", "items: at least"),
        ("maxItems", "items: at most"),
    ]
    .into_iter()
    .filter_map(|(limit, words)| {
        let number = schema.get(limit)?;
        (number != &json!(0)).then(|| format!("{words} {number}"))
    })
    .collect();
    html! { @if !limits.is_empty() { br; small { (limits.join(", ")) } } }
}

/// The name of a type, where there is only that.
fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(REFERENCE)
}

/// The type itself.
pub fn resolved(schema: &Value) -> &Value {
    match reference(schema) {
        Some(name) => &openapi::published()["components"]["schemas"][name],
        None => schema,
    }
}

/// The fields of a type and of all its parts, and those of them that must be there.
fn fields(schema: &Value) -> (Map<String, Value>, BTreeSet<&str>) {
    let schema = resolved(schema);
    let mut properties = schema["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let names = schema["required"].as_array().into_iter().flatten();
    let mut required: BTreeSet<&str> = names.filter_map(Value::as_str).collect();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let (more, needed) = fields(part);
        properties.extend(more);
        required.extend(needed);
    }
    (properties, required)
}

/// A value of the type. Of what is sent it has the fields that are required, or all where none is.
pub fn example(schema: &Value, is_sent: bool) -> Value {
    value(schema, is_sent, DEEPEST)
}

fn value(schema: &Value, is_sent: bool, depth: usize) -> Value {
    let schema = resolved(schema);
    let given = [
        schema.get("example"),
        schema.get("const"),
        schema["enum"].get(0),
    ];
    if let Some(given) = given.into_iter().flatten().next() {
        return given.clone();
    }
    for union in ["oneOf", "anyOf"] {
        let options = schema[union].as_array().into_iter().flatten();
        if let Some(option) = options.into_iter().find(|option| option["type"] != "null") {
            return value(option, is_sent, depth);
        }
    }
    let (properties, required) = fields(schema);
    let name = names(schema).into_iter().find(|name| *name != "null");
    match name {
        Some("string") => match text(schema, "format") {
            Some("uuid") => json!("019e5b1a-7c3e-7d4f-8a6b-1c2d3e4f5a6b"),
            Some("date-time") => json!("2030-01-31T09:30:00Z"),
            Some("date") => json!("2030-01-31"),
            _ => json!("text"),
        },
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        Some("array") if depth > 0 => json!([value(&schema["items"], is_sent, depth - 1)]),
        Some("array") => json!([]),
        _ if depth > 0 && !properties.is_empty() => {
            let is_all = !is_sent || required.is_empty();
            let wanted = properties
                .iter()
                .filter(|(name, _)| is_all || required.contains(name.as_str()));
            wanted
                .map(|(name, field)| (name.clone(), value(field, is_sent, depth - 1)))
                .collect::<Map<_, _>>()
                .into()
        }
        _ => json!({}),
    }
}
