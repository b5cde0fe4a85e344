//! A note: a title, a body in Markdown, tags, links to others, and a life from active to purged.

mod links;

use std::collections::BTreeSet;

use uuid::Uuid;

use super::workspace::Permission;
use crate::{Aggregate, Class, Moment, Refusal, Standing, Violations, events, excerpt};
pub(crate) use links::check_relation;
pub use links::{MAX_LINKS, TypedLink};

/// Longest title in characters.
pub const MAX_TITLE: usize = 500;
/// Longest body in bytes: one mebibyte.
pub const MAX_BODY: usize = 1 << 20;

events! {
    /// Everything that happens to a note.
    pub enum NoteEvent {
        Created("note.created", 1) {
            workspace_id: Uuid,
            title: String,
            body: String,
            tags: BTreeSet<String>,
        },
        /// Fields that are absent stay as they were.
        Revised("note.revised", 1) {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            title: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            body: Option<String>,
        },
        Tagged("note.tagged", 1) { added: BTreeSet<String>, removed: BTreeSet<String> },
        /// Another note of its workspace stands in a relation to it.
        Linked("note.linked", 1) { target_id: Uuid, relation: String },
        Unlinked("note.unlinked", 1) { target_id: Uuid, relation: String },
        /// Put aside: readable, no longer listed among the active ones.
        Archived("note.archived", 1) {},
        /// On its way out; can still be restored.
        Trashed("note.trashed", 1) {},
        Restored("note.restored", 1) {},
        /// Gone from every read model.
        Purged("note.purged", 1) {},
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "note.", serialize_all = "snake_case")]
pub enum NoteCommand {
    Create {
        workspace_id: Uuid,
        title: String,
        body: String,
        tags: BTreeSet<String>,
    },
    /// Changes what is given; `tags` replaces them all.
    Revise {
        title: Option<String>,
        body: Option<String>,
        tags: Option<BTreeSet<String>>,
    },
    Tag {
        add: BTreeSet<String>,
        remove: BTreeSet<String>,
    },
    /// Whether there is such a note is for the handler to say.
    Link(TypedLink),
    /// Without a relation: whatever links it to the other.
    Unlink {
        target_id: Uuid,
        relation: Option<String>,
    },
    Archive,
    Trash,
    Restore,
    Purge,
}

/// Why a command on a note is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr)]
#[strum(prefix = "note_", serialize_all = "snake_case")]
pub enum NoteRefusal {
    /// It was never created, or it is purged.
    #[error("there is no such note")]
    NotFound,
    /// The id is taken.
    #[error("a note with this id exists already")]
    Exists,
    /// Only an active note changes.
    #[error("the note is not active; restore it first")]
    NotActive,
    /// Purging is for the trash.
    #[error("the note is not in the trash; trash it first")]
    NotInTrash,
    /// A link leads elsewhere.
    #[error("a note cannot be linked to itself")]
    SelfLink,
    /// What a link leads to was never created, is purged, or is of another workspace.
    #[error("there is no such note in the workspace to link to")]
    TargetNotFound,
    /// A note has so many links and no more.
    #[error("the note has {MAX_LINKS} links already; unlink another first")]
    TooManyLinks,
    /// The command is malformed.
    #[error("{0}")]
    Invalid(#[from] Violations),
}

impl Refusal for NoteRefusal {
    fn class(&self) -> Class<'_> {
        match self {
            Self::NotFound | Self::TargetNotFound => Class::Absent,
            Self::Exists => Class::Conflict,
            Self::NotActive | Self::NotInTrash | Self::SelfLink | Self::TooManyLinks => Class::Rule,
            Self::Invalid(violations) => Class::Invalid(violations),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Note {
    #[default]
    Absent,
    Active(Content),
    Archived(Content),
    Trashed(Content),
    Purged,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    pub workspace_id: Uuid,
    pub title: String,
    pub body: String,
    pub tags: BTreeSet<String>,
    pub links: BTreeSet<TypedLink>,
}

impl Note {
    #[must_use]
    pub const fn content(&self) -> Option<&Content> {
        match self {
            Self::Active(content) | Self::Archived(content) | Self::Trashed(content) => {
                Some(content)
            }
            Self::Absent | Self::Purged => None,
        }
    }

    fn into_content(self) -> Option<Content> {
        match self {
            Self::Active(content) | Self::Archived(content) | Self::Trashed(content) => {
                Some(content)
            }
            Self::Absent | Self::Purged => None,
        }
    }

    /// `active`, `archived` or `trashed`; nothing where there is no note.
    #[must_use]
    pub const fn status(&self) -> Option<&'static str> {
        match self {
            Self::Active(_) => Some("active"),
            Self::Archived(_) => Some("archived"),
            Self::Trashed(_) => Some("trashed"),
            Self::Absent | Self::Purged => None,
        }
    }

    fn change(mut self, change: impl FnOnce(&mut Content)) -> Self {
        if let Self::Active(content) | Self::Archived(content) | Self::Trashed(content) = &mut self
        {
            change(content);
        }
        self
    }

    fn move_to(self, place: fn(Content) -> Self) -> Self {
        self.into_content().map_or(Self::Purged, place)
    }
}

impl Aggregate for Note {
    const CATEGORY: &'static str = "note";
    const CONTEXT: &'static str = "notes";
    type Command = NoteCommand;
    type Event = NoteEvent;
    type Refusal = NoteRefusal;

