//! The OpenAPI document, generated from the handlers.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::OnceLock;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi, PartialSchema};

use crate::App;
use crate::answer::{DryRun, PlannedEvent};
use crate::problem::{FieldError, ProblemDetails};
use crate::routes;

mod generators;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Daybook",
        description = "The event-sourced backend that AI-native products build on. Every mutation is a command: it takes \
            `Idempotency-Key` and `?dry_run=true`, and answers with `Daybook-Position`. Every read takes \
            `Daybook-Min-Position` and waits for it. Errors are problem details (RFC 9457) with a stable `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(ProblemDetails, FieldError, DryRun, PlannedEvent)),
    modifiers(&Finish),
)]
pub struct Base;

/// Adds the parts that all operations share.
struct Finish;

impl Modify for Finish {
    fn modify(&self, document: &mut Document) {
        document
            .components
            .get_or_insert_default()
            .add_security_scheme(
                "api_key",
                SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
            );
    }
}

/// Unions in command bodies. utoipa forbids unknown fields for structs that deny them, but not for variants.
const SENT_UNIONS: [&str; 1] = ["NewAction"];

fn close(document: &mut Document, name: &str) {
    let schemas = document.components.as_mut().map(|parts| &mut parts.schemas);
    let union = schemas.and_then(|schemas| schemas.get_mut(name));
    if let Some(RefOr::T(Schema::OneOf(union))) = union {
        for variant in &mut union.items {
            if let RefOr::T(Schema::Object(variant)) = variant {
                variant.additional_properties =
                    Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
        }
    }
}

/// Builds the OpenAPI 3.1 document from the handlers, and adds the parts that are common to all.
fn document() -> Document {
    let mut document = routes::described().split_for_parts().1;
    for union in SENT_UNIONS {
        close(&mut document, union);
    }
    for (path, item) in &mut document.paths.paths {
        for (is_command, operation) in operations(item) {
            name(operation, path);
            describe(operation);
            if path.starts_with("/v1/") {
                let parameters = if is_command { command() } else { query() };
                let all = operation.parameters.get_or_insert_default();
                all.extend(parameters.into_iter().map(Into::into));
                all.push(correlation().into());
                problems(operation, is_command, path.contains('{'));
            }
        }
    }
    document
}

/// The document as it is published, and what only the server needs of it.
struct Published {
    document: Value,
    /// Names of the read models that operations read.
    read_models: BTreeSet<String>,
}

fn built() -> &'static Published {
    static BUILT: OnceLock<Published> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut document = serde_json::to_value(document()).unwrap_or_default();
        let read_models = generators::take_extension(&mut document, READ_MODEL);
        generators::shape(&mut document);
        Published {
            document,
            read_models,
        }
    })
}

/// Returns the published document: shaped for client generators, built once.
pub fn published() -> &'static Value {
    &built().document
}

/// Returns the names of the read models that operations read.
pub fn read_models() -> &'static BTreeSet<String> {
    &built().read_models
}

/// The key of an operation: its method in lower case, and its path.
pub type OperationKey = (String, String);

/// Returns the operation key of a request. HEAD uses the description of GET.
pub fn key(method: &Method, path: &str) -> OperationKey {
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    (method.as_str().to_lowercase(), path.to_owned())
}

/// Returns every operation of a document with its description.
pub fn operations_of(document: &Value) -> impl Iterator<Item = (OperationKey, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations.map(move |(method, operation)| ((method.clone(), path.clone()), operation))
    })
}

/// Extension of an operation that names the read model it reads; it is not published.
pub const READ_MODEL: &str = "x-read-model";

/// Path of the document.
pub const PATH: &str = "/openapi.json";

/// Publishes the document, with the server's public address if there is one.
pub async fn publish(State(app): State<App>) -> Json<Value> {
    let mut document = published().clone();
    if let Some(url) = &app.site.public_url {
        document["servers"] = json!([{"url": url.to_string()}]);
    }
    Json(document)
}

/// Returns true if the path belongs to an operation.
pub fn describes(path: &str) -> bool {
    let paths = published()["paths"].as_object().into_iter().flatten();
    paths.into_iter().any(|(template, _)| is_of(path, template))
}

/// Returns true if the path matches the template.
fn is_of(path: &str, template: &str) -> bool {
    let fits = |(segment, wanted): (&str, &str)| {
        segment == wanted || (wanted.starts_with('{') && !segment.is_empty())
    };
    let (path, template) = (path.split('/'), template.split('/'));
    path.clone().count() == template.clone().count() && path.zip(template).all(fits)
}

