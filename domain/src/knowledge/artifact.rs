//! Artifacts: files, or addresses elsewhere, that are attached to a note.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::place;
use super::workspace::Workspace;
use crate::Permission;
use crate::operations::blob::is_sha256;
use crate::operations::container::is_media_type;
use crate::operations::file::{MEDIA_TYPE, require_name};
use crate::{
    Actor, Aggregate, Audience, DecisionContext, Rejection, RequiredPermission, Rule, Violations,
    WEB_ADDRESS, events, is_web_address,
};

/// The content of an artifact: a file that Daybook stores, or a resource at another address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    pub workspace_id: Uuid,
    pub note_id: Uuid,
    pub name: String,
    /// Path within the imported folder, with `/` between names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    pub media_type: String,
    /// Size in bytes, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// SHA-256 in hex, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

crate::generate! { struct Attachment { workspace_id, note_id, name, path, media_type, size, sha256, file_id, url } }

events! {
    /// Events of an artifact.
    pub enum ArtifactEvent {
        /// A file, or a resource at an address, was attached to a note.
        Attached("artifact.attached", 1) {
            #[serde(flatten)]
            attachment: Attachment,
        },
        /// The artifact was renamed.
        Renamed("artifact.renamed", 1) { name: String },
        /// The artifact was detached; it is hidden until it is restored.
        Detached("artifact.detached", 1) {},
        /// The artifact was restored and is attached again, unchanged.
        Restored("artifact.restored", 1) {},
        /// The artifact was removed for good, with its note.
        Removed("artifact.removed", 1) {},
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "artifact.", serialize_all = "snake_case")]
pub enum ArtifactCommand {
    Attach(Attachment),
    Rename {
        name: String,
    },
    Detach,
    Restore,
    /// Removes the artifact because its note is gone.
    Remove,
}

/// Rules of artifacts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum ArtifactRule {
    /// A detached artifact cannot be changed.
    #[error("the artifact is detached; restore it first")]
    Detached,
    /// The note is not available.
    #[error("there is no such note, or it is in the trash")]
    NoteUnavailable,
    /// The file is not available.
    #[error("there is no such file, or it has not been uploaded yet")]
    FileUnavailable,
}

impl Rule for ArtifactRule {
    type Of = Artifact;
}

/// Reasons to refuse a command.
pub type ArtifactRefusal = Rejection<ArtifactRule>;

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Artifact {
    #[default]
    Absent,
    Attached(Box<Attachment>),
    Detached(Box<Attachment>),
    Removed,
}

impl Artifact {
    /// Returns the attachment, whether it is attached or detached.
    #[must_use]
    pub const fn attachment(&self) -> Option<&Attachment> {
        match self {
            Self::Attached(attachment) | Self::Detached(attachment) => Some(attachment),
            Self::Absent | Self::Removed => None,
        }
    }
}

impl Attachment {
    fn validate(&self) -> Result<(), Violations> {
        let mut violations = Violations::default();
        require_name(&mut violations, &self.name);
        violations.require(
            self.path.as_deref().is_none_or(place::is_path),
            "/path",
            place::PATH,
        );
        violations.require(is_media_type(&self.media_type), "/media_type", MEDIA_TYPE);
        violations.require(
            self.sha256.as_deref().is_none_or(is_sha256),
            "/sha256",
            "must be 64 hexadecimal digits in lower case",
        );
        violations.require(
            self.file_id.is_some() != self.url.is_some(),
            "/file_id",
            "must be given, or url, and not both",
        );
        violations.require(
            self.url.as_deref().is_none_or(is_web_address),
            "/url",
            WEB_ADDRESS,
        );
        violations.into_result()
    }
}

impl Aggregate for Artifact {
    const CATEGORY: &'static str = "artifact";
    const SCOPE: &'static str = "artifacts";
    const AUDIENCE: Audience = Audience::Members;
    type Command = ArtifactCommand;
    type Event = ArtifactEvent;
    type Rule = ArtifactRule;

