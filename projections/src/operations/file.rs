//! The read model of files.

use chrono::{DateTime, Utc};
use domain::operations::container::Container;
use domain::operations::file::{File, FileEvent, Rendition};
use serde::{Deserialize, Serialize};
use store::Recorded;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ReadModel;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = FileRecord)]
pub struct FileContent {
    pub container: Container,
    pub name: String,
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the content, or of the expected content; null: unknown.
    pub sha256: Option<String>,
    /// Workspace whose members may see the file; null: everybody in the product.
    pub workspace_id: Option<Uuid>,
    pub status: FileStatus,
    /// Time until which the file can be uploaded.
    pub expires_at: DateTime<Utc>,
    pub stored_at: Option<DateTime<Utc>>,
    /// Other sizes of the same picture.
    pub renditions: Vec<RenditionContent>,
    /// Reason why other sizes could not be made.
    pub resize_failed: Option<String>,
}

/// Another size of the same picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Rendition)]
pub struct RenditionContent {
    /// Edge length of the square picture.
    pub pixels: u32,
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
    pub sha256: String,
}

impl From<Rendition> for RenditionContent {
    fn from(rendition: Rendition) -> Self {
        Self {
            pixels: rendition.pixels,
            media_type: rendition.media_type,
            size: rendition.size,
            sha256: rendition.sha256,
        }
    }
}

/// The state of a file.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FileStatus {
    /// The file can be uploaded.
    Requested,
    /// The file is uploaded.
    Stored,
}

pub struct Files;

impl ReadModel for Files {
    const TABLE: &'static str = "files";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/file.sql");
    /// Visible to the members of its workspace; without a workspace, to everybody in its product.
    const VISIBLE: &'static str = "($2::uuid is null or t.product_id = $2 and case when t.workspace_id is null
        then $3::text is not null else (
        select true from workspaces w where w.id = t.workspace_id and w.members ? $3::text limit 1) end)";
    type Of = File;
    type Content = FileContent;

    fn apply(
        file: Option<FileContent>,
        event: FileEvent,
        envelope: &Recorded,
    ) -> Option<FileContent> {
        Some(match (file, event) {
            (_, FileEvent::Requested { upload }) => FileContent {
                container: upload.container,
                name: upload.name,
                media_type: upload.media_type,
                size: upload.size,
                sha256: upload.sha256,
                workspace_id: upload.workspace_id,
                status: FileStatus::Requested,
                expires_at: upload.expires_at,
                stored_at: None,
                renditions: vec![],
                resize_failed: None,
            },
            (None, _) | (_, FileEvent::Expired {} | FileEvent::Deleted {}) => return None,
            (Some(file), FileEvent::Stored { content, .. }) => FileContent {
                sha256: Some(content.sha256),
                status: FileStatus::Stored,
                stored_at: Some(envelope.recorded_at),
                ..file
            },
            (Some(file), FileEvent::Resized { renditions }) => FileContent {
                renditions: renditions.into_iter().map(Into::into).collect(),
                ..file
            },
            (Some(file), FileEvent::ResizeFailed { reason }) => FileContent {
                resize_failed: Some(reason),
                ..file
            },
            (Some(file), FileEvent::Referenced { .. } | FileEvent::Unreferenced { .. }) => file,
        })
    }
}
