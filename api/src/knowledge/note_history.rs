//! The history of a note: its versions and the changes between them.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::knowledge::note::{Merge, Note, NoteEvent};
use domain::{Actor, Aggregate, StreamId};
use projections::Row;
use projections::knowledge::note::{NoteContent, Notes};
use serde::{Deserialize, Serialize};
use store::{Direction, Position, Recorded, heavy};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::answer;
use crate::cursor::ListId;
use crate::knowledge::text::{self, Diffs};
use crate::parameters;
use crate::problem::Problem;
use crate::query::{Page, Params, Path, Read, reached};

/// Number of events per read.
const PAGE: usize = 500;
/// Maximum bytes of all diffs on a page; long diffs make pages shorter.
const DIFFS: usize = 4 << 20;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(history))
}

/// A point in the past.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AsOf {
    /// Log position or time (RFC 3339) whose state is returned.
    as_of: Option<String>,
}

pub enum When {
    Position(Position),
    Time(DateTime<Utc>),
    Version(i64),
}

impl AsOf {
    pub fn when(&self) -> Result<Option<When>, Problem> {
        let Some(text) = &self.as_of else {
            return Ok(None);
        };
        // In a query string, a bare `+` means a space.
        let time = || DateTime::parse_from_rfc3339(&text.replace(' ', "+"));
        let position = || text.parse().ok().filter(|position| *position >= 0);
        position()
            .map(When::Position)
            .or_else(|| time().ok().map(|time| When::Time(time.to_utc())))
            .map(Some)
            .ok_or_else(|| parameters::invalid("as_of", "must be a position or an RFC 3339 time"))
    }
}

/// Returns the note at a point in the past. Positions and times only grow, so a past state is a prefix of its stream.
pub async fn at(app: &App, id: Uuid, when: When) -> Result<Row<NoteContent>, Problem> {
    if let When::Position(position) = when {
        reached(app, "as_of", position).await?;
    }
    app.views
        .while_holds::<Notes>(id, |event| match when {
            When::Position(position) => event.position <= position,
            When::Time(time) => event.recorded_at <= time,
            When::Version(version) => event.version <= version,
        })
        .await?
        .ok_or_else(|| Problem::not_found("note at that time"))
}

/// The history of a note, newest version first.
#[derive(Serialize, ToSchema)]
struct History {
    items: Vec<Version>,
    next_cursor: Option<String>,
}

/// One version of a note.
#[derive(Serialize, ToSchema)]
struct Version {
    version: i64,
    r#type: String,
    event_id: Uuid,
    #[schema(value_type = i64)]
    position: Position,
    recorded_at: DateTime<Utc>,
    /// Actor of the change.
    actor: Actor,
    /// Author of the proposal, if the change came from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<Actor>,
    command: String,
    /// The merge, if the change was written for an earlier version and merged into the previous one.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged: Option<Merge>,
    /// Reason for the change, if given.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<Uuid>,
    correlation_id: Uuid,
    /// Unified diff from the previous version; empty if only the status changed.
    diff: String,
}

/// Lists all versions of a note with actor, reason and unified diff.
#[utoipa::path(get, path = "/notes/{id}/history", tag = "notes", params(("id" = Uuid, Path), Page),
    responses((status = 200, body = History)), security(("api_key" = ["notes:read"])))]
async fn history(
    State(app): State<App>,
    read: Read,
    Path(id): Path<Uuid>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let (row, position) = app.find::<Notes>(&read, id).await?;
    let limit = page.limit()?;
    let before = page.after::<NonZeroU64>(read.list)?;
    let before = before.and_then(|version| i64::try_from(version.get()).ok());
    let last = before.map_or(row.metadata.version, |before| {
        row.metadata.version.min(before - 1)
    });
    let mut shown = Shown {
        first: last - i64::try_from(limit).unwrap_or(i64::MAX) + 1,
        last,
        state: Note::default(),
        items: VecDeque::new(),
        bytes: 0,
    };
    shown.read(&app, id).await?;
    Ok(answer::found((shown.page(read.list), position)))
}

/// Versions of a note as they are read, oldest first.
struct Shown {
    first: i64,
    last: i64,
    /// State after the last version that was read.
    state: Note,
    items: VecDeque<Version>,
    /// Bytes of all diffs.
    bytes: usize,
}

impl Shown {
    async fn read(&mut self, app: &App, id: Uuid) -> Result<(), Problem> {
        let stream = StreamId::of::<Note>(id);
        let mut read = 0;
        while read < self.last {
            let store = &app.store;
            let page = store
                .read_stream(&stream, read, Direction::Forwards, PAGE)
                .await?;
            let Some(end) = page.last() else {
                return Ok(());
            };
            read = end.version;
            let last = self.last;
            for event in page.iter().take_while(|event| event.version <= last) {
                // The cost of a diff depends on both texts, even for a short event.
                let bytes = event.data.len() + body(&self.state);
                heavy(bytes, || self.take(event)).await??;
            }
        }
        Ok(())
    }

    fn take(&mut self, event: &Recorded) -> Result<(), Problem> {
        let change = event
            .decode::<NoteEvent>()
            .map_err(|error| Problem::internal(&error))?;
        let state = std::mem::take(&mut self.state);
        if event.version < self.first {
            self.state = state.evolve(&change);
            return Ok(());
        }
        let before = text::of_note(&state);
        self.state = state.evolve(&change);
        let item = version(event, &change, &before, &text::of_note(&self.state));
        self.bytes += item.diff.len();
        self.items.push_back(item);
        while self.bytes > DIFFS && self.items.len() > 1 {
            let dropped = self.items.pop_front();
            self.bytes -= dropped.map_or(0, |item| item.diff.len());
        }
        Ok(())
    }

    /// Returns the page, newest version first.
    fn page(self, list: ListId) -> History {
        let items: Vec<Version> = self.items.into_iter().rev().collect();
        let oldest = items.last().map(|item| item.version);
        History {
            next_cursor: oldest
                .filter(|version| *version > 1)
                .map(|version| list.cursor(version)),
            items,
        }
    }
}

fn body(note: &Note) -> usize {
    note.content().map_or(0, |content| content.body.len())
}

fn version(event: &Recorded, change: &NoteEvent, before: &str, after: &str) -> Version {
    let merged = if let NoteEvent::Revised { merged, .. } = change {
        *merged
    } else {
        None
    };
    let versions = [event.version - 1, event.version];
    let diff = Diffs::default().diff(before, after, versions);
    Version {
        version: event.version,
        r#type: event.event_type.clone(),
        event_id: event.event_id,
        position: event.position,
        recorded_at: event.recorded_at,
        actor: event.metadata.actor,
        on_behalf_of: event.metadata.on_behalf_of,
        command: event.metadata.command.clone(),
        merged,
        reason: event.metadata.reason.clone(),
        causation_id: event.causation_id,
        correlation_id: event.correlation_id,
        diff,
    }
}
