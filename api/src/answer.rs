//! Answers to commands and queries.

use std::fmt::Display;

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use commands::{Done, Handler, Planned, Request, sha256_hex};
use domain::knowledge::workspace::Workspace;
use domain::{Aggregate, StreamId};
use projections::{List, NEWEST_FIRST, Order, ReadModel, Row, Where, visible};
use serde::Serialize;
use store::{Direction, Position};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::App;
use crate::command::Command;
use crate::identity::OVERSEES;
use crate::problem::Problem;
use crate::query::{Page, Read};
use crate::query_cache::Answer;

/// The answer to `?dry_run=true`; nothing was appended.
#[derive(Debug, Serialize, ToSchema)]
pub struct DryRun {
    pub dry_run: bool,
    #[schema(value_type = Vec<PlannedEvent>)]
    pub events: Vec<Planned>,
}

impl DryRun {
    pub fn of(events: Vec<Planned>) -> Response {
        Json(Self {
            dry_run: true,
            events,
        })
        .into_response()
    }
}

/// An event that the command would append.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedEvent {
    /// Id of the stream: `category-uuid`.
    pub stream: String,
    pub version: i64,
    pub r#type: String,
    pub data: serde_json::Value,
}

/// Shows a secret in the first answer to a command, but not in repeated ones.
#[derive(Debug, Clone)]
pub struct Once {
    is_first: bool,
    /// Types of the events that this execution appended.
    appended: Vec<String>,
}

impl Once {
    fn of(done: &Done) -> Self {
        let types = done.events.iter().map(|event| event.event_type.clone());
        Self {
            is_first: !done.replayed,
            appended: types.collect(),
        }
    }

    /// Returns the secret, or a notice that says how to get another one.
    pub fn show(
        &self,
        secret: impl FnOnce() -> String,
        otherwise: &'static str,
    ) -> (Option<String>, Option<&'static str>) {
        if self.is_first {
            (Some(secret()), None)
        } else {
            (None, Some(otherwise))
        }
    }

    /// Returns true if this execution appended an event of this type.
    pub fn has_appended(&self, event_type: &str) -> bool {
        self.appended.iter().any(|appended| appended == event_type)
    }

    /// Returns true for a repeated answer.
    pub const fn is_repeated(&self) -> bool {
        !self.is_first
    }
}

/// Adds the log position that an answer is valid for.
pub fn at(mut response: Response, position: Position) -> Response {
    response
        .headers_mut()
        .insert("daybook-position", HeaderValue::from(position));
    response
}

fn tag(response: &mut Response, version: impl Display) {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
}

