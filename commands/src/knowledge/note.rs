//! Commands on notes; linking also checks the other note.

use async_trait::async_trait;
use domain::knowledge::note::{Note, NoteCommand, NoteRule, TypedLink};
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use crate::{CommandError, Handler, UnitOfWork};

/// Links a note to another of its workspace.
pub struct Link {
    pub id: Uuid,
    pub link: TypedLink,
}

impl Link {
    fn command(&self) -> NoteCommand {
        NoteCommand::Link(self.link.clone())
    }
}

#[async_trait]
impl Handler for Link {
    fn name(&self) -> String {
        self.command().as_ref().to_owned()
    }

    fn context(&self) -> &'static str {
        Note::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Note>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        decide(work, self.id, self.command()).await
    }
}

/// Decides any command on a note. The target of a new link must be another note of the same workspace.
pub(crate) async fn decide(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
    command: NoteCommand,
) -> Result<(), CommandError> {
    let target_id = match &command {
        NoteCommand::Link(link) => Some(link.target_id),
        NoteCommand::Create { .. }
        | NoteCommand::Revise(_)
        | NoteCommand::Merge { .. }
        | NoteCommand::Tag { .. }
        | NoteCommand::Unlink { .. }
        | NoteCommand::Archive
        | NoteCommand::Trash
        | NoteCommand::Restore
        | NoteCommand::Purge => None,
    };
    // The permission is checked first, so that other actors cannot probe for notes.
    let events = work.decide::<Note>(id, command).await?;
    match target_id {
        Some(target_id) if target_id == id => Err(CommandError::refused(NoteRule::SelfLink)),
        Some(target_id) if !events.is_empty() => {
            let home = workspace(work, id).await?;
            if workspace(work, target_id).await? == home {
                Ok(())
            } else {
                Err(CommandError::refused(NoteRule::TargetNotFound))
            }
        }
        Some(_) | None => Ok(()),
    }
}

/// Returns the workspace of a note; none if there is no such note.
pub(crate) async fn workspace(
    work: &mut UnitOfWork<'_>,
    id: Uuid,
) -> Result<Option<Uuid>, CommandError> {
    let note = work.load::<Note>(id).await?;
    Ok(note.state.content().map(|content| content.workspace_id))
}
