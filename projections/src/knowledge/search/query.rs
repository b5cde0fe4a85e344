//! Finds documents that the viewer may see.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use store::{Database, Position};
use utoipa::ToSchema;
use uuid::Uuid;

use super::correction::{Scope, corrected};
use super::cursor::Place;
use super::parsed_query::{ParsedQuery, QueryWord};
use super::snippet::{Fragment, highlighted, snippet};
use super::vector;
use crate::query::rows;
use crate::{QueryError, Viewer, visible};

/// Number of newest matches that are counted.
const COUNTED: i64 = 5_000;
/// Number of newest matches that are counted if each must be checked for a phrase.
const COUNTED_EXACTLY: i64 = 2_000;
/// Number of newest matches that are ranked, and of newest title matches ranked besides them.
const RANKED: i64 = 1_000;
/// Characters of a body that a snippet is made from: a part, and some text after it.
const EXCERPT: usize = vector::PART + 500;
/// Number of results below which corrections are tried.
const LITTLE: i64 = 3;
/// Number of newest workspaces whose words are searched.
const WORKSPACES: i64 = 1_000;
/// Number of tags, and of workspaces, in the facets.
const FACETS: i64 = 20;

/// The kinds of documents that can be found.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    ToSchema,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[schema(as = SearchKind)]
pub enum Kind {
    Note,
    Task,
    Artifact,
}

/// All kinds.
pub const KINDS: &[Kind] = &[Kind::Note, Kind::Task, Kind::Artifact];

/// A search request.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Search text; empty: everything that passes the filters, the last changed first.
    pub text: String,
    /// Includes only these kinds.
    pub kinds: Vec<Kind>,
    pub workspace_id: Option<Uuid>,
    /// Includes only documents with all these tags.
    pub tags: Vec<String>,
    /// Includes only documents with one of these statuses; empty: all but trashed and detached ones.
    pub statuses: Vec<String>,
    /// Includes only documents changed then or later.
    pub since: Option<DateTime<Utc>>,
    /// Includes only documents changed before then.
    pub until: Option<DateTime<Utc>>,
    /// Start of the page: `next_cursor` of the previous page.
    pub after: Option<Place>,
    pub limit: usize,
}

impl Default for Wanted {
    /// Returns a request for everything.
    fn default() -> Self {
        Self {
            text: String::new(),
            kinds: KINDS.to_vec(),
            workspace_id: None,
            tags: vec![],
            statuses: vec![],
            since: None,
            until: None,
            after: None,
            limit: 20,
        }
    }
}

/// A search result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SearchHit)]
pub struct Hit {
    pub kind: Kind,
    pub id: Uuid,
    pub workspace_id: Uuid,
    /// The note of a task or an artifact; null for a note.
    pub note_id: Option<Uuid>,
    pub title: String,
    /// The title in pieces; those that match the query are marked.
    pub highlighted_title: Vec<Fragment>,
    /// A part of the body in such pieces; empty if there is no body.
    pub snippet: Vec<Fragment>,
    /// Tags of a note, or labels of a task.
    pub tags: Vec<String>,
    pub status: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// Rank, comparable within one search only. From 2: the title equals the query; from 1: the title contains all of it.
    pub score: f64,
}

/// Counts of the matches by kind, workspace and tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SearchFacets)]
pub struct Facets {
    pub total: i64,
    /// False if there are more matches; the counts then cover those that changed last.
    pub complete: bool,
    pub kinds: Vec<Count>,
    pub workspaces: Vec<Count>,
    pub tags: Vec<Count>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SearchCount)]
pub struct Count {
    pub value: String,
    pub count: i64,
}

/// A page of search results, the best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SearchResults)]
pub struct Results {
    pub items: Vec<Hit>,
    /// Cursor of the next page; null: this is the last one.
    pub next_cursor: Option<String>,
    /// Counts of the matches; only on the first page.
    pub facets: Option<Facets>,
    /// A query with known words that finds more; set if there are few results or none.
    pub did_you_mean: Option<String>,
    /// True if nothing matched the query and the results are those of `did_you_mean`.
    pub corrected: bool,
}

