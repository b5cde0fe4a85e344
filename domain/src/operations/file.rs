//! Files: requested with their size and media type, uploaded to a signed address, and kept until they are deleted.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::blob::{BlobKey, is_sha256};
use super::container::{Container, is_media_type};
use crate::Permission;
use crate::knowledge::workspace::Workspace;
use crate::{
    Actor, Aggregate, Audience, Class, DecisionContext, Rejection, RequiredPermission, Rule,
    StreamId, Violations, events,
};

/// The maximum length of a name in characters.
pub const MAX_NAME: usize = 255;

/// An announced upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    pub container: Container,
    /// Display name; it is never a path.
    pub name: String,
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// Required SHA-256 of the bytes, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Id of the workspace whose members may read the file; none: all actors of the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_id: Option<Uuid>,
    /// The actor who requested the upload.
    pub owner: Actor,
    /// End of the time for the upload.
    pub expires_at: DateTime<Utc>,
}

crate::generate! { struct Upload { container, name, media_type, size, sha256, workspace_id, owner, expires_at } }

/// The bytes of an uploaded file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub sha256: String,
    /// Generation of the [blob](super::blob) that holds the bytes.
    pub generation: u32,
}

crate::generate! { struct Content { sha256, generation as Few } }

/// The same picture in another size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendition {
    /// Length of an edge; the picture is a square.
    pub pixels: u32,
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    pub sha256: String,
    /// Generation of the blob that holds the rendition.
    pub generation: u32,
}

crate::generate! { struct Rendition { pixels, media_type, size, sha256, generation as Few } }

events! {
    /// Events of a file.
    pub enum FileEvent {
        /// An upload was requested: storage is reserved for it until the file arrives or the upload expires.
        Requested("file.requested", 1) {
            #[serde(flatten)]
            upload: Upload,
        },
        /// The file was uploaded completely.
        Stored("file.stored", 1) {
            container: Container,
            name: String,
            media_type: String,
            size: u64,
            #[serde(flatten)]
            content: Content,
        },
        /// The file is a picture, and was resized to these sizes.
        Resized("file.resized", 1) { renditions: Vec<Rendition> },
        /// The file cannot be shown as a picture, although it should be one.
        ResizeFailed("file.resize_failed", 1) { reason: String },
        /// Something refers to the file, so it is kept.
        Referenced("file.referenced", 1) { by: StreamId },
        /// Something no longer refers to the file.
        Unreferenced("file.unreferenced", 1) { by: StreamId },
        /// The file was not uploaded in time.
        Expired("file.expired", 1) {},
        /// The file was deleted; so are its bytes, unless another file uses them.
        Deleted("file.deleted", 1) {},
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "file.", serialize_all = "snake_case")]
pub enum FileCommand {
    Request {
        upload: Upload,
        /// Maximum size in bytes of files in the container.
        max_size: u64,
    },
    Store {
        size: u64,
        content: Content,
    },
    Resize {
        renditions: Vec<Rendition>,
    },
    FailResize {
        reason: String,
    },
    /// Records a reference from something in a workspace, or outside of any.
    Refer {
        by: StreamId,
        workspace_id: Option<Uuid>,
    },
    Unrefer {
        by: StreamId,
    },
    /// Expires an upload that did not arrive; does nothing before the deadline.
    Expire,
    Delete,
}

/// Rules of files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum FileRule {
    /// The file is not uploaded yet.
    #[error("the file has not been uploaded yet")]
    NotStored,
    /// The file was uploaded with other bytes.
    #[error("the file was uploaded before, with other bytes; ask for a new one")]
    AlreadyStored,
    /// The file's size is not the requested one.
    #[error("the file has {found} bytes, not {expected} as was asked for")]
    SizeMismatch { expected: u64, found: u64 },
    /// The SHA-256 of the bytes is not the requested one.
    #[error("the SHA-256 of the bytes is {found}, not {expected} as was asked for")]
    DigestMismatch { expected: String, found: String },
    /// Something refers to the file.
    #[error("the file is needed by {} thing(s), such as {by}; detach it there first", .others + 1)]
    InUse { by: StreamId, others: usize },
    /// The file belongs to another workspace.
    #[error("the file belongs to another workspace; upload it to this one, or to none")]
    Elsewhere,
}

impl Rule for FileRule {
    type Of = File;

    fn class(&self) -> Class<'_> {
        match self {
            Self::AlreadyStored => Class::Conflict,
            Self::NotStored
            | Self::SizeMismatch { .. }
            | Self::DigestMismatch { .. }
            | Self::InUse { .. }
            | Self::Elsewhere => Class::Rule,
        }
    }
}

/// Reasons to refuse a command.
pub type FileRefusal = Rejection<FileRule>;

#[derive(Debug, Clone, Default, PartialEq)]
pub enum File {
    #[default]
    Absent,
    /// The upload has not arrived yet.
    Requested(Box<Upload>),
    Stored(Box<Stored>),
    /// The file was deleted or never uploaded.
    Gone,
}

