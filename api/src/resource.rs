//! The routes of a resource, made from its read model: handlers with their OpenAPI descriptions.

use std::any::TypeId;
use std::marker::PhantomData;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, on, post};
use commands::{Handler, On};
use domain::Aggregate;
use projections::{List, ReadModel, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use utoipa::openapi::path::HttpMethod;
use utoipa_axum::PathItemExt;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use uuid::Uuid;

use crate::App;
use crate::answer;
use crate::command::{Command, Nothing};
use crate::filter::Filter;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::query::{Page, Params, Path, Read};

/// The row of a read model.
type RowOf<M> = Row<<M as ReadModel>::Content>;
/// A command on the aggregate of a read model.
type CommandOf<M> = <<M as ReadModel>::Of as Aggregate>::Command;

/// The body of a command.
pub trait Body: DeserializeOwned + ToSchema + Send + 'static {}
impl<T: DeserializeOwned + ToSchema + Send + 'static> Body for T {}

/// The shape in which a resource is shown: its row, or a view made from it.
pub trait View<M: ReadModel>: From<RowOf<M>> + Serialize + ToSchema + Send + 'static {}
impl<M: ReadModel, V: From<RowOf<M>> + Serialize + ToSchema + Send + 'static> View<M> for V {}

/// The routes of one resource. The read model gives the scopes, the schema and the visibility.
///
/// An operation that needs more, such as one that shows a secret, is a handler of its own beside these.
pub struct Resource<M: ReadModel, V: View<M> = RowOf<M>> {
    path: &'static str,
    tag: &'static str,
    routes: OpenApiRouter<App>,
    shows: PhantomData<fn() -> (M, V)>,
}

impl<M: ReadModel> Resource<M> {
    /// Begins the routes of a resource at a path below `/v1`, such as `/labels`. Their tag is the scope.
    pub fn at(path: &'static str) -> Self {
        Self {
            path,
            tag: M::SCOPE,
            routes: OpenApiRouter::new(),
            shows: PhantomData,
        }
    }
}

/// Returns the handler of a command on one stream of the read model's aggregate.
fn decided<M: ReadModel, B>(
    command: impl Fn(B) -> CommandOf<M> + Clone + Send + Sync + 'static,
) -> impl Fn(Uuid, B) -> On<M::Of> + Clone + Send + Sync + 'static {
    move |id, body| On {
        id,
        command: command(body),
    }
}

impl<M: ReadModel, V: View<M>> Resource<M, V> {
    /// Lists the operations under another tag.
    pub fn tagged(self, tag: &'static str) -> Self {
        Self { tag, ..self }
    }

    /// Shows the resource as a view.
    pub fn shown_as<W: View<M>>(self) -> Resource<M, W> {
        Resource {
            path: self.path,
            tag: self.tag,
            routes: self.routes,
            shows: PhantomData,
        }
    }

    /// Adds `POST` on the path: it creates a resource with a new id.
    pub fn create<B: Body>(
        self,
        summary: &str,
        command: impl Fn(B) -> CommandOf<M> + Clone + Send + Sync + 'static,
    ) -> Self {
        self.create_with(summary, decided::<M, B>(command))
    }

    /// Adds `POST` on the path, with a handler made from the new id and the body.
    pub fn create_with<B: Body, H: Handler>(
        self,
        summary: &str,
        handler: impl Fn(Uuid, B) -> H + Clone + Send + Sync + 'static,
    ) -> Self {
        let operation = self
            .command::<B>("create", summary, "")
            .answers::<M, V>(StatusCode::CREATED);
        let route = post(|State(app): State<App>, call: Command<B>| async move {
            let handler = handler(Uuid::now_v7(), call.body);
            app.run_as::<M, V>(&call.request, &handler, StatusCode::CREATED, V::from)
                .await
        });
        self.with(operation.described(HttpMethod::Post, route))
    }

    /// Adds `PATCH` on a resource.
    pub fn patch<B: Body>(
        self,
        summary: &str,
        command: impl Fn(B) -> CommandOf<M> + Clone + Send + Sync + 'static,
    ) -> Self {
        self.patch_with(summary, decided::<M, B>(command))
    }

    /// Adds `PATCH` on a resource, with a handler made from its id and the body.
    pub fn patch_with<B: Body, H: Handler>(
        self,
        summary: &str,
        handler: impl Fn(Uuid, B) -> H + Clone + Send + Sync + 'static,
    ) -> Self {
        let operation = self
            .command::<B>("revise", summary, "/{id}")
            .answers::<M, V>(StatusCode::OK);
        self.on_one(HttpMethod::Patch, operation, handler)
    }

