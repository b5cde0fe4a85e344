//! The OpenAPI document, compared with the server's behaviour.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Answer, Client, TestApp, types};
use crate::world::{Document, Operation, World};

/// Visits every value in a JSON document.
fn walk(value: &Value, visit: &mut dyn FnMut(&Value)) {
    visit(value);
    let fields = value
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.values());
    let items = value.as_array().into_iter().flatten();
    for part in fields.chain(items) {
        walk(part, visit);
    }
}

/// Returns a schema for the parts of OpenAPI 3.1 that this document uses; any other field is a fault.
fn openapi_3_1() -> Value {
    let content = json!({"type": "object", "minProperties": 1, "additionalProperties": {
        "type": "object", "properties": {"schema": {"$ref": "#/$defs/schema"}}, "additionalProperties": false,
    }});
    let parameter = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "in": {"enum": ["path", "query", "header"]},
            "description": {"type": "string"},
            "required": {"type": "boolean"},
            "schema": {"$ref": "#/$defs/schema"},
        },
        "required": ["name", "in", "schema"],
        "additionalProperties": false,
        "if": {"properties": {"in": {"const": "path"}}},
        "then": {"properties": {"required": {"const": true}}, "required": ["required"]},
    });
    let operation = json!({
        "type": "object",
        "properties": {
            "tags": {"type": "array", "items": {"type": "string"}},
            "summary": {"type": "string"},
            "description": {"type": "string"},
            "operationId": {"type": "string"},
            "parameters": {"type": "array", "uniqueItems": true, "items": parameter},
            "requestBody": {
                "type": "object",
                "properties": {"description": {"type": "string"}, "content": content, "required": {"type": "boolean"}},
                "required": ["content"],
                "additionalProperties": false,
            },
            "responses": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": "^(default|[1-5]([0-9]{2}|XX))$"},
                "additionalProperties": {
                    "type": "object",
                    "properties": {"description": {"type": "string"}, "content": content},
                    "required": ["description"],
                    "additionalProperties": false,
                },
            },
            "security": {"type": "array", "items": {
                "type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}},
            }},
        },
        "required": ["responses"],
        "additionalProperties": false,
    });
    json!({
        "$defs": {"schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"}},
        "type": "object",
        "properties": {
            "openapi": {"pattern": "^3\\.1\\.[0-9]+$"},
            "info": {
                "type": "object",
                "properties": {
                    "title": {"type": "string"},
                    "description": {"type": "string"},
                    "version": {"type": "string"},
                    "license": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "identifier": {"type": "string"}},
                        "required": ["name"],
                        "additionalProperties": false,
                    },
                },
                "required": ["title", "version"],
                "additionalProperties": false,
            },
            "servers": {"type": "array", "minItems": 1, "items": {
                "type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"],
            }},
            "paths": {
                "type": "object",
                "propertyNames": {"pattern": "^/"},
                "additionalProperties": {
                    "type": "object",
                    "properties": {
                        "get": operation, "put": operation, "post": operation, "delete": operation, "patch": operation,
                    },
                    "additionalProperties": false,
                },
            },
            "components": {
                "type": "object",
                "properties": {
                    "schemas": {
                        "type": "object",
                        "propertyNames": {"pattern": "^[a-zA-Z0-9._-]+$"},
                        "additionalProperties": {"$ref": "#/$defs/schema"},
                    },
                    "securitySchemes": {"type": "object", "additionalProperties": {
                        "type": "object",
                        "properties": {"type": {"const": "http"}, "scheme": {"type": "string"}},
                        "required": ["type", "scheme"],
                        "additionalProperties": false,
                    }},
                },
                "additionalProperties": false,
            },
        },
        "required": ["openapi", "info", "servers", "paths", "components"],
        "additionalProperties": false,
    })
}

