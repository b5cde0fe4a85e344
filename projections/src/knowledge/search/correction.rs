//! Corrections of mistyped words.

use serde::Deserialize;
use store::Database;
use uuid::Uuid;

use super::parsed_query::{ParsedQuery, QueryWord};
use super::typo;
use super::words::words;
use crate::QueryError;
use crate::query::rows;

/// Number of words that one is compared with, those of the most documents first.
const COMPARED: i64 = 2_000;

/// The workspaces and kinds that are searched.
pub struct Scope<'a> {
    pub workspaces: &'a [Uuid],
    pub kinds: &'a [&'a str],
}

#[derive(Deserialize)]
struct Words {
    known: bool,
    near: Vec<Word>,
}

#[derive(Deserialize)]
struct Word {
    word: String,
    documents: i64,
}

/// Returns the text with each word that nothing has replaced by the nearest known word; none: there are no such words.
pub async fn corrected(
    database: &Database,
    scope: &Scope<'_>,
    text: &str,
    query: &ParsedQuery,
) -> Result<Option<String>, QueryError> {
    let mut corrections = vec![];
    for word in query.words() {
        if let Some(correction) = correction(database, scope, word).await? {
            corrections.push((word.text.as_str(), correction));
        }
    }
    if corrections.is_empty() {
        return Ok(None);
    }
    let mut corrected = String::new();
    let mut done = 0;
    for word in words(text) {
        let correction = corrections
            .iter()
            .find(|(mistyped, _)| *mistyped == word.text);
        if let Some((_, correction)) = correction {
            corrected.push_str(&text[done..word.at.start]);
            corrected.push_str(correction);
            done = word.at.end;
        }
    }
    corrected.push_str(&text[done..]);
    Ok(Some(corrected))
}

async fn correction(
    database: &Database,
    scope: &Scope<'_>,
    query: &QueryWord,
) -> Result<Option<String>, QueryError> {
    let text = &query.text;
    let can_be_mistyped =
        text.chars().count() >= typo::SHORTEST && text.chars().all(char::is_alphabetic);
    if !can_be_mistyped {
        return Ok(None);
    }
    let keys = scope
        .workspaces
        .iter()
        .flat_map(|id| typo::keys_for(*id, text));
    let keys: Vec<i64> = keys.collect();
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] = [
        &scope.workspaces,
        &scope.kinds,
        text,
        &query.prefix,
        &keys,
        &COMPARED,
    ];
    let found: Vec<Words> = rows(database, include_str!("near.sql"), &params).await?;
    let unknown = found.into_iter().find(|words| !words.known);
    let near = unknown
        .into_iter()
        .flat_map(|words| words.near)
        .filter_map(|near| {
            let mistakes = typo::mistakes(text, &near.word)?;
            Some((mistakes, -near.documents, near.word))
        });
    Ok(near.min().map(|(_, _, word)| word))
}
