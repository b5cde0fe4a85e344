//! Types of bodies: their fields and an example of each.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::Page;
use super::guides::inline;
use super::layout::address;
use crate::openapi;

const REFERENCE: &str = "#/components/schemas/";
/// Maximum depth of nested types in an example.
const DEEPEST: usize = 8;

/// Returns the page with all types.
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

/// Describes a type: its fields, variants or values.
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

/// Returns the description of a field; without one, that of its named type.
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

/// Returns the type in words, with a link if it has a name.
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

/// Returns the JSON type names of a schema, one or several.
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

/// Describes the limits of a value.
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

/// Returns the name of a type, if the schema is a reference.
fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(REFERENCE)
}

/// Resolves a reference to the type itself.
pub fn resolved(schema: &Value) -> &Value {
    match reference(schema) {
        Some(name) => &openapi::published()["components"]["schemas"][name],
        None => schema,
    }
}

/// Returns the fields of a type and all its parts, and the required ones.
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

/// Returns a sample value of the type. A request body has only the required fields, or all fields if none is required.
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
