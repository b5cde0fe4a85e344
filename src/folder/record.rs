//! Notes and artifacts, as returned by the API.

use std::collections::BTreeSet;

use domain::knowledge::note::SourceFile;
use serde::Deserialize;
use uuid::Uuid;

use crate::client::{Client, ClientError};

#[derive(Debug, Clone, Deserialize)]
pub struct Note {
    pub id: Uuid,
    pub version: i64,
    pub title: String,
    pub body: String,
    pub tags: BTreeSet<String>,
    pub aliases: BTreeSet<String>,
    pub status: String,
    pub file: Option<SourceFile>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Artifact {
    pub id: Uuid,
    pub note_id: Uuid,
    pub name: String,
    pub path: Option<String>,
    pub sha256: Option<String>,
    pub file_id: Option<Uuid>,
}

pub async fn notes(client: &Client, workspace_id: Uuid) -> Result<Vec<Note>, ClientError> {
    client
        .list(&format!("/v1/notes?workspace_id={workspace_id}&limit=200"))
        .await
}

pub async fn artifacts(client: &Client, workspace_id: Uuid) -> Result<Vec<Artifact>, ClientError> {
    client
        .list(&format!(
            "/v1/artifacts?workspace_id={workspace_id}&limit=200"
        ))
        .await
}
