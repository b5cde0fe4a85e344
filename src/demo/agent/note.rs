//! Parses notes from MCP resources: front matter with one JSON value per line, then the text.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::demo::idea::Note;

/// Returns the note in a resource, if it is an active one of the workspace.
pub fn read(resource: &str, workspace_id: Uuid) -> Option<Note> {
    let (front, body) = resource.strip_prefix("---\n")?.split_once("\n---\n\n")?;
    let mut fields: Map<String, Value> = front
        .lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), serde_json::from_str(value).ok()?))
        })
        .collect();
    let here = fields.get("workspace_id") == Some(&workspace_id.to_string().into())
        && fields.get("status") == Some(&"active".into());
    fields.insert("body".into(), body.into());
    serde_json::from_value(fields.into()).ok().filter(|_| here)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn resource(status: &str) -> String {
        format!(
            "---\nid: \"{}\"\nworkspace_id: \"{}\"\nversion: 3\ntitle: \"A: \\\"b\\\"\\n---\\n\"\ntags: [\"x\"]\n\
             status: \"{status}\"\n---\n\n---\nnot: \"front matter\"\n---\n",
            Uuid::from_u128(1),
            Uuid::from_u128(2),
        )
    }

    #[test]
    fn a_note_is_read_whatever_its_title_and_its_text_look_like() {
        let note = read(&resource("active"), Uuid::from_u128(2)).unwrap();
        assert_eq!(note.id, Uuid::from_u128(1));
        assert_eq!((note.version, note.title.as_str()), (3, "A: \"b\"\n---\n"));
        assert_eq!(note.tags, BTreeSet::from(["x".to_owned()]));
        assert_eq!(note.body, "---\nnot: \"front matter\"\n---\n");
    }

    #[test]
    fn notes_elsewhere_and_notes_put_away_are_none_of_its_business() {
        assert!(read(&resource("active"), Uuid::from_u128(9)).is_none());
        assert!(read(&resource("archived"), Uuid::from_u128(2)).is_none());
        assert!(read("# No front matter\n", Uuid::from_u128(2)).is_none());
    }
}
