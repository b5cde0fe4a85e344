//! What a note says, and how that changes.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{MAX_BODY, MAX_TITLE, Merge, NoteEvent, NoteRefusal, TypedLink};
use crate::{Violations, excerpt};

#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    pub workspace_id: Uuid,
    pub title: String,
    pub body: String,
    pub tags: BTreeSet<String>,
    pub links: BTreeSet<TypedLink>,
}

pub(super) fn create(
    workspace_id: Uuid,
    title: String,
    body: String,
    tags: &BTreeSet<String>,
) -> Result<Vec<NoteEvent>, NoteRefusal> {
    valid(Some(&title), Some(&body), "tags", Some(tags))?;
    Ok(vec![NoteEvent::Created {
        workspace_id,
        title,
        body,
        tags: normalized(tags),
    }])
}

impl Content {
    pub(super) fn revise(
        &self,
        title: Option<String>,
        body: Option<String>,
        tags: Option<BTreeSet<String>>,
        merged: Option<Merge>,
    ) -> Result<Vec<NoteEvent>, NoteRefusal> {
        valid(title.as_deref(), body.as_deref(), "tags", tags.as_ref())?;
        let title = title.filter(|title| *title != self.title);
        let body = body.filter(|body| *body != self.body);
        let mut events = Vec::new();
        if title.is_some() || body.is_some() {
            events.push(NoteEvent::Revised {
                title,
                body,
                merged,
            });
        }
        if let Some(tags) = tags.as_ref().map(normalized) {
            events.extend(self.retag(&tags - &self.tags, &self.tags - &tags));
        }
        Ok(events)
    }

    pub(super) fn tag(
        &self,
        add: &BTreeSet<String>,
        remove: &BTreeSet<String>,
    ) -> Result<Vec<NoteEvent>, NoteRefusal> {
        let (add, remove) = (normalized(add), normalized(remove));
        let after = &(&self.tags - &remove) | &add;
        valid(None, None, "add", Some(&after))?;
        Ok(self
            .retag(&after - &self.tags, &self.tags - &after)
            .into_iter()
            .collect())
    }

    fn retag(&self, added: BTreeSet<String>, removed: BTreeSet<String>) -> Option<NoteEvent> {
        (!added.is_empty() || !removed.is_empty()).then_some(NoteEvent::Tagged { added, removed })
    }
}

/// Tags are compared without case or surrounding blanks.
pub(crate) fn normalized(tags: &BTreeSet<String>) -> BTreeSet<String> {
    tags.iter().map(|tag| tag.trim().to_lowercase()).collect()
}

/// Notes every field of a note that breaks a rule; pointers start with `prefix`.
pub(crate) fn check(
    title: Option<&str>,
    body: Option<&str>,
    prefix: &str,
    tags_field: &str,
    tags: Option<&BTreeSet<String>>,
    violations: &mut Violations,
) {
    if let Some(title) = title {
        violations.require_length(title, 0, MAX_TITLE, &format!("{prefix}/title"));
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
        let length = tag.trim().chars().count();
        violations.require(
            (1..=64).contains(&length),
            &pointer,
            format!(
                "must be tags of 1 to 64 characters; {} is not",
                excerpt(tag)
            ),
        );
    }
}

fn valid(
    title: Option<&str>,
    body: Option<&str>,
    tags_field: &str,
    tags: Option<&BTreeSet<String>>,
) -> Result<(), Violations> {
    let mut violations = Violations::default();
    check(title, body, "", tags_field, tags, &mut violations);
    violations.into_result()
}