    fn evolve(self, event: &NoteEvent) -> Self {
        match event {
            NoteEvent::Created {
                workspace_id,
                title,
                body,
                tags,
            } => Self::Active(Content {
                workspace_id: *workspace_id,
                title: title.clone(),
                body: body.clone(),
                tags: tags.clone(),
                links: BTreeSet::new(),
            }),
            NoteEvent::Revised { title, body } => self.change(|content| {
                if let Some(title) = title {
                    content.title.clone_from(title);
                }
                if let Some(body) = body {
                    content.body.clone_from(body);
                }
            }),
            NoteEvent::Tagged { added, removed } => self.change(|content| {
                content.tags.retain(|tag| !removed.contains(tag));
                content.tags.extend(added.iter().cloned());
            }),
            NoteEvent::Linked {
                target_id,
                relation,
            } => self.change(|content| {
                content.links.insert(TypedLink::new(*target_id, relation));
            }),
            NoteEvent::Unlinked {
                target_id,
                relation,
            } => self.change(|content| {
                content.links.remove(&TypedLink::new(*target_id, relation));
            }),
            NoteEvent::Archived {} => self.move_to(Self::Archived),
            NoteEvent::Trashed {} => self.move_to(Self::Trashed),
            NoteEvent::Restored {} => self.move_to(Self::Active),
            NoteEvent::Purged {} => Self::Purged,
        }
    }

    fn decide(&self, command: NoteCommand, _at: &Moment) -> Result<Vec<NoteEvent>, NoteRefusal> {
        let event = match (self, command) {
            (
                Self::Absent,
                NoteCommand::Create {
                    workspace_id,
                    title,
                    body,
                    tags,
                },
            ) => return create(workspace_id, title, body, &tags),
            (_, NoteCommand::Create { .. }) => return Err(NoteRefusal::Exists),
            (Self::Absent | Self::Purged, _) => return Err(NoteRefusal::NotFound),

            (Self::Active(content), NoteCommand::Revise { title, body, tags }) => {
                return content.revise(title, body, tags);
            }
            (Self::Active(content), NoteCommand::Tag { add, remove }) => {
                return content.tag(&add, &remove);
            }
            (Self::Active(content), NoteCommand::Link(link)) => return content.link(link),
            (
                Self::Active(content),
                NoteCommand::Unlink {
                    target_id,
                    relation,
                },
            ) => return Ok(content.unlink(target_id, relation.as_deref())),
            (
                _,
                NoteCommand::Revise { .. }
                | NoteCommand::Tag { .. }
                | NoteCommand::Link(_)
                | NoteCommand::Unlink { .. },
            ) => return Err(NoteRefusal::NotActive),

            (Self::Active(_), NoteCommand::Archive) => NoteEvent::Archived {},
            (Self::Trashed(_), NoteCommand::Archive) => return Err(NoteRefusal::NotActive),
            (Self::Active(_) | Self::Archived(_), NoteCommand::Trash) => NoteEvent::Trashed {},
            (Self::Archived(_) | Self::Trashed(_), NoteCommand::Restore) => NoteEvent::Restored {},
            (Self::Trashed(_), NoteCommand::Purge) => NoteEvent::Purged {},
            (Self::Active(_) | Self::Archived(_), NoteCommand::Purge) => {
                return Err(NoteRefusal::NotInTrash);
            }
            (Self::Archived(_), NoteCommand::Archive)
            | (Self::Trashed(_), NoteCommand::Trash)
            | (Self::Active(_), NoteCommand::Restore) => return Ok(vec![]),
        };
        Ok(vec![event])
    }

