//! Commands on artifacts, which also check and affect the note and the file.

use async_trait::async_trait;
use domain::Permission;
use domain::knowledge::artifact::{Artifact, ArtifactCommand, ArtifactRule, Attachment};
use domain::knowledge::note::{Note, NoteRefusal};
use domain::knowledge::workspace::Workspace;
use domain::operations::file::{File, FileCommand, Stored};
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use crate::{CommandError, Handler, UnitOfWork};

/// Data of an attachment as the caller gives it; for a file, the rest is known.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    pub file_id: Option<Uuid>,
    pub url: Option<String>,
    /// Name of the artifact; that of the file if absent.
    pub name: Option<String>,
    /// Path within the imported folder.
    pub path: Option<String>,
    pub media_type: Option<String>,
    pub size: Option<u64>,
    pub sha256: Option<String>,
}

/// Attaches a file, or an address elsewhere, to a note.
pub struct Attach {
    pub id: Uuid,
    pub note_id: Uuid,
    pub draft: Draft,
}

#[async_trait]
impl Handler for Attach {
    fn name(&self) -> String {
        "artifact.attach".into()
    }

    fn context(&self) -> &'static str {
        Artifact::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Artifact>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        attach(work, self.id, self.note_id, self.draft.clone()).await
    }
}

/// Any command on an artifact except attaching.
pub struct Change {
    pub id: Uuid,
    pub command: ArtifactCommand,
}

#[async_trait]
impl Handler for Change {
    fn name(&self) -> String {
        self.command.as_ref().to_owned()
    }

    fn context(&self) -> &'static str {
        Artifact::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Artifact>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        decide(work, self.id, self.command.clone()).await
    }
}

/// Attaches the draft to a note as a new artifact.
pub(crate) async fn attach(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    note_id: Uuid,
    draft: Draft,
) -> Result<(), CommandError> {
    let note = work.load::<Note>(note_id).await?;
    let workspace_id = note.state.content().map(|content| content.workspace_id);
    let workspace_id = workspace_id.ok_or_else(|| CommandError::refused(NoteRefusal::NotFound))?;
    // The permission is checked first, so that other actors cannot probe for notes and files.
    work.permit::<Workspace>(workspace_id, Permission::Write)
        .await?;
    require_note(work, note_id).await?;
    let attachment = Attachment {
        workspace_id,
        note_id,
        name: draft.name.unwrap_or_default(),
        path: draft.path,
        media_type: draft.media_type.unwrap_or_default(),
        size: draft.size,
        sha256: draft.sha256,
        file_id: draft.file_id,
        url: draft.url,
    };
    let attachment = match attachment.file_id {
        Some(file_id) if attachment.url.is_none() => {
            let file = stored(work, file_id, workspace_id).await?;
            of_file(attachment, &file)
        }
        Some(_) | None => attachment,
    };
    let file_id = attachment.file_id;
    let attach = ArtifactCommand::Attach(attachment);
    work.decide::<Artifact>(id, attach).await?;
    refer(work, id, file_id, workspace_id).await
}

/// Decides any command on an existing artifact; its file is referenced as long as it is attached.
pub(crate) async fn decide(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    command: ArtifactCommand,
) -> Result<(), CommandError> {
    let known = work.load::<Artifact>(id).await?.state.clone();
    let events = work.decide::<Artifact>(id, command.clone()).await?;
    let Some(attachment) = known.attachment().filter(|_| !events.is_empty()) else {
        return Ok(());
    };
    let (file_id, workspace_id) = (attachment.file_id, attachment.workspace_id);
    match command {
        ArtifactCommand::Detach | ArtifactCommand::Remove => {
            let by = StreamId::of::<Artifact>(id);
            if let Some(file_id) = file_id {
                let unrefer = FileCommand::Unrefer { by };
                work.decide::<File>(file_id, unrefer).await?;
            }
            Ok(())
        }
        ArtifactCommand::Restore => {
            require_note(work, attachment.note_id).await?;
            if let Some(file_id) = file_id {
                stored(work, file_id, workspace_id).await?;
            }
            refer(work, id, file_id, workspace_id).await
        }
        ArtifactCommand::Attach(_) | ArtifactCommand::Rename { .. } => Ok(()),
    }
}

/// Replaces the given data by the file's own, except for the artifact's name.
fn of_file(attachment: Attachment, file: &Stored) -> Attachment {
    let upload = &file.upload;
    let name = match attachment.name.as_str() {
        "" => upload.name.clone(),
        _ => attachment.name,
    };
    Attachment {
        name,
        media_type: upload.media_type.clone(),
        size: Some(upload.size),
        sha256: Some(file.content.sha256.clone()),
        ..attachment
    }
}

/// Requires that the note exists and is not in the trash.
async fn require_note(work: &mut UnitOfWork<'_>, note_id: Uuid) -> Result<(), CommandError> {
    match &work.load::<Note>(note_id).await?.state {
        Note::Active(_) | Note::Archived(_) => Ok(()),
        Note::Absent | Note::Trashed(_) | Note::Purged => {
            Err(CommandError::refused(ArtifactRule::NoteUnavailable))
        }
    }
}

/// Returns a stored file that the workspace may use.
async fn stored(
    work: &mut UnitOfWork<'_>,
    file_id: Uuid,
    workspace_id: Uuid,
) -> Result<Stored, CommandError> {
    let file = work.load::<File>(file_id).await?.state.stored();
    let is_here = |file: &&Stored| file.upload.workspace_id.is_none_or(|id| id == workspace_id);
    file.filter(is_here)
        .cloned()
        .ok_or_else(|| CommandError::refused(ArtifactRule::FileUnavailable))
}

async fn refer(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    file_id: Option<Uuid>,
    workspace_id: Uuid,
) -> Result<(), CommandError> {
    if let Some(file_id) = file_id {
        let refer = FileCommand::Refer {
            by: StreamId::of::<Artifact>(id),
            workspace_id: Some(workspace_id),
        };
        work.decide::<File>(file_id, refer).await?;
    }
    Ok(())
}

/// Returns the workspace of an artifact, attached or detached; none if there is no such artifact.
pub(crate) async fn workspace(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
) -> Result<Option<Uuid>, CommandError> {
    let artifact = work.load::<Artifact>(id).await?;
    let attachment = artifact.state.attachment();
    Ok(attachment.map(|attachment| attachment.workspace_id))
}
