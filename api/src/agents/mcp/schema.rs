//! JSON Schemas of what tools take and answer, from the types that the HTTP API describes itself with.

use rmcp::model::JsonObject;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::openapi;

const COMPONENTS: &str = "#/components/schemas/";
const DEFINITIONS: &str = "#/$defs/";

/// The schema of an object, standing on its own.
pub fn of<T: ToSchema>() -> JsonObject {
    let mut described = vec![];
    T::schemas(&mut described);
    let published = &openapi::published()["components"]["schemas"];
    let definitions: Map<String, Value> = described
        .into_iter()
        .map(|(name, schema)| {
            // As the API publishes it, where it does: with nothing but the fields that there are.
            let known = published.get(&name).cloned();
            let schema = known.unwrap_or_else(|| json!(schema));
            (name, schema)
        })
        .collect();
    let mut schema = json!(T::schema());
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
