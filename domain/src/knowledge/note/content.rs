//! The content of a note, and its changes.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{
    MAX_ALIASES, MAX_BODY, MAX_TITLE, Merge, NoteEvent, NoteRefusal, Revision, SourceFile,
    TypedLink,
};
use crate::knowledge::tag::{as_in, kept, normalized};
use crate::{Violations, excerpt};

#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    pub workspace_id: Uuid,
    pub title: String,
    pub body: String,
    pub tags: BTreeSet<String>,
    /// Other names by which links find the note.
    pub aliases: BTreeSet<String>,
    /// The file that the note was imported from, if any.
    pub file: Option<SourceFile>,
    pub links: BTreeSet<TypedLink>,
}

/// New values of a note; those that are None stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub title: Option<String>,
    pub body: Option<String>,
    pub tags: Option<BTreeSet<String>>,
    pub aliases: Option<BTreeSet<String>>,
    pub file: Option<SourceFile>,
}

impl From<Revision> for Changes {
    fn from(Revision { title, body }: Revision) -> Self {
        Self {
            title,
            body,
            ..Self::default()
        }
    }
}

pub(super) fn create(
    workspace_id: Uuid,
    title: String,
    body: String,
    tags: &BTreeSet<String>,
    aliases: &BTreeSet<String>,
    file: Option<SourceFile>,
) -> Result<Vec<NoteEvent>, NoteRefusal> {
    let mut violations = Violations::default();
    check(
        Some(&title),
        Some(&body),
        "",
        "tags",
        Some(tags),
        &mut violations,
    );
    check_names(Some(aliases), file.as_ref(), &mut violations);
    violations.into_result()?;
    Ok(vec![NoteEvent::Created {
        workspace_id,
        title,
        body,
        tags: normalized(tags),
        aliases: trimmed(aliases),
        file,
    }])
}

impl Content {
    pub(super) fn revise(
        &self,
        changes: Changes,
        merged: Option<Merge>,
    ) -> Result<Vec<NoteEvent>, NoteRefusal> {
        let Changes {
            title,
            body,
            tags,
            aliases,
            file,
        } = changes;
        let mut violations = Violations::default();
        check(
            title.as_deref(),
            body.as_deref(),
            "",
            "tags",
            tags.as_ref(),
            &mut violations,
        );
        check_names(aliases.as_ref(), file.as_ref(), &mut violations);
        violations.into_result()?;
        let title = title.filter(|title| *title != self.title);
        let aliases = aliases.as_ref().map(trimmed);
        let aliases = aliases.filter(|aliases| *aliases != self.aliases);
        let file = file.filter(|file| self.file.as_ref() != Some(file));
        let body = body.filter(|body| *body != self.body);
        let body = body.or_else(|| self.moves_to(file.as_ref()).then(|| self.body.clone()));
        let mut events = Vec::new();
        if title.is_some() || body.is_some() || aliases.is_some() || file.is_some() {
            events.push(NoteEvent::Revised {
                title,
                body,
                merged,
                aliases,
                file,
            });
        }
        if let Some(tags) = tags.map(|tags| as_in(&self.tags, &tags)) {
            events.extend(self.retag(&tags - &self.tags, &self.tags - &tags));
        }
        Ok(events)
    }

    fn moves_to(&self, file: Option<&SourceFile>) -> bool {
        let path = self.file.as_ref().map(|file| &file.path);
        file.is_some_and(|file| path != Some(&file.path))
    }

    pub(super) fn tag(
        &self,
        add: &BTreeSet<String>,
        remove: &BTreeSet<String>,
    ) -> Result<Vec<NoteEvent>, NoteRefusal> {
        let (add, remove) = (as_in(&self.tags, add), as_in(&self.tags, remove));
        let after = &(&self.tags - &remove) | &add;
        let mut violations = Violations::default();
        check(None, None, "", "add", Some(&after), &mut violations);
        violations.into_result()?;
        Ok(self
            .retag(&after - &self.tags, &self.tags - &after)
            .into_iter()
            .collect())
    }

    fn retag(&self, added: BTreeSet<String>, removed: BTreeSet<String>) -> Option<NoteEvent> {
        (!added.is_empty() || !removed.is_empty()).then_some(NoteEvent::Tagged { added, removed })
    }
}

/// Removes only surrounding blanks, because aliases are compared in the same way as titles.
fn trimmed(aliases: &BTreeSet<String>) -> BTreeSet<String> {
    aliases
        .iter()
        .map(|alias| alias.trim().to_owned())
        .collect()
}

/// Records every violation in a note's aliases and file.
fn check_names(
    aliases: Option<&BTreeSet<String>>,
    file: Option<&SourceFile>,
    violations: &mut Violations,
) {
    if let Some(aliases) = aliases {
        violations.require(
            aliases.len() <= MAX_ALIASES,
            "/aliases",
            format!("must be at most {MAX_ALIASES} aliases"),
        );
        for alias in aliases {
            let is_name = (1..=MAX_TITLE).contains(&alias.trim().chars().count())
                && !alias.contains(char::is_control);
            violations.require(
                is_name,
                "/aliases",
                format!(
                    "must be names of 1 to {MAX_TITLE} characters on one line; {} is not",
                    excerpt(alias)
                ),
            );
        }
    }
    if let Some(file) = file {
        file.check(violations);
    }
}

/// Records every invalid field of a note; pointers start with `prefix`.
pub(crate) fn check(
    title: Option<&str>,
    body: Option<&str>,
    prefix: &str,
    tags_field: &str,
    tags: Option<&BTreeSet<String>>,
    violations: &mut Violations,
) {
    if let Some(title) = title {
        violations.require_line(title, 0, MAX_TITLE, &format!("{prefix}/title"));
    }
    if let Some(body) = body {
        violations.require(
            body.len() <= MAX_BODY,
            format!("{prefix}/body"),
            "must be at most 1 MiB",
        );
    }
    let Some(tags) = tags else { return };
    let pointer = format!("{prefix}/{tags_field}");
    violations.require(tags.len() <= 64, &pointer, "must leave at most 64 tags");
    for tag in tags {
        let length = kept(tag).chars().count();
        violations.require(
            (1..=64).contains(&length),
            &pointer,
            format!(
                "must be tags of 1 to 64 characters; {} is not",
                excerpt(tag)
            ),
        );
        violations.require_visible(tag.trim(), &pointer);
    }
}
