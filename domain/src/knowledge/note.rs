//! Notes: a title, a body in Markdown, tags, links to other notes, and a life cycle from active to purged.

mod content;
mod links;
mod rebase;
mod refusal;
mod source;

use std::collections::BTreeSet;

use uuid::Uuid;

use super::workspace::Workspace;
use crate::Permission;
use crate::{Aggregate, Audience, DecisionContext, RequiredPermission, events};
pub(crate) use content::check;
pub use content::{Changes, Content};
pub(crate) use links::check_relation;
pub use links::{MAX_LINKS, TypedLink};
pub use rebase::{Merge, Revision};
pub use refusal::{NoteRefusal, NoteRule};
pub use source::SourceFile;

/// The maximum length of a title in characters.
pub const MAX_TITLE: usize = 500;
/// The maximum length of a body in bytes: one mebibyte.
pub const MAX_BODY: usize = 1 << 20;
/// The maximum number of aliases of a note.
pub const MAX_ALIASES: usize = 64;

events! {
    /// Events of a note.
    pub enum NoteEvent {
        /// A note was created.
        Created("note.created", 1) {
            workspace_id: Uuid,
            title: String,
            body: String as Markdown,
            tags: BTreeSet<String>,
            #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
            aliases: BTreeSet<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            file: Option<SourceFile>,
        },
        /// The note's title, body, aliases or file were changed; absent fields stay as they were. If the path of its
        /// file changed, the body is always present, because its links are relative to the path.
        Revised("note.revised", 1) {
            #[serde(default, skip_serializing_if = "Option::is_none")]
            title: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            body: Option<String> as Markdown,
            /// Set if the revision was written for an earlier version and merged with later changes by others.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            merged: Option<Merge>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            aliases: Option<BTreeSet<String>>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            file: Option<SourceFile>,
        },
        /// Tags were added to the note or removed from it.
        Tagged("note.tagged", 1) { added: BTreeSet<String>, removed: BTreeSet<String> },
        /// The note was linked to another note of its workspace with a relation.
        Linked("note.linked", 1) { target_id: Uuid, relation: String },
        /// A link with this relation from the note to another one was removed.
        Unlinked("note.unlinked", 1) { target_id: Uuid, relation: String },
        /// The note was archived: it is readable, but no longer listed among the active notes.
        Archived("note.archived", 1) {},
        /// The note was moved to the trash; it can still be restored.
        Trashed("note.trashed", 1) {},
        /// The note was restored from the archive or the trash and is active again.
        Restored("note.restored", 1) {},
        /// The note was purged from every read model.
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
        /// Other names by which links find the note.
        aliases: BTreeSet<String>,
        /// The file that the note was imported from.
        file: Option<SourceFile>,
    },
    /// Changes the given fields; `tags` and `aliases` replace all previous ones.
    Revise(Changes),
    /// Applies a revision that was written for an earlier version, after merging it.
    Merge {
        revision: Revision,
        merge: Merge,
    },
    Tag {
        add: BTreeSet<String>,
        remove: BTreeSet<String>,
    },
    /// Links the note to another one. The handler checks that the other note exists.
    Link(TypedLink),
    /// Removes a link to another note. Without a relation, removes every link to that note.
    Unlink {
        target_id: Uuid,
        relation: Option<String>,
    },
    Archive,
    Trash,
    Restore,
    Purge,
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

    /// Returns `active`, `archived` or `trashed`; none if the note does not exist.
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
    const SCOPE: &'static str = "notes";
    const AUDIENCE: Audience = Audience::Members;
    type Command = NoteCommand;
    type Event = NoteEvent;
    type Rule = NoteRule;

    fn evolve(self, event: &NoteEvent) -> Self {
        match event {
            NoteEvent::Created {
                workspace_id,
                title,
                body,
                tags,
                aliases,
                file,
            } => Self::Active(Content {
                workspace_id: *workspace_id,
                title: title.clone(),
                body: body.clone(),
                tags: tags.clone(),
                aliases: aliases.clone(),
                file: file.clone(),
                links: BTreeSet::new(),
            }),
            NoteEvent::Revised {
                title,
                body,
                aliases,
                file,
                merged: _,
            } => self.change(|content| {
                if let Some(title) = title {
                    content.title.clone_from(title);
                }
                if let Some(body) = body {
                    content.body.clone_from(body);
                }
                if let Some(aliases) = aliases {
                    content.aliases.clone_from(aliases);
                }
                if file.is_some() {
                    content.file.clone_from(file);
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

    fn decide(
        &self,
        command: NoteCommand,
        _at: &DecisionContext,
    ) -> Result<Vec<NoteEvent>, NoteRefusal> {
        let event = match (self, command) {
            (
                Self::Absent,
                NoteCommand::Create {
                    workspace_id,
                    title,
                    body,
                    tags,
                    aliases,
                    file,
                },
            ) => return content::create(workspace_id, title, body, &tags, &aliases, file),
            (_, NoteCommand::Create { .. }) => return Err(NoteRefusal::Exists),
            (Self::Absent | Self::Purged, _) => return Err(NoteRefusal::NotFound),

            (Self::Active(content), NoteCommand::Revise(changes)) => {
                return content.revise(changes, None);
            }
            (Self::Active(content), NoteCommand::Merge { revision, merge }) => {
                return content.revise(revision.into(), Some(merge));
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
                NoteCommand::Revise(_)
                | NoteCommand::Merge { .. }
                | NoteCommand::Tag { .. }
                | NoteCommand::Link(_)
                | NoteCommand::Unlink { .. },
            ) => return Err(NoteRule::NotActive.into()),

            (Self::Active(_), NoteCommand::Archive) => NoteEvent::Archived {},
            (Self::Trashed(_), NoteCommand::Archive) => return Err(NoteRule::NotActive.into()),
            (Self::Active(_) | Self::Archived(_), NoteCommand::Trash) => NoteEvent::Trashed {},
            (Self::Archived(_) | Self::Trashed(_), NoteCommand::Restore) => NoteEvent::Restored {},
            (Self::Trashed(_), NoteCommand::Purge) => NoteEvent::Purged {},
            (Self::Active(_) | Self::Archived(_), NoteCommand::Purge) => {
                return Err(NoteRule::NotInTrash.into());
            }
            (Self::Archived(_), NoteCommand::Archive)
            | (Self::Trashed(_), NoteCommand::Trash)
            | (Self::Active(_), NoteCommand::Restore) => return Ok(vec![]),
        };
        Ok(vec![event])
    }

    fn workspace(&self, _id: Uuid) -> Option<Uuid> {
        self.content().map(|content| content.workspace_id)
    }

    /// Only editors and owners of the workspace write.
    fn required_permission(
        &self,
        _id: Uuid,
        command: &NoteCommand,
        _at: &DecisionContext,
    ) -> RequiredPermission {
        let home = match command {
            NoteCommand::Create { workspace_id, .. } => Some(*workspace_id),
            NoteCommand::Revise(_)
            | NoteCommand::Merge { .. }
            | NoteCommand::Tag { .. }
            | NoteCommand::Link(_)
            | NoteCommand::Unlink { .. }
            | NoteCommand::Archive
            | NoteCommand::Trash
            | NoteCommand::Restore
            | NoteCommand::Purge => self.content().map(|content| content.workspace_id),
        };
        home.map_or(RequiredPermission::Product, |workspace_id| {
            RequiredPermission::member_of::<Workspace>(workspace_id, Permission::Write)
        })
    }
}

#[cfg(test)]
#[path = "note_tests.rs"]
mod tests;