/// Forbids storing and compressing an answer, because it shows a secret.
pub fn secret(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn json(resource: &impl Serialize) -> Result<Bytes, Problem> {
    let text = serde_json::to_vec(resource).map_err(|error| Problem::internal(&error))?;
    Ok(text.into())
}

fn json_response(json: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

/// Returns the resource with the position of its read model.
pub fn found((resource, position): (impl Serialize, Position)) -> Response {
    at(Json(resource).into_response(), position)
}

impl App {
    /// Lets an operator's command act in the product that the resource belongs to.
    pub(crate) async fn reach<A: Aggregate>(
        &self,
        command: &mut Command<impl Sized>,
        id: Uuid,
    ) -> Result<(), Problem> {
        if command.caller.is_operator() {
            let thing = self.executor.repository().latest::<A>(id).await?;
            command.request.product_id = thing.product_id.unwrap_or(command.request.product_id);
        }
        Ok(())
    }

    /// Runs a command. Keys that it changes work, or stop working, at once.
    async fn execute(&self, request: &Request, handler: &dyn Handler) -> Result<Done, Problem> {
        let done = self.executor.execute(request, handler).await?;
        self.authenticator.notice(&done.events);
        Ok(done)
    }

    /// Runs a command, and returns the resource as of right after it. Repetitions get the same answer.
    pub(crate) async fn run<M: ReadModel>(
        &self,
        request: &Request,
        handler: &dyn Handler,
        status: StatusCode,
    ) -> Result<Response, Problem> {
        let done = self.execute(request, handler).await?;
        self.answer::<M, _>(done, status, |row| row).await
    }

    /// Runs a command, and shows a secret in the first answer. The answer must not be stored.
    pub(crate) async fn run_revealing<M: ReadModel, V: Serialize>(
        &self,
        request: &Request,
        handler: &dyn Handler,
        status: StatusCode,
        view: impl FnOnce(Row<M::Content>, Once) -> V,
    ) -> Result<Response, Problem> {
        let done = self.execute(request, handler).await?;
        let once = Once::of(&done);
        self.answer::<M, V>(done, status, |row| view(row, once))
            .await
            .map(secret)
    }

    /// Runs a command, and returns the resource in another shape.
    pub(crate) async fn run_as<M: ReadModel, V: Serialize>(
        &self,
        request: &Request,
        handler: &dyn Handler,
        status: StatusCode,
        view: impl FnOnce(Row<M::Content>) -> V,
    ) -> Result<Response, Problem> {
        let done = self.execute(request, handler).await?;
        self.answer::<M, V>(done, status, view).await
    }

    /// Returns the resource as of right after a command.
    pub(crate) async fn answer<M: ReadModel, V: Serialize>(
        &self,
        done: Done,
        status: StatusCode,
        view: impl FnOnce(Row<M::Content>) -> V,
    ) -> Result<Response, Problem> {
        if let Some(events) = done.planned {
            return Ok(at(DryRun::of(events), done.position));
        }
        let row = self
            .views
            .at_version::<M>(done.stream.id, done.version, &done.events)
            .await?;
        let mut response = match row {
            Some(row) => (status, Json(view(row))).into_response(),
            None => StatusCode::NO_CONTENT.into_response(),
        };
        tag(&mut response, done.version);
        if done.replayed {
            response
                .headers_mut()
                .insert("idempotency-replayed", HeaderValue::from_static("true"));
        }
        Ok(at(response, done.position))
    }

    /// Returns one resource if the caller may see it.
    pub(crate) async fn get<M: ReadModel>(
        &self,
        read: &Read,
        id: Uuid,
    ) -> Result<Response, Problem> {
        if !M::DEPENDS_ON.is_empty() {
            // The cache does not notice changes in the models that this one depends on.
            let (row, position) = self.find::<M>(read, id).await?;
            return Ok(Self::show(&row, row.metadata.version, position));
        }
        let position = self.ready::<M>(read).await?;
        let (stream, viewer) = (StreamId::new(M::NAME, id), read.caller.viewer());
        let answer = match self.query_cache.find(&stream, viewer, position) {
            Some(answer) => answer,
            None => {
                let row = self.row::<M>(read, id).await?;
                let answer = Answer {
                    json: json(&row)?,
                    version: row.metadata.version,
                };
                // The cache does not notice when the stream leaves the quarantine.
                if row.metadata.quarantined_at.is_none() {
                    self.query_cache
                        .keep(stream, viewer, position, answer.clone());
                }
                answer
            }
        };
        let mut response = json_response(answer.json);
        tag(&mut response, answer.version);
        Ok(at(response, position))
    }

    /// Returns one resource that the caller may see, and the position of its read model.
    pub(crate) async fn find<M: ReadModel>(
        &self,
        read: &Read,
        id: Uuid,
    ) -> Result<(Row<M::Content>, Position), Problem> {
        self.find_where::<M>(read, M::VISIBLE, id).await
    }

    /// Returns one resource that the caller may see by the given condition, and the position of its read model.
    pub(crate) async fn find_where<M: ReadModel>(
        &self,
        read: &Read,
        visible: &'static str,
        id: Uuid,
    ) -> Result<(Row<M::Content>, Position), Problem> {
        let position = self.ready::<M>(read).await?;
        let viewer = read.caller.viewer();
        let row = projections::get_where::<M>(&self.database, visible, viewer, id).await?;
        Ok((row.ok_or_else(|| Problem::not_found(M::NAME))?, position))
    }

    /// Returns one resource from a read model that is already far enough.
    pub(crate) async fn row<M: ReadModel>(
        &self,
        read: &Read,
        id: Uuid,
    ) -> Result<Row<M::Content>, Problem> {
        self.row_maybe::<M>(read, id)
            .await?
            .ok_or_else(|| Problem::not_found(M::NAME))
    }

    /// Returns one resource, or `None` if there is none. Marks a row whose stream is in quarantine.
    async fn row_maybe<M: ReadModel>(
        &self,
        read: &Read,
        id: Uuid,
    ) -> Result<Option<Row<M::Content>>, Problem> {
        let row = projections::get::<M>(&self.database, read.caller.viewer(), id).await?;
        let at = self.readers.quarantined(&StreamId::new(M::NAME, id));
        match (row, at) {
            (Some(mut row), at) => {
                row.metadata.quarantined_at = at;
                Ok(Some(row))
            }
            (None, Some(at)) if self.began_at::<M>(read, id).await? == Some(at) => {
                Err(Problem::quarantined(M::NAME, at))
            }
            (None, _) => Ok(None),
        }
    }

    /// Returns the position of the first event of a stream, if the caller may see it.
    async fn began_at<M: ReadModel>(
        &self,
        read: &Read,
        id: Uuid,
    ) -> Result<Option<Position>, Problem> {
        let stream = StreamId::new(M::NAME, id);
        let first = self.store.read_stream(&stream, 0, Direction::Forwards, 1);
        match first.await?.into_iter().next() {
            Some(first) if self.sees(&read.caller, &first).await? => Ok(Some(first.position)),
            Some(_) | None => Ok(None),
        }
    }

    /// Returns one resource that the caller may see, or `None`, and the position of its read model.
    pub(crate) async fn find_maybe<M: ReadModel>(
        &self,
        read: &Read,
        id: Uuid,
    ) -> Result<(Option<Row<M::Content>>, Position), Problem> {
        let position = self.ready::<M>(read).await?;
        Ok((self.row_maybe::<M>(read, id).await?, position))
    }

    /// Returns a page of the resources that the caller may see, newest first.
    pub(crate) async fn list<M: ReadModel>(
        &self,
        read: &Read,
        wanted: Where,
        page: Page,
    ) -> Result<(List<Row<M::Content>>, Position), Problem> {
        self.list_in::<M>(read, wanted, NEWEST_FIRST, page).await
    }

    /// Returns a page of all resources of the caller's product, for callers who manage its keys.
    pub(crate) async fn list_all<M: ReadModel>(
        &self,
        read: &Read,
        page: Page,
    ) -> Result<(List<Row<M::Content>>, Position), Problem> {
        let position = self.ready::<M>(read).await?;
        read.caller.require(OVERSEES)?;
        let (viewer, cursor) = (read.caller.viewer(), page.of(read.list)?);
        let (all, wanted) = (visible::IN_PRODUCT, Where::default());
        let (database, order) = (&self.database, NEWEST_FIRST);
        let found =
            projections::list_where::<M>(database, all, viewer, wanted, order, cursor).await?;
        Ok((found.sealed(|place| read.list.cursor(place)), position))
    }

    /// Returns a page of the resources that the caller may see, in any order.
    pub(crate) async fn list_in<M: ReadModel>(
        &self,
        read: &Read,
        wanted: Where,
        order: Order,
        page: Page,
    ) -> Result<(List<Row<M::Content>>, Position), Problem> {
        let position = self.ready::<M>(read).await?;
        let (viewer, cursor) = (read.caller.viewer(), page.of(read.list)?);
        let mut found =
            projections::list::<M>(&self.database, viewer, wanted, order, cursor).await?;
        for row in &mut found.items {
            row.metadata.quarantined_at =
                (self.readers).quarantined(&StreamId::new(M::NAME, row.metadata.id));
        }
        Ok((found.sealed(|place| read.list.cursor(place)), position))
    }

    /// Checks the scope of a read, and waits until the read models reach the requested position; returns their position.
    async fn ready<M: ReadModel>(&self, read: &Read) -> Result<Position, Problem> {
        let mut position = self.ready_for(read, M::SCOPE, M::NAME).await?;
        for beside in M::DEPENDS_ON {
            position = position.min(self.readers.wait(beside, read.min_position).await?);
        }
        Ok(position)
    }

    /// Checks and waits like `ready`, given the context of the scope and the name of the read model's checkpoint.
    pub(crate) async fn ready_for(
        &self,
        read: &Read,
        context: &str,
        name: &str,
    ) -> Result<Position, Problem> {
        read.caller.require(&format!("{context}:read"))?;
        let position = self.readers.wait(name, read.min_position).await?;
        // Visibility may depend on the workspace.
        let workspaces = self
            .readers
            .wait(Workspace::CATEGORY, read.min_position)
            .await?;
        Ok(position.min(workspaces))
    }

    /// Returns a resource with its version and the position that it is valid for.
    pub(crate) fn show(resource: impl Serialize, version: i64, position: Position) -> Response {
        let mut response = Json(resource).into_response();
        tag(&mut response, version);
        at(response, position)
    }

    /// Returns a resource that includes parts of others. Its tag combines its version with a digest that changes with those parts.
    pub(crate) fn show_with_others(
        resource: &impl Serialize,
        version: i64,
        position: Position,
    ) -> Result<Response, Problem> {
        let json = json(resource)?;
        let digest = sha256_hex(&json);
        let mut response = json_response(json);
        tag(&mut response, format!("{version}-{}", &digest[..16]));
        Ok(at(response, position))
    }
}
