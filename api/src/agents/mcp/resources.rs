//! Notes as resources: `note://{note_id}` is a Markdown document with YAML front matter. `daybook://workspaces` lists the workspaces.

use std::fmt::Write as _;

use projections::knowledge::note::{NoteContent, Notes};
use projections::knowledge::workspace::{WorkspaceContent, Workspaces};
use projections::{Row, Where};
use rmcp::ErrorData;
use rmcp::model::{
    ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
};
use serde_json::json;
use uuid::Uuid;

use super::context::Context;
use crate::problem::Problem;
use crate::query::Page;

/// Scope that reading notes needs.
pub const SCOPE: &str = "notes:read";
const WORKSPACES_SCOPE: &str = "workspaces:read";
const SCHEME: &str = "note://";
const MARKDOWN: &str = "text/markdown";
const WORKSPACES: &str = "daybook://workspaces";
const JSON: &str = "application/json";
/// Notes per page.
const LISTED: usize = 100;
/// Maximum number of workspaces in the list.
const TOLD: usize = 200;

pub fn templates() -> Vec<ResourceTemplate> {
    let note = ResourceTemplate::new("note://{note_id}", "note")
        .with_title("A note")
        .with_description("A note as it is now: YAML front matter, then its Markdown body.")
        .with_mime_type(MARKDOWN);
    vec![note]
}

/// Returns a page of the notes that the caller may see, newest first, without those in the trash. The first page begins with the
/// workspaces.
pub async fn list(
    context: &Context,
    cursor: Option<String>,
) -> Result<ListResourcesResult, Problem> {
    let is_first = cursor.is_none();
    let page = Page {
        cursor,
        limit: Some(LISTED),
    };
    let wanted = Where::default().and_only(Some("t.status <> 'trashed'"));
    let read = context.read_list("resources");
    let (notes, _) = context.app.list::<Notes>(&read, wanted, page).await?;
    let sees_workspaces = is_first && context.caller.require(WORKSPACES_SCOPE).is_ok();
    let workspaces = sees_workspaces.then(workspaces);
    let resources = workspaces
        .into_iter()
        .chain(notes.items.iter().map(describe));
    let mut result = ListResourcesResult::with_all_items(resources.collect());
    result.next_cursor = notes.next_cursor;
    Ok(result)
}

fn describe(note: &Row<NoteContent>) -> Resource {
    let title = match note.content.title.as_str() {
        "" => "Untitled",
        title => title,
    };
    Resource::new(uri(note.metadata.id), note.metadata.id.to_string())
        .with_title(title)
        .with_mime_type(MARKDOWN)
}

fn workspaces() -> Resource {
    Resource::new(WORKSPACES, "workspaces")
        .with_title("Your workspaces")
        .with_description(
            "The workspaces that you see, the newest 200: id, name, status and what you are there.",
        )
        .with_mime_type(JSON)
}

pub fn uri(id: Uuid) -> String {
    format!("{SCHEME}{id}")
}

pub async fn read(context: &Context, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    if uri == WORKSPACES {
        let told = tell_workspaces(context).await;
        return told.map_err(|problem| context.error(problem, WORKSPACES_SCOPE));
    }
    let id = uri.strip_prefix(SCHEME);
    let Some(id) = id.and_then(|id| Uuid::try_parse(id).ok()) else {
        return Err(absent(uri));
    };
    let note = context.app.find::<Notes>(&context.read(), id).await;
    match note {
        Ok((note, _)) => Ok(ReadResourceResult::new(vec![contents(&note)])),
        Err(problem) if problem.code() == "not_found" => Err(absent(uri)),
        Err(problem) => Err(context.error(problem, SCOPE)),
    }
}

async fn tell_workspaces(context: &Context) -> Result<ReadResourceResult, Problem> {
    let page = Page {
        cursor: None,
        limit: Some(TOLD),
    };
    let (app, read) = (&context.app, context.read());
    let found = app.list::<Workspaces>(&read, Where::default(), page);
    let (found, _) = found.await?;
    let me = context.caller.actor.id;
    let tell = |row: &Row<WorkspaceContent>| {
        let WorkspaceContent {
            name,
            status,
            members,
        } = &row.content;
        json!({"id": row.metadata.id, "name": name, "status": status, "role": members.get(&me)})
    };
    let told: Vec<_> = found.items.iter().map(tell).collect();
    let text = json!({ "workspaces": told }).to_string();
    let contents = ResourceContents::text(text, WORKSPACES).with_mime_type(JSON);
    Ok(ReadResourceResult::new(vec![contents]))
}

fn absent(uri: &str) -> ErrorData {
    ErrorData::resource_not_found("Resource not found", Some(json!({ "uri": uri })))
}

pub fn contents(note: &Row<NoteContent>) -> ResourceContents {
    ResourceContents::text(markdown(note), uri(note.metadata.id)).with_mime_type(MARKDOWN)
}

/// Returns the note as a document. Every front matter value is JSON, which is valid YAML.
fn markdown(note: &Row<NoteContent>) -> String {
    let (metadata, content) = (&note.metadata, &note.content);
    let mut text = String::from("---\n");
    for (name, value) in [
        ("id", json!(metadata.id)),
        ("workspace_id", json!(content.workspace_id)),
        ("version", json!(metadata.version)),
        ("title", json!(content.title)),
        ("tags", json!(content.tags)),
        ("status", json!(content.status)),
        ("updated_at", json!(metadata.updated_at)),
    ] {
        let _ = writeln!(text, "{name}: {value}");
    }
    text + "---\n\n" + &content.body
}