/// Returns the operations of a path, with true for commands.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let commands = [
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ];
    let commands = commands
        .into_iter()
        .flatten()
        .map(|command| (true, command));
    commands.chain(item.get.as_mut().map(|query| (false, query)))
}

/// Makes an operation's id unique: handler names are unique only within their resource.
fn name(operation: &mut Operation, path: &str) {
    let path = path.trim_start_matches("/v1");
    let resource = path.split('/').nth(1).unwrap_or_default();
    let resource = resource.trim_start_matches('.').replace('-', "_");
    if let Some(handler) = operation
        .operation_id
        .take_if(|handler| *handler != resource)
    {
        operation.operation_id = Some(format!("{resource}_{handler}"));
    }
}

/// Adds the missing response descriptions, which OpenAPI requires; most responses need no more than their status.
fn describe(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
            && let Ok(status) = StatusCode::from_str(status)
        {
            response.description = status.canonical_reason().unwrap_or_default().into();
        }
    }
}

/// Returns the schema of a UUID, which utoipa has for fields only.
pub fn uuid() -> RefOr<Schema> {
    let format = SchemaFormat::KnownFormat(KnownFormat::Uuid);
    let schema = ObjectBuilder::new().schema_type(Type::String);
    schema.format(Some(format)).into()
}

fn parameter(
    place: ParameterIn,
    name: &str,
    schema: RefOr<Schema>,
    description: &str,
) -> Parameter {
    ParameterBuilder::new()
        .parameter_in(place)
        .name(name)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn command() -> Vec<Parameter> {
    vec![
        parameter(
            ParameterIn::Header,
            "Idempotency-Key",
            String::schema(),
            "A repetition under the same key gets the answer of the first time.",
        ),
        parameter(
            ParameterIn::Header,
            "If-Match",
            String::schema(),
            "The `ETag` of the resource, or several; 412 if it is at none of them.",
        ),
        parameter(
            ParameterIn::Header,
            "Daybook-Causation-Id",
            uuid(),
            "The event that made the caller do it.",
        ),
        parameter(
            ParameterIn::Header,
            "traceparent",
            String::schema(),
            "W3C trace context, recorded with the events.",
        ),
        parameter(
            ParameterIn::Query,
            "dry_run",
            bool::schema(),
            "Answers 200 with a `DryRun`: the events that would be appended. Nothing is.",
        ),
    ]
}

fn correlation() -> Parameter {
    parameter(
        ParameterIn::Header,
        "Daybook-Correlation-Id",
        uuid(),
        "Ties together what belongs together; made up if not given, and answered.",
    )
}

fn query() -> Vec<Parameter> {
    vec![parameter(
        ParameterIn::Header,
        "Daybook-Min-Position",
        i64::schema(),
        "Waits until the answer holds for this position, such as the `Daybook-Position` of an earlier answer.",
    )]
}

/// Adds the problem responses that an operation of its kind can return.
fn problems(operation: &mut Operation, is_command: bool, has_id: bool) {
    let has_body = operation.request_body.is_some();
    for (status, can_be, description) in [
        ("400", true, "Malformed, whatever the state."),
        ("401", true, "No key, or one that does not work."),
        ("403", true, "The key or the role does not allow it."),
        (
            "404",
            has_id || has_body,
            "Absent, or not the caller's to see.",
        ),
        ("409", is_command, "Somebody or something else came first."),
        (
            "412",
            is_command,
            "It is at no version that `If-Match` names.",
        ),
        ("413", has_body, "The body is too large."),
        (
            "415",
            has_body,
            "The operation does not take a body of this media type.",
        ),
        ("422", is_command, "Refused by a rule."),
        (
            "503",
            true,
            "Not ready; `Retry-After` says when to come back.",
        ),
        ("default", true, "What went wrong; `code` is stable."),
    ] {
        if can_be {
            let responses = &mut operation.responses.responses;
            responses.insert(status.into(), problem(description).into());
        }
    }
}

fn problem(description: &str) -> Response {
    let schema = Ref::from_schema_name("ProblemDetails");
    ResponseBuilder::new()
        .description(description)
        .content(
            "application/problem+json",
            ContentBuilder::new().schema(Some(schema)).build(),
        )
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_by_the_template_that_it_fits() {
        for described in [
            "/v1/notes",
            "/v1/notes/7",
            "/v1/notes/7/links",
            "/health/live",
            "/",
        ] {
            assert!(describes(described), "{described}");
        }
        for other in [
            "",
            "/v1",
            "/v1/note",
            "/v1/notes/",
            "/v1/notes//links",
            "/v1/notes/7/links/1/2",
        ] {
            assert!(!describes(other), "{other}");
        }
    }
}
