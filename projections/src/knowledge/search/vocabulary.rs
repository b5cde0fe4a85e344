//! The vocabulary of workspaces: the number of documents per word, updated as events are applied.

use std::collections::{BTreeMap, BTreeSet};

use store::Session;
use uuid::Uuid;

use super::document::Document;
use super::typo;
use super::words::{Script, words};
use crate::ApplyError;

/// Words of one document that count; later ones are searchable, but not suggested.
const MOST: usize = 2_000;
/// Lengths of words that count, in characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=32;
/// Words per statement.
const ROWS: usize = 20_000;

const CHANGE: &str = include_str!("vocabulary_change.sql");
const ADD: &str = "
    insert into search_vocabulary (workspace_id, kind, word, documents, keys)
    select r.workspace_id, r.kind, r.word, r.documents, r.keys::bigint[]
    from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[]) as r (workspace_id, kind, word, documents, keys)";
const CLEAN: &str = "
    delete from search_vocabulary v
    using unnest($1::uuid[], $2::text[], $3::text[]) as r (workspace_id, kind, word)
    where v.workspace_id = r.workspace_id and v.kind = r.kind and v.word = r.word and v.documents <= 0";

/// Changes to the number of documents per word of a workspace.
#[derive(Default)]
pub struct Changes(BTreeMap<(Uuid, String), BTreeMap<String, i64>>);

/// Returns the words of a document that count in the vocabulary.
fn of(document: &Document) -> BTreeSet<String> {
    let texts = std::iter::once(document.title.as_str())
        .chain(document.tags.iter().map(String::as_str))
        .chain(document.body.as_deref());
    let mut found = BTreeSet::new();
    for word in texts.flat_map(words) {
        if found.len() == MOST {
            break;
        }
        let counts = word.script == Script::Spaced
            && LENGTHS.contains(&word.text.chars().count())
            && word.text.chars().all(char::is_alphabetic);
        if counts {
            found.insert(word.text);
        }
    }
    found
}

impl Changes {
    /// Adds the change of a document.
    pub fn add(&mut self, before: Option<&Document>, now: Option<&Document>) {
        for (document, by) in [(before, -1), (now, 1)] {
            let Some(document) = document.filter(|document| document.counts()) else {
                continue;
            };
            let home = (document.workspace_id, document.kind.clone());
            let counts = self.0.entry(home).or_default();
            for word in of(document) {
                *counts.entry(word).or_default() += by;
            }
        }
    }

    /// Writes the changes to the table.
    pub async fn write(self, session: &Session) -> Result<(), ApplyError> {
        let rows = self
            .0
            .into_iter()
            .flat_map(|((workspace_id, kind), words)| {
                let rows = words.into_iter().filter(|(_, documents)| *documents != 0);
                rows.map(move |(word, documents)| Row {
                    workspace_id,
                    kind: kind.clone(),
                    word,
                    documents,
                })
            });
        let rows: Vec<Row> = rows.collect();
        for rows in rows.chunks(ROWS) {
            write(session, rows).await?;
        }
        Ok(())
    }
}

struct Row {
    workspace_id: Uuid,
    kind: String,
    word: String,
    documents: i64,
}

/// Rows, column by column.
struct Columns<'a> {
    workspaces: Vec<Uuid>,
    kinds: Vec<&'a str>,
    words: Vec<&'a str>,
    documents: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(rows: impl Iterator<Item = &'a Row> + Clone) -> Self {
        Self {
            workspaces: rows.clone().map(|row| row.workspace_id).collect(),
            kinds: rows.clone().map(|row| row.kind.as_str()).collect(),
            words: rows.clone().map(|row| row.word.as_str()).collect(),
            documents: rows.map(|row| row.documents).collect(),
        }
    }
}

async fn write(session: &Session, rows: &[Row]) -> Result<(), ApplyError> {
    let columns = Columns::of(rows.iter());
    let change = session.prepare_cached(CHANGE).await?;
    let known = session
        .query(
            &change,
            &[
                &columns.workspaces,
                &columns.kinds,
                &columns.words,
                &columns.documents,
            ],
        )
        .await?;
    let known = known.iter().map(|row| row.get::<_, i64>(0));
    let known: BTreeSet<usize> = known.filter_map(|n| usize::try_from(n - 1).ok()).collect();
    let new = rows.iter().enumerate().filter(|(n, _)| !known.contains(n));
    insert(session, new.map(|(_, row)| row).collect()).await?;
    let fewer = rows.iter().filter(|row| row.documents < 0);
    clean(session, &Columns::of(fewer)).await
}

async fn insert(session: &Session, new: Vec<&Row>) -> Result<(), ApplyError> {
    if new.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(new.iter().copied());
    let keys: Vec<String> = new
        .iter()
        .map(|row| array(&typo::keys_of(row.workspace_id, &row.word)))
        .collect();
    let add = session.prepare_cached(ADD).await?;
    session
        .execute(
            &add,
            &[
                &columns.workspaces,
                &columns.kinds,
                &columns.words,
                &columns.documents,
                &keys,
            ],
        )
        .await?;
    Ok(())
}

async fn clean(session: &Session, fewer: &Columns<'_>) -> Result<(), ApplyError> {
    if fewer.words.is_empty() {
        return Ok(());
    }
    let clean = session.prepare_cached(CLEAN).await?;
    session
        .execute(&clean, &[&fewer.workspaces, &fewer.kinds, &fewer.words])
        .await?;
    Ok(())
}

/// Formats an array for PostgreSQL.
fn array(keys: &[i64]) -> String {
    let keys: Vec<String> = keys.iter().map(i64::to_string).collect();
    format!("{{{}}}", keys.join(","))
}
