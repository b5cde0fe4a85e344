//! A member is an actor that Daybook knows.

use async_trait::async_trait;
use domain::identity::actor::KnownActor;
use domain::knowledge::workspace::{Role, Workspace, WorkspaceCommand, WorkspaceRefusal};
use domain::{Aggregate, StreamId};
use uuid::Uuid;

use crate::{Book, CommandError, Handler};

/// Makes an actor of the same product a member, or gives them another role.
pub struct SetMember {
    pub id: Uuid,
    pub actor_id: Uuid,
    pub role: Role,
}

impl SetMember {
    const fn command(&self) -> WorkspaceCommand {
        WorkspaceCommand::SetMember {
            actor_id: self.actor_id,
            role: self.role,
        }
    }
}

#[async_trait]
impl Handler for SetMember {
    fn name(&self) -> String {
        self.command().as_ref().to_owned()
    }

    fn context(&self) -> &'static str {
        Workspace::CONTEXT
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Workspace>(self.id)
    }

    async fn handle(&self, book: &mut Book<'_>) -> Result<(), CommandError> {
        // First whether the caller may: strangers cannot try out who there is.
        book.decide::<Workspace>(self.id, self.command()).await?;
        match book.load::<KnownActor>(self.actor_id).await?.state {
            KnownActor::Known(_) => Ok(()),
            KnownActor::Unknown => Err(CommandError::refused(WorkspaceRefusal::ActorUnknown)),
        }
    }
}
