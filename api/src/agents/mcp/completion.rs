//! Suggestions for the arguments of prompts and templates: ids that the caller may see, matched by id or name.

use domain::folded;
use projections::Where;
use projections::knowledge::note::Notes;
use projections::knowledge::workspace::Workspaces;
use rmcp::ErrorData;
use rmcp::model::{CompleteResult, CompletionInfo};

use super::context::Context;
use crate::problem::Problem;
use crate::query::Page;

/// Number of newest rows that are searched.
const LOOKED_AT: usize = 200;
/// Maximum number of suggestions.
const SUGGESTED: usize = 20;

pub async fn complete(
    context: &Context,
    argument: &str,
    begun: &str,
) -> Result<CompleteResult, ErrorData> {
    let (things, scope) = match argument {
        "workspace_id" => (workspaces(context).await, "workspaces:read"),
        "note_id" => (notes(context).await, "notes:read"),
        _ => (Ok(vec![]), ""),
    };
    let things = things.map_err(|problem| context.error(problem, scope))?;
    let begun = folded(begun);
    let fits =
        |(id, name): &(String, String)| id.starts_with(&begun) || folded(name).contains(&begun);
    let mut found: Vec<String> = things.into_iter().filter(fits).map(|(id, _)| id).collect();
    let has_more = found.len() > SUGGESTED;
    found.truncate(SUGGESTED);
    let values = CompletionInfo::with_pagination(found, None, has_more);
    let values = values.map_err(|error| ErrorData::internal_error(error, None))?;
    Ok(CompleteResult::new(values))
}

const fn page() -> Page {
    Page {
        cursor: None,
        limit: Some(LOOKED_AT),
    }
}

/// Returns ids with names.
async fn workspaces(context: &Context) -> Result<Vec<(String, String)>, Problem> {
    let (app, read) = (&context.app, context.read());
    let found = app.list::<Workspaces>(&read, Where::default(), page());
    let (found, _) = found.await?;
    let items = found.items.into_iter();
    Ok(items
        .map(|row| (row.metadata.id.to_string(), row.content.name))
        .collect())
}

async fn notes(context: &Context) -> Result<Vec<(String, String)>, Problem> {
    let (app, read) = (&context.app, context.read());
    let wanted = Where::default().and_only(Some("t.status = 'active'"));
    let (found, _) = app.list::<Notes>(&read, wanted, page()).await?;
    let items = found.items.into_iter();
    Ok(items
        .map(|row| (row.metadata.id.to_string(), row.content.title))
        .collect())
}