    fn evolve(self, event: &ArtifactEvent) -> Self {
        match (self, event) {
            (_, ArtifactEvent::Attached { attachment }) => {
                Self::Attached(Box::new(attachment.clone()))
            }
            (_, ArtifactEvent::Removed {}) => Self::Removed,
            (Self::Attached(mut attachment), ArtifactEvent::Renamed { name }) => {
                attachment.name.clone_from(name);
                Self::Attached(attachment)
            }
            (Self::Attached(attachment), ArtifactEvent::Detached {}) => Self::Detached(attachment),
            (Self::Detached(attachment), ArtifactEvent::Restored {}) => Self::Attached(attachment),
            (
                artifact,
                ArtifactEvent::Renamed { .. }
                | ArtifactEvent::Detached {}
                | ArtifactEvent::Restored {},
            ) => artifact,
        }
    }

    fn decide(
        &self,
        command: ArtifactCommand,
        _: &DecisionContext,
    ) -> Result<Vec<ArtifactEvent>, ArtifactRefusal> {
        match (self, command) {
            (Self::Absent, ArtifactCommand::Attach(attachment)) => {
                attachment.validate()?;
                Ok(vec![ArtifactEvent::Attached { attachment }])
            }
            (_, ArtifactCommand::Attach(_)) => Err(ArtifactRefusal::Exists),
            (Self::Removed, ArtifactCommand::Remove) => Ok(vec![]),
            (Self::Absent | Self::Removed, _) => Err(ArtifactRefusal::NotFound),
            (Self::Attached(attachment), ArtifactCommand::Rename { name })
                if attachment.name == name =>
            {
                Ok(vec![])
            }
            (Self::Attached(_), ArtifactCommand::Rename { name }) => {
                let mut violations = Violations::default();
                require_name(&mut violations, &name);
                violations.into_result()?;
                Ok(vec![ArtifactEvent::Renamed { name }])
            }
            (Self::Detached(_), ArtifactCommand::Rename { .. }) => {
                Err(ArtifactRule::Detached.into())
            }
            (Self::Attached(_), ArtifactCommand::Detach) => Ok(vec![ArtifactEvent::Detached {}]),
            (Self::Detached(_), ArtifactCommand::Restore) => Ok(vec![ArtifactEvent::Restored {}]),
            (Self::Attached(_), ArtifactCommand::Restore)
            | (Self::Detached(_), ArtifactCommand::Detach) => Ok(vec![]),
            (Self::Attached(_) | Self::Detached(_), ArtifactCommand::Remove) => {
                Ok(vec![ArtifactEvent::Removed {}])
            }
        }
    }

    fn workspace(&self, _id: Uuid) -> Option<Uuid> {
        self.attachment().map(|attachment| attachment.workspace_id)
    }

