//! Completion of the text that a user is typing.

use serde::{Deserialize, Serialize};
use store::Database;
use utoipa::ToSchema;
use uuid::Uuid;

use super::parsed_query::ParsedQuery;
use super::query::{Kind, Wanted, names, of_kinds, workspaces};
use crate::query::rows;
use crate::{QueryError, Viewer};

/// A completion of the text typed so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SearchSuggestion)]
pub struct Suggestion {
    /// A title; or a word, without case and diacritics.
    pub text: String,
    /// Kind of the titled document; null: the text is a word.
    pub kind: Option<Kind>,
    pub id: Option<Uuid>,
}

/// Returns titles and words with this beginning that the viewer may see.
pub async fn suggest(
    database: &Database,
    viewer: Viewer,
    wanted: &Wanted,
) -> Result<Vec<Suggestion>, QueryError> {
    let query = ParsedQuery::begun(&wanted.text);
    let begun: Vec<&str> = query.words().map(|word| word.text.as_str()).collect();
    if begun.is_empty() && !wanted.text.trim().is_empty() {
        return Ok(vec![]);
    }
    let workspaces = workspaces(database, viewer, wanted.workspace_id).await?;
    let kinds = names(&wanted.kinds);
    let titled = query.in_title();
    let last = begun.last().copied();
    let limit = i64::try_from(wanted.limit).unwrap_or(i64::MAX);
    rows(
        database,
        include_str!("suggestions.sql"),
        &[
            &workspaces,
            &kinds,
            &titled.unwrap_or_else(|| of_kinds(&kinds)),
            &begun.join(" "),
            &last,
            &limit,
        ],
    )
    .await
}
