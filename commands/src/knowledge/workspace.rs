//! Commands on the members of workspaces, which check that the actor exists.

use async_trait::async_trait;
use domain::identity::actor::KnownActor;
use domain::knowledge::workspace::{Role, Workspace, WorkspaceCommand, WorkspaceRule};
use domain::{ActorKind, Aggregate, StreamId};
use uuid::Uuid;

use crate::{CommandError, Handler, UnitOfWork};

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
        Workspace::SCOPE
    }

    fn stream(&self) -> StreamId {
        StreamId::of::<Workspace>(self.id)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        // The permission is checked first, so that other actors cannot probe for actors.
        work.decide::<Workspace>(self.id, self.command()).await?;
        let actor = work.load::<KnownActor>(self.actor_id).await?;
        let refusal = match (actor.state.kind(), self.role) {
            (None, _) => WorkspaceRule::ActorUnknown,
            // An agent could never do what an owner does, and might be the last owner.
            (Some(ActorKind::Agent), Role::Owner) => WorkspaceRule::AgentOwner,
            (Some(_), _) => return Ok(()),
        };
        Err(CommandError::refused(refusal))
    }
}