    /// Only editors and owners write, as for notes.
    fn required_permission(
        &self,
        _id: Uuid,
        command: &ArtifactCommand,
        at: &DecisionContext,
    ) -> RequiredPermission {
        let workspace_id = match command {
            ArtifactCommand::Attach(attachment) => Some(attachment.workspace_id),
            ArtifactCommand::Rename { .. }
            | ArtifactCommand::Detach
            | ArtifactCommand::Restore
            | ArtifactCommand::Remove => self.attachment().map(|known| known.workspace_id),
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
mod tests {
    use super::*;
    use crate::testing::given;

    fn file() -> Attachment {
        Attachment {
            workspace_id: Uuid::from_u128(1),
            note_id: Uuid::from_u128(2),
            name: "tea.pdf".into(),
            path: Some("Drinks/tea.pdf".into()),
            media_type: "application/pdf".into(),
            size: Some(3),
            sha256: Some("5e".repeat(32)),
            file_id: Some(Uuid::from_u128(3)),
            url: None,
        }
    }

    fn address(url: &str) -> Attachment {
        Attachment {
            size: None,
            sha256: None,
            file_id: None,
            url: Some(url.into()),
            ..file()
        }
    }

    fn attached(attachment: Attachment) -> ArtifactEvent {
        ArtifactEvent::Attached { attachment }
    }

    fn rename(name: &str) -> ArtifactCommand {
        ArtifactCommand::Rename { name: name.into() }
    }

    #[test]
    fn a_file_or_an_address_is_attached_once() {
        for attachment in [file(), address("https://tea.example/steep?t=3")] {
            given::<Artifact>([])
                .when(ArtifactCommand::Attach(attachment.clone()))
                .then([attached(attachment.clone())]);
            given::<Artifact>([attached(attachment.clone())])
                .when(ArtifactCommand::Attach(attachment))
                .then_refused(ArtifactRefusal::Exists);
        }
    }

    #[test]
    fn it_is_one_of_both_and_an_address_is_of_the_web() {
        let both = Attachment {
            file_id: file().file_id,
            ..address("https://tea.example")
        };
        let neither = Attachment {
            file_id: None,
            ..file()
        };
        for wrong in [both, neither] {
            given::<Artifact>([])
                .when(ArtifactCommand::Attach(wrong))
                .then_invalid(&["/file_id"]);
        }
        for url in [
            "javascript:alert(1)",
            "https://",
            "https://tea@evil.example",
        ] {
            given::<Artifact>([])
                .when(ArtifactCommand::Attach(address(url)))
                .then_invalid(&["/url"]);
        }
    }

    #[test]
    fn everything_that_is_wrong_with_it_is_named_at_once() {
        let wrong = Attachment {
            name: "a/b".into(),
            path: Some("../b".into()),
            media_type: "pdf".into(),
            sha256: Some("tea".into()),
            ..file()
        };
        given::<Artifact>([])
            .when(ArtifactCommand::Attach(wrong))
            .then_invalid(&["/name", "/path", "/media_type", "/sha256"]);
    }

    #[test]
    fn it_is_renamed_where_that_changes_something() {
        given::<Artifact>([attached(file())])
            .when(rename("coffee.pdf"))
            .then([ArtifactEvent::Renamed {
                name: "coffee.pdf".into(),
            }]);
        given::<Artifact>([attached(file())])
            .when(rename("tea.pdf"))
            .then_nothing();
        given::<Artifact>([attached(file())])
            .when(rename(".."))
            .then_invalid(&["/name"]);
        given::<Artifact>([attached(file()), ArtifactEvent::Detached {}])
            .when(rename("coffee.pdf"))
            .then_refused(ArtifactRule::Detached);
    }

    #[test]
    fn it_is_detached_and_restored() {
        let detached = ArtifactEvent::Detached {};
        given::<Artifact>([attached(file())])
            .when(ArtifactCommand::Detach)
            .then([detached.clone()]);
        given::<Artifact>([attached(file()), detached.clone()])
            .when(ArtifactCommand::Detach)
            .then_nothing();
        given::<Artifact>([attached(file()), detached])
            .when(ArtifactCommand::Restore)
            .then([ArtifactEvent::Restored {}]);
        given::<Artifact>([attached(file())])
            .when(ArtifactCommand::Restore)
            .then_nothing();
    }

    #[test]
    fn what_is_removed_does_not_come_back() {
        let removed = || [attached(file()), ArtifactEvent::Removed {}];
        given::<Artifact>([attached(file())])
            .when(ArtifactCommand::Remove)
            .then([ArtifactEvent::Removed {}]);
        given::<Artifact>(removed())
            .when(ArtifactCommand::Remove)
            .then_nothing();
        for command in [
            rename("x"),
            ArtifactCommand::Detach,
            ArtifactCommand::Restore,
        ] {
            given::<Artifact>(removed())
                .when(command)
                .then_refused(ArtifactRefusal::NotFound);
        }
    }
}