/// An uploaded file.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub upload: Upload,
    pub content: Content,
    pub renditions: Vec<Rendition>,
    /// True if the file should be a picture but is not.
    pub resize_failed: bool,
    /// The streams that refer to the file.
    pub references: BTreeSet<StreamId>,
}

/// The variant of a file that is sent.
pub struct Variant<'a> {
    /// Size in bytes.
    pub size: u64,
    pub media_type: &'a str,
    pub key: BlobKey,
}

impl File {
    /// Returns the upload, if the file exists or can still arrive.
    #[must_use]
    pub const fn upload(&self) -> Option<&Upload> {
        match self {
            Self::Requested(upload) => Some(upload),
            Self::Stored(stored) => Some(&stored.upload),
            Self::Absent | Self::Gone => None,
        }
    }

    #[must_use]
    pub const fn stored(&self) -> Option<&Stored> {
        match self {
            Self::Stored(stored) => Some(stored),
            Self::Absent | Self::Requested(_) | Self::Gone => None,
        }
    }

    fn change(mut self, change: impl FnOnce(&mut Stored)) -> Self {
        if let Self::Stored(stored) = &mut self {
            change(stored);
        }
        self
    }
}

impl Stored {
    /// Returns the file itself, or the same picture in another size.
    #[must_use]
    pub fn variant(&self, product_id: Uuid, pixels: Option<u32>) -> Option<Variant<'_>> {
        let Some(pixels) = pixels else {
            return Some(Variant {
                size: self.upload.size,
                media_type: &self.upload.media_type,
                key: self.key(product_id, &self.content.sha256, self.content.generation),
            });
        };
        let rendition = self.renditions.iter().find(|r| r.pixels == pixels)?;
        Some(Variant {
            size: rendition.size,
            media_type: &rendition.media_type,
            key: self.key(product_id, &rendition.sha256, rendition.generation),
        })
    }

    /// Returns all blobs of the file: its own, and those of its other sizes.
    #[must_use]
    pub fn blobs(&self, product_id: Uuid) -> Vec<BlobKey> {
        let own = self.key(product_id, &self.content.sha256, self.content.generation);
        let other = |r: &Rendition| self.key(product_id, &r.sha256, r.generation);
        std::iter::once(own)
            .chain(self.renditions.iter().map(other))
            .collect()
    }

    fn key(&self, product_id: Uuid, sha256: &str, generation: u32) -> BlobKey {
        BlobKey {
            product_id,
            container: self.upload.container,
            sha256: sha256.to_owned(),
            generation,
        }
    }

    fn decide(&self, command: FileCommand) -> Result<Vec<FileEvent>, FileRefusal> {
        match command {
            FileCommand::Request { .. } => Err(FileRefusal::Exists),
            FileCommand::Store { content, .. } if content.sha256 == self.content.sha256 => {
                Ok(vec![])
            }
            FileCommand::Store { .. } => Err(FileRule::AlreadyStored.into()),
            FileCommand::Resize { renditions } if self.renditions.is_empty() => {
                Ok(vec![FileEvent::Resized { renditions }])
            }
            FileCommand::FailResize { reason } if !self.resize_failed => {
                Ok(vec![FileEvent::ResizeFailed { reason }])
            }
            FileCommand::Refer { workspace_id, .. }
                if self.upload.workspace_id.is_some()
                    && self.upload.workspace_id != workspace_id =>
            {
                Err(FileRule::Elsewhere.into())
            }
            FileCommand::Refer { by, .. } if !self.references.contains(&by) => {
                Ok(vec![FileEvent::Referenced { by }])
            }
            FileCommand::Unrefer { by } if self.references.contains(&by) => {
                Ok(vec![FileEvent::Unreferenced { by }])
            }
            FileCommand::Delete => match self.references.first() {
                Some(by) => Err(FileRule::InUse {
                    by: by.clone(),
                    others: self.references.len() - 1,
                }
                .into()),
                None => Ok(vec![FileEvent::Deleted {}]),
            },
            FileCommand::Resize { .. }
            | FileCommand::FailResize { .. }
            | FileCommand::Refer { .. }
            | FileCommand::Unrefer { .. }
            | FileCommand::Expire => Ok(vec![]),
        }
    }
}

impl Upload {
    fn decide(
        &self,
        command: FileCommand,
        at: &DecisionContext,
    ) -> Result<Vec<FileEvent>, FileRefusal> {
        match command {
            FileCommand::Request { .. } => Err(FileRefusal::Exists),
            FileCommand::Store { size, .. } if size != self.size => Err(FileRule::SizeMismatch {
                expected: self.size,
                found: size,
            }
            .into()),
            FileCommand::Store { size, content } => match &self.sha256 {
                Some(expected) if *expected != content.sha256 => Err(FileRule::DigestMismatch {
                    expected: expected.clone(),
                    found: content.sha256,
                }
                .into()),
                Some(_) | None => Ok(vec![FileEvent::Stored {
                    container: self.container,
                    name: self.name.clone(),
                    media_type: self.media_type.clone(),
                    size,
                    content,
                }]),
            },
            FileCommand::Expire if at.now >= self.expires_at => Ok(vec![FileEvent::Expired {}]),
            FileCommand::Expire | FileCommand::Unrefer { .. } => Ok(vec![]),
            FileCommand::Delete => Ok(vec![FileEvent::Deleted {}]),
            FileCommand::Resize { .. }
            | FileCommand::FailResize { .. }
            | FileCommand::Refer { .. } => Err(FileRule::NotStored.into()),
        }
    }

