//! The API's own description, generated from its handlers.

use std::str::FromStr;

use axum::http::StatusCode;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi, PartialSchema};

use crate::answer::{DryRun, PlannedEvent};
use crate::problem::{FieldError, ProblemDetails};
use crate::routes;

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

/// What holds for all operations.
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

/// The OpenAPI 3.1 document of this build: what the handlers say, and what is the same for all of them.
#[must_use]
pub fn document() -> Document {
    let mut document = routes::described().split_for_parts().1;
    for (path, item) in &mut document.paths.paths {
        for (is_command, operation) in operations(item) {
            name(operation, path);
            describe(operation);
            if path.starts_with("/v1/") {
                let parameters = if is_command { command() } else { query() };
                let all = operation.parameters.get_or_insert_default();
                all.extend(parameters.into_iter().map(Into::into));
                let responses = &mut operation.responses.responses;
                responses.insert("default".into(), problem().into());
            }
        }
    }
    document
}

/// The operations of a path, and whether they are commands.
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

/// Handlers are named within their resource; an operation's id is the only one of its kind.
fn name(operation: &mut Operation, path: &str) {
    let path = path.trim_start_matches("/v1");
    let resource = path.split('/').nth(1).unwrap_or_default().replace('-', "_");
    if let Some(handler) = operation
        .operation_id
        .take_if(|handler| *handler != resource)
    {
        operation.operation_id = Some(format!("{resource}_{handler}"));
    }
}

/// Every response must have a description; most have nothing to tell beyond their status.
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

fn parameter<T: PartialSchema>(place: ParameterIn, name: &str, description: &str) -> Parameter {
    ParameterBuilder::new()
        .parameter_in(place)
        .name(name)
        .description(Some(description))
        .schema(Some(T::schema()))
        .build()
}

fn command() -> Vec<Parameter> {
    vec![
        parameter::<String>(
            ParameterIn::Header,
            "Idempotency-Key",
            "A repetition under the same key gets the answer of the first time.",
        ),
        parameter::<String>(
            ParameterIn::Header,
            "If-Match",
            "The `ETag` of the resource; 412 if it has moved on.",
        ),
        parameter::<bool>(
            ParameterIn::Query,
            "dry_run",
            "Answers 200 with a `DryRun`: the events that would be appended. Nothing is.",
        ),
    ]
}

fn query() -> Vec<Parameter> {
    vec![parameter::<i64>(
        ParameterIn::Header,
        "Daybook-Min-Position",
        "Waits until the answer holds for this position, such as the `Daybook-Position` of an earlier answer.",
    )]
}

fn problem() -> Response {
    let schema = Ref::from_schema_name("ProblemDetails");
    ResponseBuilder::new()
        .description("What went wrong; `code` is stable.")
        .content(
            "application/problem+json",
            ContentBuilder::new().schema(Some(schema)).build(),
        )
        .build()
}
