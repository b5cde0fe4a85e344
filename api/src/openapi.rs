//! The API's own description, generated from its handlers.

use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

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

/// The OpenAPI 3.1 document of this build.
#[must_use]
pub fn document() -> Document {
    routes::described().split_for_parts().1
}