#[tokio::test]
async fn the_description_is_valid_openapi_3_1() {
    let app = TestApp::start().await;
    let document = Document::of(&app.alice).await;
    let validator = jsonschema::draft202012::new(&openapi_3_1()).unwrap();
    let faults: Vec<String> = validator
        .iter_errors(&document.json)
        .map(|fault| format!("{}: {fault:.500}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let mut references = 0;
    walk(&document.json, &mut |value| {
        if value.get("$ref").is_some() {
            document.resolve(value);
            references += 1;
        }
    });
    assert!(references > 100, "{references}");
}

#[tokio::test]
async fn every_operation_says_what_it_is_takes_needs_and_answers() {
    let app = TestApp::start().await;
    let document = Document::of(&app.alice).await;
    let schemes = &document.json["components"]["securitySchemes"];
    assert_eq!(
        schemes["api_key"],
        json!({"type": "http", "scheme": "bearer"})
    );
    let mut ids = BTreeSet::new();
    for operation in document.operations() {
        let (name, spec) = (operation.name(), &operation.spec);
        let id = spec["operationId"].as_str().expect("an operationId");
        assert!(ids.insert(id.to_owned()), "{name}: {id} is taken");
        assert_eq!(spec["tags"].as_array().map(Vec::len), Some(1), "{name}");
        let told = |field: &str| !spec[field].as_str().unwrap_or_default().is_empty();
        assert!(told("summary"), "{name} has no summary");
        let in_path: BTreeSet<&str> = operation
            .path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        assert_eq!(operation.parameters("path"), in_path, "{name}");

        let responses = spec["responses"].as_object().unwrap();
        let success = responses.keys().filter(|status| status.starts_with('2'));
        assert!(success.count() > 0, "{name} documents no success");
        if operation.path.starts_with("/v1/") {
            let takes_scope = !operation.takes_no_scope();
            assert!(
                !takes_scope || !operation.scope().is_empty(),
                "{name} needs no key"
            );
            let problem = &responses["default"]["content"]["application/problem+json"]["schema"];
            assert_eq!(
                problem["$ref"], "#/components/schemas/ProblemDetails",
                "{name}"
            );
            let (query, header) = (operation.query_parameters(), operation.parameters("header"));
            let (headers, statuses) = if operation.is_read() {
                (
                    &["Daybook-Min-Position"][..],
                    &["400", "401", "403", "503"][..],
                )
            } else {
                assert!(query.contains("dry_run"), "{name}");
                (
                    &[
                        "Idempotency-Key",
                        "If-Match",
                        "Daybook-Causation-Id",
                        "traceparent",
                    ][..],
                    &["400", "401", "403", "409", "412", "422", "503"][..],
                )
            };
            assert!(header.contains("Daybook-Correlation-Id"), "{name}");
            assert!(
                headers.iter().all(|wanted| header.contains(wanted)),
                "{name}"
            );
            assert!(
                statuses
                    .iter()
                    .all(|status| responses.contains_key(*status)),
                "{name}"
            );
            assert_eq!(
                responses.contains_key("415"),
                spec.get("requestBody").is_some(),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn no_body_takes_a_field_that_it_does_not_describe() {
    let app = TestApp::start().await;
    let document = Document::of(&app.alice).await;
    let mut objects = 0;
    for operation in document.operations() {
        let mut schemas = vec![operation.spec["requestBody"]["content"].clone()];
        while let Some(schema) = schemas.pop() {
            walk(&schema, &mut |part| {
                if part.get("$ref").is_some() {
                    schemas.push(document.resolve(part).clone());
                }
                if part["properties"].is_object() {
                    let closed = &part["additionalProperties"];
                    assert_eq!(*closed, json!(false), "{}: {part:#}", operation.name());
                    objects += 1;
                }
            });
        }
    }
    assert!(objects > 20, "{objects}");
}

#[tokio::test]
async fn actions_that_are_sent_are_those_that_are_answered() {
    let app = TestApp::start().await;
    let document = Document::of(&app.alice).await;
    let variants = |name: &str| {
        let schema = &document.json["components"]["schemas"][name];
        let variants = schema["oneOf"].as_array().unwrap().iter();
        variants
            .map(|variant| {
                let mut variant = document.resolve(variant).clone();
                let fields = variant.as_object_mut().unwrap();
                fields.remove("additionalProperties");
                let title = fields.remove("title").unwrap();
                let title = title.as_str().unwrap().trim_start_matches("New").to_owned();
                (title, variant)
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(variants("NewAction"), variants("Action"));
}

/// Lists the differences between a response and the description of its operation.
fn departures(document: &Document, operation: &Operation, answer: &Answer) -> Vec<String> {
    let responses = &operation.spec["responses"];
    let response = responses
        .get(answer.status.to_string())
        .or_else(|| responses.get("default").filter(|_| answer.status >= 500));
    let Some(response) = response else {
        return vec![format!("{} is not documented", answer.status)];
    };
    let Some(contents) = response["content"].as_object() else {
        return (answer.body != "")
            .then(|| "no body is documented".to_owned())
            .into_iter()
            .collect();
    };
    let media = answer.header("content-type").split(';').next();
    match media.and_then(|media| contents.get(media)) {
        Some(content) => document.faults(&content["schema"], &answer.body),
        None => vec![format!("{media:?} is not documented")],
    }
}

#[track_caller]
fn assert_described(document: &Document, operation: &Operation, answer: &Answer) {
    let departures = departures(document, operation, answer);
    let name = operation.name();
    assert!(
        departures.is_empty(),
        "{name}: {departures:#?}\n{:#}",
        answer.body
    );
}

#[tokio::test]
async fn every_operation_answers_as_it_is_described() {
    let world = World::start().await;
    let nobody = Client::new(&world.app.url, "");
    for operation in world.document.operations() {
        let path = world.path(&operation).await;
        world.prepare(&operation, &path).await;
        let caller = world.caller(&operation);
        let answer = world.call(caller, &operation, &path).await;
        let name = operation.name();
        assert!(answer.status < 300, "{name}: {:#}", answer.body);
        assert_described(&world.document, &operation, &answer);
        let refused = world.call(&nobody, &operation, &path).await;
        assert_described(&world.document, &operation, &refused);
        let absent = world
            .call(caller, &operation, &operation.on_nothing())
            .await;
        assert_described(&world.document, &operation, &absent);
    }
}

#[tokio::test]
async fn every_command_has_a_dry_run_that_appends_nothing() {
    let world = World::start().await;
    let dry_run = json!({"$ref": "#/components/schemas/DryRun"});
    for operation in world.document.guarded() {
        if operation.is_read() {
            continue;
        }
        let path = world.path(&operation).await;
        world.prepare(&operation, &path).await;
        let before = world.app.alice.head().await;
        let caller = world.caller(&operation);
        let dry = format!("{path}?dry_run=true");
        let answer = world.call(caller, &operation, &dry).await;
        let name = operation.name();
        assert_eq!(answer.status, 200, "{name}: {:#}", answer.body);
        let faults = world.document.faults(&dry_run, &answer.body);
        assert!(faults.is_empty(), "{name}: {faults:#?}");
        assert_eq!(answer.body["dry_run"], true);

        // The dry run has changed nothing; the command itself then does the same, with other ids for new resources.
        let since = format!("after={before}");
        let since = world.app.operator.events(&since).await;
        let planned = types(answer.body["events"].as_array().unwrap());
        let appended = since
            .iter()
            .find(|event| planned.contains(&event["type"].as_str().unwrap()));
        assert!(appended.is_none(), "{name} appended {appended:#?}");
        let real = world.call(caller, &operation, &path).await;
        assert!(real.status < 300, "{name}: {:#}", real.body);
        let correlation_id = real.header("daybook-correlation-id");
        let query = format!("correlation_id={correlation_id}&after={before}");
        let done = world.app.operator.events(&query).await;
        assert_eq!(types(&done)[..planned.len()], planned, "{name}");
    }
}