#[derive(Deserialize)]
struct Found {
    found: Vec<Row>,
    facets: Option<Facets>,
}

#[derive(Deserialize)]
struct Row {
    kind: Kind,
    id: Uuid,
    workspace_id: Uuid,
    note_id: Option<Uuid>,
    title: String,
    tags: Vec<String>,
    status: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    position: Position,
    score: f64,
    excerpt: String,
}

const FILTERS: &str = "
    ($1 is null and $3 is null or t.workspace_id = any((select ids from asked)::uuid[]))
    and t.kind = any($4)
    and (case when $6::text[] is null then t.status not in ('trashed', 'detached') else t.status = any($6) end)
    and ($7::timestamptz is null or t.updated_at >= $7) and ($20::timestamptz is null or t.updated_at < $20)
    -- A task or an artifact is out of sight for as long as its note is.
    and (t.note_id is null or (select n.status <> 'trashed' from search_documents n where n.id = t.note_id))";

/// True for rows that match the query, among those that the index proposes: it checks phrases, and words that only parts have.
const FITS: &str = "
    case when t.parts is null then $14::text is null or t.words @@ $14::text::tsquery
        when $14 is null and not t.incomplete then true
        else exists (
            select from (
                select bool_and(term.excluded <> exists (
                    select from unnest(t.parts) part where part @@ term.query::tsquery)) as fits
                from unnest($5::int[], $22::text[], $23::bool[]) as term (alternative, query, excluded)
                group by term.alternative
            ) alternative
            where fits)
    end";

/// Finds documents that the viewer may see.
///
/// If nothing has the words, it finds documents that have the nearest words instead.
pub async fn search(
    database: &Database,
    viewer: Viewer,
    wanted: &Wanted,
) -> Result<Results, QueryError> {
    let query = ParsedQuery::parse(&wanted.text);
    if wanted.after.is_some_and(|place| place.corrected) {
        let corrected = correct(database, viewer, wanted, &query).await?;
        let query = corrected.as_deref().map_or(query, ParsedQuery::parse);
        let found = find(database, viewer, wanted, &query).await?;
        return Ok(found.shown(wanted, &query, corrected, true));
    }
    let found = find(database, viewer, wanted, &query).await?;
    let total = found.facets.as_ref().map_or(LITTLE, |facets| facets.total);
    if total >= LITTLE {
        return Ok(found.shown(wanted, &query, None, false));
    }
    let Some(corrected) = correct(database, viewer, wanted, &query).await? else {
        return Ok(found.shown(wanted, &query, None, false));
    };
    let instead = ParsedQuery::parse(&corrected);
    let more = find(database, viewer, wanted, &instead).await?;
    if more.found.len() <= found.found.len() {
        return Ok(found.shown(wanted, &query, None, false));
    }
    Ok(match total {
        0 => more.shown(wanted, &instead, Some(corrected), true),
        _ => found.shown(wanted, &query, Some(corrected), false),
    })
}

/// Returns a correction of the query.
async fn correct(
    database: &Database,
    viewer: Viewer,
    wanted: &Wanted,
    query: &ParsedQuery,
) -> Result<Option<String>, QueryError> {
    let workspaces = workspaces(database, viewer, wanted.workspace_id).await?;
    let scope = Scope {
        workspaces: &workspaces,
        kinds: &names(&wanted.kinds),
    };
    corrected(database, &scope, &wanted.text, query).await
}

pub(super) fn names(kinds: &[Kind]) -> Vec<&'static str> {
    kinds.iter().map(Into::into).collect()
}

/// Returns the workspaces that the viewer sees, or the requested one of them.
pub(super) async fn workspaces(
    database: &Database,
    viewer: Viewer,
    wanted: Option<Uuid>,
) -> Result<Vec<Uuid>, QueryError> {
    let sql = format!(
        "select to_json(t.id)::text from workspaces t
        where ($1::uuid is null or t.id = $1) and {} order by t.id desc limit $4",
        visible::AS_MEMBER
    );
    let actor = viewer.actor_id.to_string();
    rows(
        database,
        &sql,
        &[&wanted, &viewer.product_id, &actor, &WORKSPACES],
    )
    .await
}

