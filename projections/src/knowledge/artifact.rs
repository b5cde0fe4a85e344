//! The read model of artifacts.

use domain::Aggregate;
use domain::knowledge::artifact::{Artifact, ArtifactEvent};
use domain::knowledge::note::Note;
use serde::{Deserialize, Serialize};
use store::{Database, Recorded};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::query::rows;
use crate::{QueryError, ReadModel};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Artifact)]
pub struct ArtifactContent {
    pub workspace_id: Uuid,
    pub note_id: Uuid,
    pub name: String,
    /// Path within the folder from which the artifact was imported.
    pub path: Option<String>,
    pub media_type: String,
    /// Size in bytes; null: unknown.
    pub size: Option<u64>,
    /// SHA-256 in hex; null: unknown.
    pub sha256: Option<String>,
    /// The file; null: the artifact is an external link.
    pub file_id: Option<Uuid>,
    /// Address of the artifact; null: Daybook keeps the file.
    pub url: Option<String>,
    pub status: ArtifactStatus,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ArtifactStatus {
    Attached,
    /// Detached from the note until it is restored.
    Detached,
}

pub struct Artifacts;

impl ReadModel for Artifacts {
    const TABLE: &'static str = "artifacts";
    const VERSION: u32 = 2;
    const DDL: &'static str = include_str!("../../../schema/read/artifact.sql");
    /// Visible to the members of its workspace, unless its note is in the trash.
    const VISIBLE: &'static str = "($2::uuid is null or t.product_id = $2 and (
        select true from workspaces w where w.id = t.workspace_id and w.members ? $3::text limit 1))
        and (select true from notes n where n.id = t.note_id and n.status <> 'trashed' limit 1)";
    const DEPENDS_ON: &'static [&'static str] = &[Note::CATEGORY];
    type Of = Artifact;
    type Content = ArtifactContent;

    fn apply(
        artifact: Option<ArtifactContent>,
        event: ArtifactEvent,
        _: &Recorded,
    ) -> Option<ArtifactContent> {
        Some(match (artifact, event) {
            (_, ArtifactEvent::Attached { attachment }) => ArtifactContent {
                workspace_id: attachment.workspace_id,
                note_id: attachment.note_id,
                name: attachment.name,
                path: attachment.path,
                media_type: attachment.media_type,
                size: attachment.size,
                sha256: attachment.sha256,
                file_id: attachment.file_id,
                url: attachment.url,
                status: ArtifactStatus::Attached,
            },
            (None, _) | (_, ArtifactEvent::Removed {}) => return None,
            (Some(artifact), ArtifactEvent::Renamed { name }) => {
                ArtifactContent { name, ..artifact }
            }
            (Some(artifact), ArtifactEvent::Detached {}) => ArtifactContent {
                status: ArtifactStatus::Detached,
                ..artifact
            },
            (Some(artifact), ArtifactEvent::Restored {}) => ArtifactContent {
                status: ArtifactStatus::Attached,
                ..artifact
            },
        })
    }
}

/// Returns the artifacts of a note, attached or not, regardless of the viewer.
pub async fn of_note(database: &Database, note_id: Uuid) -> Result<Vec<Uuid>, QueryError> {
    const OF_NOTE: &str = "select to_json(id)::text from artifacts where note_id = $1";
    rows(database, OF_NOTE, &[&note_id]).await
}
