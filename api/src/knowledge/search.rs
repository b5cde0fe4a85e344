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

/// Most items of a page.
const MAX_LIMIT: usize = 100;
/// Suggestions, if it is not said how many; and at most.
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

/// What to look for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Words, "phrases", alternatives with `or`, exclusions with a minus. The last word may be unfinished. Without any,
    /// everything is found that the rest lets through, the last changed first.
    #[param(max_length = 1_000)]
    q: Option<String>,
    /// Kinds, with commas between them: `note`, `task`, `artifact`. All that the key may read, if not given.
    kind: Option<String>,
    workspace_id: Option<Uuid>,
    /// Notes with this tag, tasks with this label.
    tag: Option<String>,
    /// Statuses, with commas between them. Everything but what is `trashed` or `detached`, if not given.
    status: Option<String>,
    /// What was last changed then, or later.
    since: Option<DateTime<Utc>>,
    /// What was last changed before.
    until: Option<DateTime<Utc>>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Items on the page: 1 to 100; 20 if not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// What has been begun.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Begun {
    /// Words, the last of which may be unfinished. Without any, the titles that changed last are suggested.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Kinds, with commas between them: `note`, `task`, `artifact`. All that the key may read, if not given.
    kind: Option<String>,
    workspace_id: Option<Uuid>,
    /// Suggestions: 1 to 20; 10 if not given.
    #[param(minimum = 1, maximum = 20)]
    limit: Option<usize>,
}

/// How what was begun may go on, the most likely first.
#[derive(Serialize, ToSchema)]
struct Suggestions {
    items: Vec<Suggestion>,
}

impl Which {
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

/// The scope that reading a kind takes.
fn scope(kind: Kind) -> String {
    let context = match kind {
        Kind::Note => Note::SCOPE,
        Kind::Task => Task::SCOPE,
        Kind::Artifact => Artifact::SCOPE,
    };
    format!("{context}:read")
}

/// The kinds that are asked for, each of which the caller must be allowed to read; or all that they may.
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

/// What is found in the caller's workspaces, the best first: what is called as was asked for, then what has it in its
/// title, then the rest. Notes take the scope `notes:read`, tasks and artifacts those of reading them as well.
#[utoipa::path(get, path = "/search", tag = "search", params(Which),
    responses((status = 200, body = Results)), security(("api_key" = ["notes:read"])))]
async fn find(
    State(app): State<App>,
    read: Read,
    Params(which): Params<Which>,
) -> Result<Response, Problem> {
    let position = app.ready_for(&read, Note::SCOPE, Search::NAME).await?;
    let wanted = which.wanted(&read.caller, read.list)?;
    let mut found = search::search(&app.database, read.caller.viewer(), &wanted).await?;
    found.next_cursor = found.next_cursor.map(|place| read.list.cursor(place));
    Ok(answer::found((found, position)))
}

/// Titles that have the words, those that begin so first, and words that begin like the last one: of what the caller could
/// find.
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