    fn validate(&self, max_size: u64) -> Result<(), Violations> {
        let mut violations = Violations::default();
        require_name(&mut violations, &self.name);
        let (container, media_type) = (self.container, &self.media_type);
        if is_media_type(media_type) {
            violations.require(
                container.takes(media_type),
                "/media_type",
                format!(
                    "must be one of {} in {container}",
                    container.media_types().join(", ")
                ),
            );
        } else {
            violations.require(false, "/media_type", MEDIA_TYPE);
        }
        violations.require(
            self.size <= max_size,
            "/size",
            format!("must be at most {max_size} bytes in {container}"),
        );
        violations.require(
            self.sha256.as_deref().is_none_or(is_sha256),
            "/sha256",
            "must be 64 hexadecimal digits in lower case",
        );
        violations.into_result()
    }
}

/// Describes a valid media type.
pub(crate) const MEDIA_TYPE: &str =
    "must be a media type in lower case without parameters, such as text/plain";

/// Requires a valid display name, which a browser may use when it saves the file.
pub(crate) fn require_name(violations: &mut Violations, name: &str) {
    violations.require_line(name, 1, MAX_NAME, "/name");
    violations.require(
        !name.contains(['/', '\\']) && name != "." && name != "..",
        "/name",
        "must be a file's name, without the path to it",
    );
}

impl Aggregate for File {
    const CATEGORY: &'static str = "file";
    const SCOPE: &'static str = "files";
    const AUDIENCE: Audience = Audience::MembersOrProduct;
    type Command = FileCommand;
    type Event = FileEvent;
    type Rule = FileRule;

    fn evolve(self, event: &FileEvent) -> Self {
        match (self, event) {
            (_, FileEvent::Requested { upload }) => Self::Requested(Box::new(upload.clone())),
            (Self::Requested(upload), FileEvent::Stored { content, .. }) => {
                Self::Stored(Box::new(Stored {
                    upload: *upload,
                    content: content.clone(),
                    renditions: vec![],
                    resize_failed: false,
                    references: BTreeSet::new(),
                }))
            }
            (_, FileEvent::Expired {} | FileEvent::Deleted {}) => Self::Gone,
            (file, FileEvent::Resized { renditions }) => {
                file.change(|stored| stored.renditions.clone_from(renditions))
            }
            (file, FileEvent::Referenced { by }) => file.change(|stored| {
                stored.references.insert(by.clone());
            }),
            (file, FileEvent::Unreferenced { by }) => file.change(|stored| {
                stored.references.remove(by);
            }),
            (file, FileEvent::ResizeFailed { .. }) => {
                file.change(|stored| stored.resize_failed = true)
            }
            (file, FileEvent::Stored { .. }) => file,
        }
    }

    fn decide(
        &self,
        command: FileCommand,
        at: &DecisionContext,
    ) -> Result<Vec<FileEvent>, FileRefusal> {
        match (self, command) {
            (Self::Absent, FileCommand::Request { upload, max_size }) => {
                upload.validate(max_size)?;
                Ok(vec![FileEvent::Requested { upload }])
            }
            (Self::Gone, FileCommand::Request { .. }) => Err(FileRefusal::Exists),
            // Nothing is left to do.
            (
                Self::Gone,
                FileCommand::Expire
                | FileCommand::Resize { .. }
                | FileCommand::FailResize { .. }
                | FileCommand::Unrefer { .. },
            ) => Ok(vec![]),
            (Self::Absent | Self::Gone, _) => Err(FileRefusal::NotFound),
            (Self::Requested(upload), command) => upload.decide(command, at),
            (Self::Stored(stored), command) => stored.decide(command),
        }
    }

    fn workspace(&self, _id: Uuid) -> Option<Uuid> {
        self.upload().and_then(|upload| upload.workspace_id)
    }

    /// Only editors of a workspace add and delete its files.
    fn required_permission(
        &self,
        _id: Uuid,
        command: &FileCommand,
        at: &DecisionContext,
    ) -> RequiredPermission {
        let workspace_id = match command {
            FileCommand::Request { upload, .. } => upload.workspace_id,
            FileCommand::Delete => self.upload().and_then(|upload| upload.workspace_id),
            FileCommand::Store { .. }
            | FileCommand::Resize { .. }
            | FileCommand::FailResize { .. }
            | FileCommand::Refer { .. }
            | FileCommand::Unrefer { .. }
            | FileCommand::Expire => None,
        };
        match workspace_id {
            Some(workspace_id) if at.actor != Actor::SYSTEM => {
                RequiredPermission::member_of::<Workspace>(workspace_id, Permission::Write)
            }
            Some(_) | None => RequiredPermission::Product,
        }
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
