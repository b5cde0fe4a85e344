//! Search over notes, tasks and artifacts.

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::Aggregate;
use domain::knowledge::artifact::Artifact;
use domain::knowledge::note::Note;
use domain::knowledge::task::Task;
use projections::knowledge::search::{self, Kind, Results, Search, Suggestion, Wanted};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::App;
use crate::answer;
use crate::caller::Caller;
use crate::cursor::ListId;
use crate::parameters;
use crate::problem::Problem;
use crate::query::{Params, Read, limit, words};

/// Maximum number of items per page.
const MAX_LIMIT: usize = 100;
/// Default and maximum number of suggestions.
const SUGGESTIONS: usize = 10;
const MAX_SUGGESTIONS: usize = 20;
const STATUSES: &[&str] = &[
    "active",
    "archived",
    "trashed",
    "suggested",
    "open",
    "done",
    "dismissed",
    "attached",
    "detached",
];

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(find))
        .routes(routes!(suggest))
}

/// A search query with filters.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SearchParameters {
    /// Words, "phrases", alternatives with `or`, exclusions with a minus. The last word may be unfinished. Without a query, all items that
    /// match the filters are returned, last changed first.
    #[param(max_length = 1_000)]
    q: Option<String>,
    /// Kinds, separated by commas: `note`, `task`, `artifact`. All that the key may read, if not given.
    kind: Option<String>,
    workspace_id: Option<Uuid>,
    /// Tag of notes or label of tasks.
    tag: Option<String>,
    /// Statuses, separated by commas. Everything except `trashed` and `detached`, if not given.
    status: Option<String>,
    /// Returns only items changed at or after this time.
    since: Option<DateTime<Utc>>,
    /// Returns only items changed before this time.
    until: Option<DateTime<Utc>>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
    /// Maximum number of items per page: 1 to 100; 20 if not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// An unfinished query.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Begun {
    /// Words; the last one may be unfinished. Without words, the most recently changed titles are suggested.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Kinds, separated by commas: `note`, `task`, `artifact`. All that the key may read, if not given.
    kind: Option<String>,
    workspace_id: Option<Uuid>,
    /// Maximum number of suggestions: 1 to 20; 10 if not given.
    #[param(minimum = 1, maximum = 20)]
    limit: Option<usize>,
}

/// Completions of the query, most likely first.
#[derive(Serialize, ToSchema)]
struct Suggestions {
    items: Vec<Suggestion>,
}

impl SearchParameters {
    fn wanted(self, caller: &Caller, list: ListId) -> Result<Wanted, Problem> {
        let wanted = Wanted::default();
        Ok(Wanted {
            kinds: kinds(self.kind.as_deref(), caller)?,
            statuses: statuses(self.status.as_deref())?,
            text: self.q.unwrap_or_default(),
            workspace_id: self.workspace_id,
            tags: self.tag.into_iter().collect(),
            since: self.since,
            until: self.until,
            after: list.place(self.cursor.as_deref())?,
            limit: limit(self.limit, wanted.limit, MAX_LIMIT)?,
        })
    }
}

/// Returns the scope needed to read a kind.
fn scope(kind: Kind) -> String {
    let context = match kind {
        Kind::Note => Note::SCOPE,
        Kind::Task => Task::SCOPE,
        Kind::Artifact => Artifact::SCOPE,
    };
    format!("{context}:read")
}

/// Returns the requested kinds, or all that the caller may read. Refuses a kind that the caller may not read.
fn kinds(asked: Option<&str>, caller: &Caller) -> Result<Vec<Kind>, Problem> {
    let Some(asked) = asked else {
        let allowed = |kind: &Kind| caller.require(&scope(*kind)).is_ok();
        return Ok(search::KINDS.iter().copied().filter(allowed).collect());
    };
    let kinds = words("kind", Some(asked))?.into_iter().map(|word| {
        let kind = word.parse();
        let kind: Kind = kind.map_err(|_| {
            parameters::invalid(
                "kind",
                "must be some of note, task and artifact, with commas between them",
            )
        })?;
        caller.require(&scope(kind))?;
        Ok(kind)
    });
    kinds.collect()
}

fn statuses(asked: Option<&str>) -> Result<Vec<String>, Problem> {
    let statuses = words("status", asked)?.into_iter().map(|word| {
        let detail = || {
            format!(
                "must be some of {}, with commas between them",
                STATUSES.join(", ")
            )
        };
        let known = STATUSES.contains(&word).then(|| word.to_owned());
        known.ok_or_else(|| parameters::invalid("status", detail()))
    });
    statuses.collect()
}

/// Searches the caller's workspaces, best match first: items whose title equals the query, then items whose title contains it, then the
/// rest. Notes need the scope `notes:read`; tasks and artifacts also need their own read scopes.
#[utoipa::path(get, path = "/search", tag = "search", params(SearchParameters),
    responses((status = 200, body = Results)), security(("api_key" = ["notes:read"])))]
async fn find(
    State(app): State<App>,
    read: Read,
    Params(parameters): Params<SearchParameters>,
) -> Result<Response, Problem> {
    let position = app.ready_for(&read, Note::SCOPE, Search::NAME).await?;
    let wanted = parameters.wanted(&read.caller, read.list)?;
    let mut found = search::search(&app.database, read.caller.viewer(), &wanted).await?;
    found.next_cursor = found.next_cursor.map(|place| read.list.cursor(place));
    Ok(answer::found((found, position)))
}

/// Suggests titles that contain the words, those that begin with them first, and words that begin like the last one. Suggests only from
/// what the caller could find.
#[utoipa::path(get, path = "/search/suggestions", tag = "search", params(Begun),
    responses((status = 200, body = Suggestions)), security(("api_key" = ["notes:read"])))]
async fn suggest(
    State(app): State<App>,
    read: Read,
    Params(begun): Params<Begun>,
) -> Result<Response, Problem> {
    let position = app.ready_for(&read, Note::SCOPE, Search::NAME).await?;
    let wanted = Wanted {
        text: begun.q.unwrap_or_default(),
        kinds: kinds(begun.kind.as_deref(), &read.caller)?,
        workspace_id: begun.workspace_id,
        limit: limit(begun.limit, SUGGESTIONS, MAX_SUGGESTIONS)?,
        ..Wanted::default()
    };
    let items = search::suggest(&app.database, read.caller.viewer(), &wanted).await?;
    Ok(answer::found((Suggestions { items }, position)))
}
