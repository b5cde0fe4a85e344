//! JSON Schemas of the tools' inputs and outputs, derived from the types that describe the HTTP API.

use std::collections::BTreeMap;

use rmcp::model::JsonObject;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::openapi;

const COMPONENTS: &str = "#/components/schemas/";
const DEFINITIONS: &str = "#/$defs/";

/// Returns the self-contained schema of an object.
pub fn of<T: ToSchema>() -> JsonObject {
    let mut described = vec![];
    T::schemas(&mut described);
    let described: BTreeMap<String, Value> = described
        .into_iter()
        .map(|(name, schema)| (name, json!(schema)))
        .collect();
    let mut schema = json!(T::schema());
    let definitions = definitions(&schema, &described);
    point_inside(&mut schema);
    let mut schema = schema.as_object().cloned().unwrap_or_default();
    schema.entry("type").or_insert_with(|| "object".into());
    if !definitions.is_empty() {
        let mut definitions = Value::Object(definitions);
        point_inside(&mut definitions);
        schema.insert("$defs".into(), definitions);
    }
    schema
}

/// Collects all schemas that a schema refers to: in the API's published form where there is one, without unknown fields.
fn definitions(schema: &Value, described: &BTreeMap<String, Value>) -> Map<String, Value> {
    let published = &openapi::published()["components"]["schemas"];
    let mut definitions = Map::new();
    let mut missing = vec![];
    references(schema, &mut missing);
    while let Some(name) = missing.pop() {
        let known = published.get(&name).or_else(|| described.get(&name));
        if let Some(schema) = known.filter(|_| !definitions.contains_key(&name)) {
            references(schema, &mut missing);
            definitions.insert(name, schema.clone());
        }
    }
    definitions
}

fn references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let target = fields.get("$ref").and_then(Value::as_str);
            names.extend(target.and_then(|text| Some(text.strip_prefix(COMPONENTS)?.to_owned())));
            fields.values().for_each(|field| references(field, names));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn point_inside(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field
                    .as_str()
                    .and_then(|text| text.strip_prefix(COMPONENTS))
                {
                    Some(target) if name == "$ref" => {
                        *field = format!("{DEFINITIONS}{target}").into()
                    }
                    Some(_) | None => point_inside(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(point_inside),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
