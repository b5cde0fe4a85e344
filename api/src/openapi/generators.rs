//! Shapes the document for client generators: short names, discriminators, dry runs, public operations.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

const SCHEMAS: &str = "#/components/schemas/";
/// Method names as they appear in paths.
const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];
/// Field that distinguishes the variants of a union.
const TAG: &str = "type";

type Schemas = Map<String, Value>;

/// Removes an extension from all operations, and returns its values.
pub fn take_extension(document: &mut Value, name: &str) -> BTreeSet<String> {
    let mut values = BTreeSet::new();
    for_each_operation(document, |_, operation| {
        let value = operation
            .as_object_mut()
            .and_then(|fields| fields.remove(name));
        values.extend(value.as_ref().and_then(Value::as_str).map(str::to_owned));
    });
    values
}

/// Shapes a whole document.
pub fn shape(document: &mut Value) {
    if let Some(schemas) = schemas(document) {
        let names = name_resources(schemas);
        name_variants(schemas);
        point_to(document, &names);
    }
    for_each_operation(document, |method, operation| {
        if method != "get" {
            show_dry_run(operation);
        }
        allow_no_body(operation);
        operation
            .as_object_mut()
            .map(|operation| operation.entry("security").or_insert_with(|| json!([])));
    });
    describe_bytes(document);
    drop_unused(document);
    document.as_object_mut().map(|document| {
        document
            .entry("servers")
            .or_insert_with(|| json!([{"url": "/"}]))
    });
}

fn schemas(document: &mut Value) -> Option<&mut Schemas> {
    document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut)
}

fn for_each_operation(document: &mut Value, mut change: impl FnMut(&str, &mut Value)) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for item in paths.into_iter().flat_map(Map::values_mut) {
        for method in METHODS {
            if let Some(operation) = item.get_mut(method) {
                change(method, operation);
            }
        }
    }
}

/// Names a resource after its content (`Note`, not `Row_Note`) and a page after its items (`NoteList`).
/// Returns the new name of each schema that has one.
fn name_resources(schemas: &mut Schemas) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let generic: Vec<String> = schemas
        .keys()
        .filter(|name| name.starts_with("Row_") || name.starts_with("List_"))
        .cloned()
        .collect();
    for old in generic {
        let Some(mut schema) = schemas.remove(&old) else {
            continue;
        };
        let new = match old.strip_prefix("List_") {
            Some(item) => {
                schema["properties"]["items"]["items"] =
                    json!({"$ref": format!("{SCHEMAS}{item}")});
                format!("{}List", item.trim_start_matches("Row_"))
            }
            None => {
                let content = old.trim_start_matches("Row_").to_owned();
                if let Some(description) = schemas
                    .get(&content)
                    .and_then(|content| content.get("description"))
                {
                    schema["description"] = description.clone();
                }
                content
            }
        };
        schemas.insert(new.clone(), schema);
        names.insert(old, new);
    }
    names
}

/// Makes each variant of a tagged union a schema with a name and a discriminator: `note.create` of `Action` becomes `NoteCreateAction`, of
/// `NewAction` `NewNoteCreateAction`.
fn name_variants(schemas: &mut Schemas) {
    let mut named = Schemas::new();
    for (union, schema) in schemas.iter_mut() {
        let Some(variants) = schema.get_mut("oneOf").and_then(Value::as_array_mut) else {
            continue;
        };
        let Some(tags) = variants.iter().map(tag).collect::<Option<Vec<String>>>() else {
            continue;
        };
        let (new, base) = match union.strip_prefix("New") {
            Some(base) => ("New", base),
            None => ("", union.as_str()),
        };
        let mut mapping = Map::new();
        for (tag, variant) in tags.into_iter().zip(variants) {
            let name = format!("{new}{}{base}", camel(&tag));
            let reference = format!("{SCHEMAS}{name}");
            let mut schema = std::mem::replace(variant, json!({"$ref": reference}));
            schema["title"] = name.clone().into();
            schema["properties"][TAG] = json!({"type": "string", "const": tag});
            mapping.insert(tag, reference.into());
            named.insert(name, schema);
        }
        schema["discriminator"] = json!({"propertyName": TAG, "mapping": mapping});
    }
    schemas.extend(named);
}

/// Returns the only value that a variant's tag can have.
fn tag(variant: &Value) -> Option<String> {
    let values = variant.pointer("/properties/type/enum")?.as_array()?;
    match values.as_slice() {
        [Value::String(only)] => Some(only.clone()),
        _ => None,
    }
}

fn camel(tag: &str) -> String {
    tag.split(['.', '_'])
        .map(|word| {
            let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
            first.to_uppercase() + rest
        })
        .collect()
}

/// Updates references to renamed schemas.
fn point_to(value: &mut Value, names: &BTreeMap<String, String>) {
    for_each_reference(value, &mut |reference| {
        let target = reference.strip_prefix(SCHEMAS);
        if let Some(new) = target.and_then(|old| names.get(old)) {
            *reference = format!("{SCHEMAS}{new}");
        }
    });
}

