//! Finding what the viewer may see.

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

/// Matches that are counted, the newest of them.
const COUNTED: i64 = 5_000;
/// The same, where each of them has to be looked at to know whether it has a phrase.
const COUNTED_EXACTLY: i64 = 2_000;
/// Matches that are ranked, the newest of them; and as many more that have the words in their titles.
const RANKED: i64 = 1_000;
/// Characters of a body that a snippet is made from: a part, and what comes behind it.
const EXCERPT: usize = vector::PART + 500;
/// Where less is found, corrections are looked for.
const LITTLE: i64 = 3;
/// Workspaces whose words are looked at, the newest of them.
const WORKSPACES: i64 = 1_000;
/// Tags, and workspaces, that are counted.
const FACETS: i64 = 20;

/// What kinds of things can be found.
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

/// All of them.
pub const KINDS: &[Kind] = &[Kind::Note, Kind::Task, Kind::Artifact];

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Words; none: everything that the rest lets through, the last changed first.
    pub text: String,
    /// Only these kinds.
    pub kinds: Vec<Kind>,
    pub workspace_id: Option<Uuid>,
    /// What has all of them.
    pub tags: Vec<String>,
    /// What is in one of these; none: whatever is neither in the trash nor detached.
    pub statuses: Vec<String>,
    /// Last changed then, or later.
    pub since: Option<DateTime<Utc>>,
    /// Last changed before.
    pub until: Option<DateTime<Utc>>,
    /// Where the page starts: `next_cursor` of the one before.
    pub after: Option<Place>,
    pub limit: usize,
}

impl Default for Wanted {
    /// Everything.
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

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SearchHit)]
pub struct Hit {
    pub kind: Kind,
    pub id: Uuid,
    pub workspace_id: Uuid,
    /// Of a task or an artifact: the note that it belongs to.
    pub note_id: Option<Uuid>,
    pub title: String,
    /// The title in pieces, of which those that were query for are marked.
    pub highlighted_title: Vec<Fragment>,
    /// A part of the body in such pieces; nothing where there is no body.
    pub snippet: Vec<Fragment>,
    /// Of a task: its labels.
    pub tags: Vec<String>,
    pub status: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// From 2: the title is what was query for; from 1: the title has it all. Compares within one search only.
    pub score: f64,
}

/// How many of what was found there are of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SearchFacets)]
pub struct Facets {
    pub total: i64,
    /// False: there are more, and these counts are of those that changed last.
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

/// A page of what was found, the best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SearchResults)]
pub struct Results {
    pub items: Vec<Hit>,
    /// Where the next page starts; none: this is the last one.
    pub next_cursor: Option<String>,
    /// With the first page.
    pub facets: Option<Facets>,
    /// Where little or nothing was found: what finds more, with words that there are.
    pub did_you_mean: Option<String>,
    /// Nothing was found, and this is what that finds instead.
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

/// True of rows that have what is query for, of those that the index takes for such: phrases, and words that only parts have.
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

/// Finds what the viewer may see.
///
/// Where nothing has the words, what is found has those that they are nearest to instead.
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

/// What may have been meant.
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

/// The workspaces that the viewer sees, or the one of them that is wanted.
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
            // One more than is shown, to know whether there is more.
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

/// What the index is query: words, and marks.
fn indexed(query: &ParsedQuery, wanted: &Wanted, kinds: &[&str]) -> String {
    let words = query.anywhere().map_or_else(
        || of_kinds(kinds),
        // They may be among the words that the index does not have.
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

/// What everything of some kinds has.
pub(super) fn of_kinds(kinds: &[&str]) -> String {
    let marks: Vec<String> = kinds
        .iter()
        .map(|kind| format!("'{}'", vector::kind(kind)))
        .collect();
    marks.join(" | ")
}

impl Found {
    /// The page, for what was query in the end.
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

/// An excerpt without the word that it is cut off in.
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