    /// Adds `POST` on a part of a resource that is named for what happens: `/{id}/archive`.
    pub fn action<B: Body>(
        self,
        name: &str,
        summary: &str,
        command: impl Fn(B) -> CommandOf<M> + Clone + Send + Sync + 'static,
    ) -> Self {
        self.action_with(name, summary, decided::<M, B>(command))
    }

    /// Adds an [`action`](Self::action) with a handler made from the id and the body.
    pub fn action_with<B: Body, H: Handler>(
        self,
        name: &str,
        summary: &str,
        handler: impl Fn(Uuid, B) -> H + Clone + Send + Sync + 'static,
    ) -> Self {
        let operation = self
            .command::<B>(&name.replace('-', "_"), summary, &format!("/{{id}}/{name}"))
            .answers::<M, V>(StatusCode::OK);
        self.on_one(HttpMethod::Post, operation, handler)
    }

    /// Adds `DELETE` on a resource, which has no row afterwards.
    pub fn delete(
        self,
        summary: &str,
        command: impl Fn() -> CommandOf<M> + Clone + Send + Sync + 'static,
    ) -> Self {
        self.delete_with(summary, move |id| On::<M::Of> {
            id,
            command: command(),
        })
    }

    /// Adds `DELETE` on a resource, with a handler made from its id.
    pub fn delete_with<H: Handler>(
        self,
        summary: &str,
        handler: impl Fn(Uuid) -> H + Clone + Send + Sync + 'static,
    ) -> Self {
        let operation = self
            .command::<Nothing>("delete", summary, "/{id}")
            .answers_nothing();
        self.on_one(HttpMethod::Delete, operation, move |id, _: Nothing| {
            handler(id)
        })
    }

    /// Adds `GET` on a resource.
    pub fn get(self, summary: &str) -> Self {
        let operation = self
            .query("get", summary, "/{id}")
            .answers::<M, V>(StatusCode::OK);
        let route = get(
            |State(app): State<App>, read: Read, Path(id): Path<Uuid>| async move {
                if TypeId::of::<V>() == TypeId::of::<RowOf<M>>() {
                    return app.get::<M>(&read, id).await;
                }
                let (row, position) = app.find::<M>(&read, id).await?;
                let version = row.metadata.version;
                Ok(App::show(V::from(row), version, position))
            },
        );
        self.with(operation.described(HttpMethod::Get, route))
    }

    /// Adds `GET` on the path: it lists the resources that the caller may see, newest first.
    pub fn list<F: Filter>(self, summary: &str) -> Self {
        let operation = self
            .query("list", summary, "")
            .selects::<F>()
            .lists::<M, V>();
        let route = get(
            |State(app): State<App>,
             read: Read,
             Params(filter): Params<F>,
             Params(page): Params<Page>| async move {
                let (found, position) = if filter.is_for_all() {
                    app.list_all::<M>(&read, page).await?
                } else {
                    let wanted = filter.conditions()?;
                    app.list::<M>(&read, wanted, page).await?
                };
                let shown = List {
                    items: found.items.into_iter().map(V::from).collect(),
                    next_cursor: found.next_cursor,
                };
                Ok::<_, Problem>(answer::found((shown, position)))
            },
        );
        self.with(operation.described(HttpMethod::Get, route))
    }

    /// Adds handlers of the resource that have more to do.
    pub fn with(self, routes: UtoipaMethodRouter<App>) -> Self {
        Self {
            routes: self.routes.routes(routes),
            ..self
        }
    }

    /// Returns the routes.
    pub fn routes(self) -> OpenApiRouter<App> {
        self.routes
    }

    /// Adds a command on one resource.
    fn on_one<B: Body, H: Handler>(
        self,
        method: HttpMethod,
        operation: Operation,
        handler: impl Fn(Uuid, B) -> H + Clone + Send + Sync + 'static,
    ) -> Self {
        let route = on(
            method.to_method_filter(),
            |State(app): State<App>, Path(id): Path<Uuid>, call: Command<B>| async move {
                let handler = handler(id, call.body);
                app.run_as::<M, V>(&call.request, &handler, StatusCode::OK, V::from)
                    .await
            },
        );
        self.with(operation.described(method, route))
    }

    fn command<B: Body>(&self, name: &str, summary: &str, below: &str) -> Operation {
        let scope = format!("{}:write", M::Of::SCOPE);
        self.operation(name, summary, below, scope).takes::<B>()
    }

    fn query(&self, name: &str, summary: &str, below: &str) -> Operation {
        let scope = format!("{}:read", M::SCOPE);
        self.operation(name, summary, below, scope)
    }

    fn operation(&self, name: &str, summary: &str, below: &str, scope: String) -> Operation {
        let path = format!("{}{below}", self.path);
        Operation::new(name, summary, self.tag, path, scope)
    }
}
