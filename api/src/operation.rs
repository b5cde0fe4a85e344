//! The OpenAPI description of one operation that is made from types rather than from a handler.

use std::any::TypeId;

use axum::http::StatusCode;
use axum::routing::MethodRouter;
use projections::{List, ReadModel, Row, RowMetadata};
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::App;
use crate::command::Nothing;
use crate::openapi;
use crate::query::Page;
use crate::resource::View;

/// An operation that is being described.
pub struct Operation {
    path: String,
    builder: OperationBuilder,
    /// The schemas that the description refers to, by name.
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Operation {
    /// Begins the description of an operation that needs a scope. A path with `{id}` gets this parameter.
    pub fn new(name: &str, summary: &str, tag: &str, path: String, scope: String) -> Self {
        let builder = OperationBuilder::new()
            .operation_id(Some(name))
            .summary(Some(summary))
            .tag(tag)
            .security(SecurityRequirement::new("api_key", [scope]));
        let builder = if path.contains("{id}") {
            let id = ParameterBuilder::new()
                .name("id")
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(openapi::uuid()));
            builder.parameter(id)
        } else {
            builder
        };
        Self {
            path,
            builder,
            schemas: vec![],
        }
    }

    /// Adds the body, unless it is [`Nothing`].
    pub fn takes<B: ToSchema + 'static>(mut self) -> Self {
        if TypeId::of::<B>() == TypeId::of::<Nothing>() {
            return self;
        }
        let schema = self.refer::<B>(B::name().into_owned());
        let body = RequestBodyBuilder::new()
            .content(
                "application/json",
                ContentBuilder::new().schema(Some(schema)).build(),
            )
            .required(Some(Required::True))
            .build();
        self.builder = self.builder.request_body(Some(body));
        self
    }

    /// Adds the parameters of a list: its filter and its page.
    pub fn selects<F: IntoParams>(mut self) -> Self {
        let query = || Some(ParameterIn::Query);
        for parameter in F::into_params(query)
            .into_iter()
            .chain(Page::into_params(query))
        {
            self.builder = self.builder.parameter(parameter);
        }
        self
    }

    /// Adds the answer that shows a resource.
    pub fn answers<M: ReadModel, V: View<M>>(mut self, status: StatusCode) -> Self {
        let name = shown::<M, V>();
        let schema = if is_row::<M, V>() {
            self.refer::<M::Content>(M::Content::name().into_owned());
            self.refer::<RowMetadata>("RowMetadata".into());
            self.schemas.push((name.clone(), row::<M::Content>()));
            Ref::from_schema_name(name)
        } else {
            self.refer::<V>(name)
        };
        let model = ExtensionsBuilder::new()
            .add(openapi::READ_MODEL, M::NAME)
            .build();
        self.builder = self.builder.extensions(Some(model));
        self.respond(status, Some(schema))
    }

    /// Adds the answer that shows a page of resources.
    pub fn lists<M: ReadModel, V: View<M>>(self) -> Self {
        let mut described = self.answers::<M, V>(StatusCode::OK);
        let schema = described.refer::<List<V>>(format!("List_{}", shown::<M, V>()));
        described.respond(StatusCode::OK, Some(schema))
    }

    /// Adds the answer without a body.
    pub fn answers_nothing(self) -> Self {
        self.respond(StatusCode::NO_CONTENT, None)
    }

    /// Joins the description and the handler.
    pub fn described(
        self,
        method: HttpMethod,
        handler: MethodRouter<App>,
    ) -> UtoipaMethodRouter<App> {
        let mut paths = Paths::new();
        paths.add_path_operation(self.path, vec![method], self.builder.build());
        (self.schemas, paths, handler)
    }

    fn respond(mut self, status: StatusCode, schema: Option<Ref>) -> Self {
        let response = schema.map_or_else(ResponseBuilder::new, |schema| {
            let content = ContentBuilder::new().schema(Some(schema)).build();
            ResponseBuilder::new().content("application/json", content)
        });
        self.builder = self.builder.response(status.as_str(), response.build());
        self
    }

    /// Adds a schema under a name, and returns a reference to it.
    fn refer<T: ToSchema>(&mut self, name: String) -> Ref {
        T::schemas(&mut self.schemas);
        self.schemas.push((name.clone(), T::schema()));
        Ref::from_schema_name(name)
    }
}

fn is_row<M: ReadModel, V: View<M>>() -> bool {
    TypeId::of::<V>() == TypeId::of::<Row<M::Content>>()
}

/// Returns the schema of a row with that of its content in place, as descriptions of handlers have it.
fn row<C: ToSchema>() -> RefOr<Schema>
where
    Row<C>: ToSchema,
{
    let mut row = Row::<C>::schema();
    if let RefOr::T(Schema::AllOf(parts)) = &mut row
        && let Some(content) = parts.items.last_mut()
    {
        *content = C::schema();
    }
    row
}

/// Returns the name of a resource's schema. The name of a row contains that of its content, as in descriptions of handlers.
fn shown<M: ReadModel, V: View<M>>() -> String {
    if is_row::<M, V>() {
        format!("Row_{}", M::Content::name())
    } else {
        V::name().into_owned()
    }
}
