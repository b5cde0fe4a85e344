//! Commands on avatars, which check the actor and the picture.

use async_trait::async_trait;
use domain::identity::actor::KnownActor;
use domain::identity::avatar::{Avatar, AvatarCommand, AvatarRefusal, AvatarRule};
use domain::operations::container::Container;
use domain::operations::file::{File, FileCommand};
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use crate::{CommandError, Handler, UnitOfWork};

/// Any command on the avatar of an actor.
pub struct Change {
    pub actor_id: Uuid,
    pub command: AvatarCommand,
}

#[async_trait]
impl Handler for Change {
    fn name(&self) -> String {
        self.command.as_ref().to_owned()
    }

    fn context(&self) -> &'static str {
        Avatar::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Avatar>(self.actor_id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let id = self.actor_id;
        if work.load::<KnownActor>(id).await?.state == KnownActor::Unknown {
            return Err(CommandError::refused(AvatarRefusal::NotFound));
        }
        let before = work.load::<Avatar>(id).await?.state.0;
        let events = work.decide::<Avatar>(id, self.command.clone()).await?;
        if events.is_empty() {
            return Ok(());
        }
        let by = StreamId::of::<Avatar>(id);
        if let AvatarCommand::Set { file_id, .. } = self.command {
            require_picture(work, file_id).await?;
            let refer = FileCommand::Refer {
                by: by.clone(),
                workspace_id: None,
            };
            work.decide::<File>(file_id, refer).await?;
        }
        if let Some(before) = before {
            let unrefer = FileCommand::Unrefer { by };
            work.decide::<File>(before, unrefer).await?;
        }
        Ok(())
    }
}

/// Requires a picture outside of any workspace, because the whole product sees an avatar.
async fn require_picture(work: &mut UnitOfWork<'_>, file_id: Uuid) -> Result<(), CommandError> {
    let file = work.load::<File>(file_id).await?.state.stored();
    let is_picture = file.is_some_and(|file| {
        file.upload.container == Container::Avatars
            && file.upload.workspace_id.is_none()
            && !file.resize_failed
    });
    if is_picture {
        Ok(())
    } else {
        Err(CommandError::refused(AvatarRule::FileUnavailable))
    }
}