    /// Only editors and owners of the workspace write.
    fn standing(&self, _id: Uuid, command: &NoteCommand, _at: &Moment) -> Standing {
        let home = match command {
            NoteCommand::Create { workspace_id, .. } => Some(*workspace_id),
            NoteCommand::Revise { .. }
            | NoteCommand::Tag { .. }
            | NoteCommand::Link(_)
            | NoteCommand::Unlink { .. }
            | NoteCommand::Archive
            | NoteCommand::Trash
            | NoteCommand::Restore
            | NoteCommand::Purge => self.content().map(|content| content.workspace_id),
        };
        home.map_or(Standing::Product, |workspace_id| Standing::Member {
            workspace_id,
            permission: Permission::Write,
        })
    }
}

fn create(
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
    fn revise(
        &self,
        title: Option<String>,
        body: Option<String>,
        tags: Option<BTreeSet<String>>,
    ) -> Result<Vec<NoteEvent>, NoteRefusal> {
        valid(title.as_deref(), body.as_deref(), "tags", tags.as_ref())?;
        let title = title.filter(|title| *title != self.title);
        let body = body.filter(|body| *body != self.body);
        let mut events = Vec::new();
        if title.is_some() || body.is_some() {
            events.push(NoteEvent::Revised { title, body });
        }
        if let Some(tags) = tags.as_ref().map(normalized) {
            events.extend(self.retag(&tags - &self.tags, &self.tags - &tags));
        }
        Ok(events)
    }

    fn tag(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::given;

    fn tags(tags: &[&str]) -> BTreeSet<String> {
        tags.iter().map(ToString::to_string).collect()
    }

    fn created() -> NoteEvent {
        NoteEvent::Created {
            workspace_id: Uuid::from_u128(7),
            title: "Tea".into(),
            body: "Steep it.".into(),
            tags: tags(&["drink"]),
        }
    }

    fn create(title: &str, with: &[&str]) -> NoteCommand {
        NoteCommand::Create {
            workspace_id: Uuid::from_u128(7),
            title: title.into(),
            body: "Steep it.".into(),
            tags: tags(with),
        }
    }

    fn retitle(title: &str) -> NoteCommand {
        NoteCommand::Revise {
            title: Some(title.into()),
            body: None,
            tags: None,
        }
    }

    #[test]
    fn it_is_created_with_its_tags_in_lower_case() {
        given::<Note>([])
            .when(create("Tea", &[" Drink "]))
            .then([created()]);
    }

    #[test]
    fn it_is_created_once() {
        given::<Note>([created()])
            .when(create("Tea", &[]))
            .then_refused(NoteRefusal::Exists);
        given::<Note>([created(), NoteEvent::Purged {}])
            .when(create("Tea", &[]))
            .then_refused(NoteRefusal::Exists);
    }

    #[test]
    fn every_field_at_fault_is_named() {
        given::<Note>([])
            .when(create(&"x".repeat(501), &["", "ok"]))
            .then_invalid(&["/title", "/tags"]);
        given::<Note>([])
            .when(NoteCommand::Create {
                workspace_id: Uuid::nil(),
                title: String::new(),
                body: "x".repeat(MAX_BODY + 1),
                tags: (0..65).map(|n| n.to_string()).collect(),
            })
            .then_invalid(&["/body", "/tags"]);
    }

    #[test]
    fn a_revision_records_only_what_changes() {
        given::<Note>([created()])
            .when(NoteCommand::Revise {
                title: Some("Green tea".into()),
                body: Some("Steep it.".into()),
                tags: Some(tags(&["green"])),
            })
            .then([
                NoteEvent::Revised {
                    title: Some("Green tea".into()),
                    body: None,
                },
                NoteEvent::Tagged {
                    added: tags(&["green"]),
                    removed: tags(&["drink"]),
                },
            ]);
        given::<Note>([created()])
            .when(retitle("Tea"))
            .then_nothing();
    }

    #[test]
    fn tagging_adds_what_is_new_and_removes_what_is_there() {
        let tag = |add: &[&str], remove: &[&str]| NoteCommand::Tag {
            add: tags(add),
            remove: tags(remove),
        };
        given::<Note>([created()])
            .when(tag(&["Hot", "drink"], &["cold"]))
            .then([NoteEvent::Tagged {
                added: tags(&["hot"]),
                removed: tags(&[]),
            }]);
        given::<Note>([created()])
            .when(tag(&["drink"], &["drink"]))
            .then_nothing();
        given::<Note>([created()])
            .when(tag(&[" "], &[]))
            .then_invalid(&["/add"]);
    }

    #[test]
    fn only_an_active_one_is_revised_or_tagged() {
        for place in [NoteEvent::Archived {}, NoteEvent::Trashed {}] {
            given::<Note>([created(), place.clone()])
                .when(retitle("Coffee"))
                .then_refused(NoteRefusal::NotActive);
            given::<Note>([created(), place])
                .when(NoteCommand::Tag {
                    add: tags(&["x"]),
                    remove: tags(&[]),
                })
                .then_refused(NoteRefusal::NotActive);
        }
    }

    #[test]
    fn it_moves_between_active_archive_and_trash() {
        given::<Note>([created()])
            .when(NoteCommand::Archive)
            .then([NoteEvent::Archived {}]);
        given::<Note>([created(), NoteEvent::Archived {}])
            .when(NoteCommand::Trash)
            .then([NoteEvent::Trashed {}]);
        given::<Note>([created(), NoteEvent::Trashed {}])
            .when(NoteCommand::Restore)
            .then([NoteEvent::Restored {}]);
        given::<Note>([created(), NoteEvent::Trashed {}])
            .when(NoteCommand::Archive)
            .then_refused(NoteRefusal::NotActive);
    }

    #[test]
    fn moving_to_where_it_is_needs_no_event() {
        given::<Note>([created()])
            .when(NoteCommand::Restore)
            .then_nothing();
        given::<Note>([created(), NoteEvent::Archived {}])
            .when(NoteCommand::Archive)
            .then_nothing();
        given::<Note>([created(), NoteEvent::Trashed {}])
            .when(NoteCommand::Trash)
            .then_nothing();
    }

    #[test]
    fn it_is_purged_only_from_the_trash() {
        given::<Note>([created()])
            .when(NoteCommand::Purge)
            .then_refused(NoteRefusal::NotInTrash);
        given::<Note>([created(), NoteEvent::Trashed {}])
            .when(NoteCommand::Purge)
            .then([NoteEvent::Purged {}]);
    }

    #[test]
    fn a_purged_one_is_not_found() {
        given::<Note>([created(), NoteEvent::Trashed {}, NoteEvent::Purged {}])
            .when(NoteCommand::Restore)
            .then_refused(NoteRefusal::NotFound);
    }
}