fn for_each_reference(value: &mut Value, visit: &mut impl FnMut(&mut String)) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if name == "$ref" => visit(text),
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Array(_)
                    | Value::Object(_) => for_each_reference(field, visit),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                for_each_reference(item, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Adds the answer of a command to `?dry_run=true`: 200 with a `DryRun`.
fn show_dry_run(operation: &mut Value) {
    let takes_it = operation["parameters"]
        .as_array()
        .is_some_and(|parameters| parameters.iter().any(|p| p["name"] == "dry_run"));
    let Some(responses) = operation["responses"].as_object_mut().filter(|_| takes_it) else {
        return;
    };
    let dry_run = json!({"$ref": format!("{SCHEMAS}DryRun")});
    let response = responses
        .entry("200")
        .or_insert_with(|| json!({"description": "The events that would be appended."}));
    let schema = &mut response["content"]["application/json"]["schema"];
    *schema = match schema.take() {
        resource if resource.is_object() => json!({"oneOf": [resource, dry_run]}),
        _ => dry_run,
    };
}

/// Marks a body that may be left out as optional instead of nullable.
fn allow_no_body(operation: &mut Value) {
    let Some(body) = operation.get_mut("requestBody") else {
        return;
    };
    let Some(schema) = body.pointer_mut("/content/application~1json/schema") else {
        return;
    };
    let variants = schema.get("oneOf").and_then(Value::as_array);
    if let Some([first, second]) = variants.map(Vec::as_slice)
        && *second == json!({"type": "null"})
    {
        *schema = first.clone();
        body["required"] = false.into();
    }
}

/// Describes bytes in the form that generators understand.
fn describe_bytes(document: &mut Value) {
    const BYTES: &str = "application/octet-stream";
    for_each_operation(document, |_, operation| {
        if let Some(body) = operation.get_mut("requestBody") {
            make_binary(body, BYTES);
        }
        let responses = operation["responses"].as_object_mut();
        for response in responses.into_iter().flat_map(Map::values_mut) {
            make_binary(response, BYTES);
        }
    });
}

fn make_binary(message: &mut Value, media_type: &str) {
    if let Some(content) = message
        .get_mut("content")
        .and_then(|content| content.get_mut(media_type))
    {
        content["schema"] = json!({"type": "string", "format": "binary"});
    }
}

/// Removes schemas that nothing refers to.
fn drop_unused(document: &mut Value) {
    let mut used = BTreeSet::new();
    let mut collect = |reference: &mut String| {
        if let Some(name) = reference.strip_prefix(SCHEMAS) {
            used.insert(name.to_owned());
        }
    };
    for_each_reference(document, &mut collect);
    if let Some(schemas) = schemas(document) {
        schemas.retain(|name, _| used.contains(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resources_after_their_content_and_pages_after_their_items() {
        let mut document = json!({
            "paths": {"/notes": {"get": {"responses": {"200": {"content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/List_Row_Note"}}}}}}}},
            "components": {"schemas": {
                "Note": {"type": "object", "description": "A note."},
                "Row_Note": {"allOf": [{"$ref": "#/components/schemas/RowMetadata"}, {"type": "object"}]},
                "RowMetadata": {"type": "object"},
                "List_Row_Note": {"properties": {"items": {"type": "array", "items": {"allOf": []}}}},
            }},
        });
        shape(&mut document);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let names: Vec<_> = schemas.keys().map(String::as_str).collect();
        assert_eq!(names, ["Note", "NoteList", "RowMetadata"]);
        assert_eq!(schemas["Note"]["description"], "A note.");
        assert_eq!(
            schemas["NoteList"]["properties"]["items"]["items"]["$ref"],
            "#/components/schemas/Note"
        );
        let answer =
            &document["paths"]["/notes"]["get"]["responses"]["200"]["content"]["application/json"];
        assert_eq!(answer["schema"]["$ref"], "#/components/schemas/NoteList");
    }

    #[test]
    fn gives_each_variant_of_a_tagged_union_a_name_and_a_discriminator() {
        let variant = |tag: &str| json!({"type": "object", "properties": {"type": {"type": "string", "enum": [tag]}}});
        let mut schemas = Schemas::from_iter([(
            "NewAction".to_owned(),
            json!({"oneOf": [variant("note.create"), variant("task.move_up")]}),
        )]);
        name_variants(&mut schemas);
        let union = &schemas["NewAction"];
        assert_eq!(
            union["discriminator"]["mapping"]["task.move_up"],
            union["oneOf"][1]["$ref"]
        );
        let variant = &schemas["NewTaskMoveUpAction"];
        assert_eq!(variant["title"], "NewTaskMoveUpAction");
        assert_eq!(variant["properties"]["type"]["const"], "task.move_up");
        assert!(schemas.contains_key("NewNoteCreateAction"));
    }

    #[test]
    fn shows_a_dry_run_beside_the_answer_of_a_command() {
        let mut create = json!({"parameters": [{"name": "dry_run"}], "responses": {"201": {}}});
        show_dry_run(&mut create);
        let schema = |operation: &Value| {
            operation["responses"]["200"]["content"]["application/json"]["schema"].clone()
        };
        assert_eq!(schema(&create)["$ref"], "#/components/schemas/DryRun");
        let note = json!({"$ref": "#/components/schemas/Note"});
        let mut revise = json!({"parameters": [{"name": "dry_run"}], "responses": {"200": {
            "content": {"application/json": {"schema": note}}}}});
        show_dry_run(&mut revise);
        assert_eq!(schema(&revise)["oneOf"][0], note);
    }

    #[test]
    fn makes_a_body_that_may_be_null_optional() {
        let rotation = json!({"$ref": "#/components/schemas/Rotation"});
        let mut operation = json!({"requestBody": {"required": true, "content": {"application/json": {
            "schema": {"oneOf": [rotation, {"type": "null"}]}}}}});
        allow_no_body(&mut operation);
        let body = &operation["requestBody"];
        assert_eq!(body["required"], false);
        assert_eq!(body["content"]["application/json"]["schema"], rotation);
    }
}