async fn find(
    database: &Database,
    viewer: Viewer,
    wanted: &Wanted,
    query: &ParsedQuery,
) -> Result<Found, QueryError> {
    let sql = include_str!("query.sql")
        .replace("{filters}", FILTERS)
        .replace("{fits}", FITS);
    let kinds = names(&wanted.kinds);
    let exactly = query.exactly();
    let place = wanted.after;
    let words: Vec<String> = query.words().map(QueryWord::show).collect();
    let terms = query.by_terms();
    let found: Vec<Found> = rows(
        database,
        &sql,
        &[
            &viewer.product_id,
            &viewer.actor_id.to_string(),
            &wanted.workspace_id,
            &kinds,
            &terms.alternatives,
            &some(&wanted.statuses),
            &wanted.since,
            &indexed(query, wanted, &kinds),
            &query.in_title(),
            &query.whole_title(),
            &query.ranking(),
            &if exactly.is_some() {
                COUNTED_EXACTLY
            } else {
                COUNTED
            },
            &RANKED,
            &exactly,
            &place.map(|place| place.score),
            &place.map(|place| place.position),
            // One more than is shown tells if there are more.
            &(i64::try_from(wanted.limit).unwrap_or(i64::MAX - 1) + 1),
            &i32::try_from(EXCERPT).unwrap_or(i32::MAX),
            &words,
            &wanted.until,
            &FACETS,
            &terms.queries,
            &terms.excluded,
        ],
    )
    .await?;
    Ok(found.into_iter().next().unwrap_or(Found {
        found: vec![],
        facets: None,
    }))
}

/// Returns the query for the index: words and marks.
fn indexed(query: &ParsedQuery, wanted: &Wanted, kinds: &[&str]) -> String {
    let words = query.anywhere().map_or_else(
        || of_kinds(kinds),
        // The words may be among those that the index lacks.
        |words| format!("{words} | '{}'", vector::INCOMPLETE),
    );
    let tags = wanted
        .tags
        .iter()
        .map(|tag| format!(" & '{}'", vector::in_tag(tag)));
    format!("({words}){}", tags.collect::<String>())
}

fn some(values: &[String]) -> Option<&[String]> {
    (!values.is_empty()).then_some(values)
}

/// Returns the marks of all documents of some kinds.
pub(super) fn of_kinds(kinds: &[&str]) -> String {
    let marks: Vec<String> = kinds
        .iter()
        .map(|kind| format!("'{}'", vector::kind(kind)))
        .collect();
    marks.join(" | ")
}

impl Found {
    /// Returns the page of results for the query that was finally used.
    fn shown(
        self,
        wanted: &Wanted,
        query: &ParsedQuery,
        did_you_mean: Option<String>,
        corrected: bool,
    ) -> Results {
        let more = self.found.len() > wanted.limit;
        let last = self.found.iter().take(wanted.limit).next_back();
        let next = last.filter(|_| more).map(|row| Place {
            score: row.score,
            position: row.position,
            corrected,
        });
        let items = self.found.into_iter().take(wanted.limit);
        Results {
            next_cursor: next.map(|place| place.to_string()),
            items: items.map(|row| row.shown(query)).collect(),
            facets: self.facets,
            did_you_mean,
            corrected,
        }
    }
}

/// Returns an excerpt without the word that its end cuts off.
fn whole_words(excerpt: &str) -> &str {
    let is_cut = excerpt.chars().nth(EXCERPT - 1).is_some();
    let end = excerpt.rfind(char::is_whitespace).filter(|_| is_cut);
    &excerpt[..end.unwrap_or(excerpt.len())]
}

impl Row {
    fn shown(self, query: &ParsedQuery) -> Hit {
        Hit {
            highlighted_title: highlighted(&self.title, query),
            snippet: snippet(whole_words(&self.excerpt), query),
            kind: self.kind,
            id: self.id,
            workspace_id: self.workspace_id,
            note_id: self.note_id,
            title: self.title,
            tags: self.tags,
            status: self.status,
            created_at: self.created_at,
            updated_at: self.updated_at,
            score: self.score,
        }
    }
}
