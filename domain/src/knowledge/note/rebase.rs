//! Carries a change that was written for an earlier version of a note over to the current version.

use serde::{Deserialize, Serialize};

use super::Content;
use crate::knowledge::merge::{self, Hunk};

/// The version that a change was written for, and the version it was merged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Merge {
    pub base_version: i64,
    pub onto_version: i64,
}

crate::generate! { struct Merge { base_version, onto_version } }

/// A new title, a new body, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    pub title: Option<String>,
    pub body: Option<String>,
}

impl Content {
    /// Returns a revision that was written for `base`, carried over to this content; or the places that others have
    /// changed too.
    pub fn rebase(&self, base: &Self, revision: &Revision) -> Result<Revision, Vec<Hunk>> {
        let title = revision.title.as_ref().map(|title| {
            merge::atoms(&base.title, self.title.clone(), title.clone())
                .ok_or_else(|| vec![merge::clash("title", &base.title, &self.title, title)])
        });
        let body = revision
            .body
            .as_ref()
            .map(|body| merge::texts("body", &base.body, &self.body, body));
        match (title.transpose(), body.transpose()) {
            (Ok(title), Ok(body)) => Ok(Revision { title, body }),
            (Err(hunks), Ok(_)) | (Ok(_), Err(hunks)) => Err(hunks),
            (Err(title), Err(body)) => Err([title, body].concat()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn content(title: &str, body: &str) -> Content {
        Content {
            workspace_id: Uuid::nil(),
            title: title.into(),
            body: body.into(),
            tags: BTreeSet::new(),
            aliases: BTreeSet::new(),
            file: None,
            links: BTreeSet::new(),
        }
    }

    fn revision(title: Option<&str>, body: Option<&str>) -> Revision {
        Revision {
            title: title.map(str::to_owned),
            body: body.map(str::to_owned),
        }
    }

    #[test]
    fn a_new_title_and_somebody_elses_new_body_are_put_together() {
        let (base, now) = (content("Tea", "a\n"), content("Tea", "b\n"));
        let green = revision(Some("Green tea"), None);
        assert_eq!(now.rebase(&base, &green), Ok(green));
        let unchanged = revision(Some("Tea"), Some("a\n"));
        let now = content("Black tea", "b\n");
        assert_eq!(
            now.rebase(&base, &unchanged),
            Ok(revision(Some("Black tea"), Some("b\n")))
        );
    }

    #[test]
    fn two_new_titles_are_in_conflict_and_so_is_every_line_that_both_have_changed() {
        let (base, now) = (
            content("Tea", "a\nb\nc\n"),
            content("Black tea", "a\nB\nc\n"),
        );
        let hunks = now.rebase(&base, &revision(Some("Green tea"), Some("a\nβ\nc\n")));
        let hunks = hunks.unwrap_err();
        let fields: Vec<&str> = hunks.iter().map(|hunk| hunk.field.as_str()).collect();
        assert_eq!(fields, ["title", "body"]);
        let said = [&hunks[0].base, &hunks[0].current, &hunks[0].proposed].map(|side| &side.text);
        assert_eq!(said, ["Tea", "Black tea", "Green tea"]);
        let (base, now) = (content("Tea", ""), content("Tea", "b"));
        let fields = now.rebase(&base, &revision(Some("Green tea"), Some("c")));
        assert_eq!(fields.unwrap_err()[0].field, "body");
    }

    proptest! {
        #[test]
        fn where_nobody_has_written_since_a_revision_stays_as_it_is(
            title in any::<String>(), body in any::<String>(),
            new_title in any::<Option<String>>(), new_body in any::<Option<String>>(),
        ) {
            let note = content(&title, &body);
            let written = Revision { title: new_title, body: new_body };
            prop_assert_eq!(note.rebase(&note, &written), Ok(written));
        }
    }
}
