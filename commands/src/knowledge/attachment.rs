//! Uploads a file and attaches it to a note, in one append.

use async_trait::async_trait;
use blobs::Received;
use domain::Permission;
use domain::knowledge::artifact::Artifact;
use domain::knowledge::note::{Note, NoteRefusal};
use domain::knowledge::workspace::Workspace;
use domain::operations::blob::BlobKey;
use domain::operations::file::Upload;
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use super::artifact::{Draft, attach};
use crate::operations::file::{Ask, Keeper, Store, StoreError};
use crate::{CommandError, Done, Handler, Request, UnitOfWork};

/// A file to attach to a note; its bytes are already uploaded.
#[derive(Clone)]
pub struct Attachment {
    /// Id of the artifact.
    pub id: Uuid,
    pub note_id: Uuid,
    /// Name of the artifact; that of the file if absent.
    pub name: Option<String>,
    /// The file, with its storage limits. Its workspace is the note's.
    pub file: Ask,
}

/// An attachment whose bytes have an object name.
struct Placed<'a> {
    attachment: &'a Attachment,
    key: BlobKey,
}

#[async_trait]
impl Handler for Placed<'_> {
    fn name(&self) -> String {
        "artifact.upload".into()
    }

    fn context(&self) -> &'static str {
        Artifact::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Artifact>(self.attachment.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let Attachment {
            id,
            note_id,
            name,
            file,
        } = self.attachment;
        let note = work.load::<Note>(*note_id).await?.state.content();
        let workspace_id = note
            .map(|content| content.workspace_id)
            .ok_or_else(|| CommandError::refused(NoteRefusal::NotFound))?;
        // The permission is checked first, so that other actors learn nothing about files and quotas.
        work.permit::<Workspace>(workspace_id, Permission::Write)
            .await?;
        let upload = Upload {
            workspace_id: Some(workspace_id),
            ..file.upload.clone()
        };
        let ask = Ask {
            upload,
            ..file.clone()
        };
        ask.handle(work).await?;
        let store = Store {
            id: file.id,
            size: file.upload.size,
            key: self.key.clone(),
        };
        store.handle(work).await?;
        let draft = Draft {
            file_id: Some(file.id),
            name: name.clone(),
            ..Draft::default()
        };
        attach(work, *id, *note_id, draft).await
    }
}

impl Keeper<'_> {
    /// Checks the attachment before its bytes are received, as far as possible without them.
    pub async fn check(&self, attachment: &Attachment) -> Result<(), CommandError> {
        let look = Request {
            dry_run: true,
            ..self.request.clone()
        };
        let key = BlobKey {
            product_id: self.request.product_id,
            container: attachment.file.upload.container,
            sha256: "0".repeat(64),
            generation: 0,
        };
        let placed = Placed { attachment, key };
        self.executor.execute(&look, &placed).await.map(drop)
    }

    /// Stores the bytes and records file and artifact together.
    pub async fn attach(
        &self,
        attachment: &Attachment,
        received: &Received,
    ) -> Result<Done, StoreError> {
        let place = |key| Placed { attachment, key };
        self.keep(&attachment.file.upload, received, place).await
    }
}
