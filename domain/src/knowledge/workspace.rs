//! Workspaces: they hold notes, and the roles of their members grant permissions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Actor, Aggregate, Audience, Class, DecisionContext, Permission, Rejection, RequiredPermission,
    ResourceScope, Rule, Violations, events,
};

/// The role of a member in a workspace.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Has every permission, including managing the workspace.
    Owner,
    /// Reads, writes, proposes and approves.
    Editor,
    /// Reads.
    Viewer,
    /// Reads and proposes; never writes.
    Agent,
}

crate::generate! { enum Role { Owner, Editor, Viewer, Agent } }

impl Role {
    #[must_use]
    pub const fn grants(self, permission: Permission) -> bool {
        match permission {
            Permission::Read => true,
            Permission::Propose => !matches!(self, Self::Viewer),
            Permission::Write => matches!(self, Self::Owner | Self::Editor),
            Permission::Manage => matches!(self, Self::Owner),
        }
    }
}

events! {
    /// Events of a workspace.
    pub enum WorkspaceEvent {
        /// A workspace was created; its creator is its first owner.
        Created("workspace.created", 1) { name: String, owner: Uuid },
        /// The workspace was renamed.
        Renamed("workspace.renamed", 1) { name: String },
        /// The workspace was archived for good: it is readable, but can no longer be changed.
        Archived("workspace.archived", 1) {},
        /// A member joined, or got another role.
        MemberSet("workspace.member_set", 1) { actor_id: Uuid, role: Role },
        /// A member left, or was removed.
        MemberRemoved("workspace.member_removed", 1) { actor_id: Uuid },
    }
}

#[derive(Debug, Clone, strum::AsRefStr)]
#[strum(prefix = "workspace.", serialize_all = "snake_case")]
pub enum WorkspaceCommand {
    Create { name: String },
    Rename { name: String },
    Archive,
    SetMember { actor_id: Uuid, role: Role },
    RemoveMember { actor_id: Uuid },
}

/// Rules of workspaces and their contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::AsRefStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum WorkspaceRule {
    /// The operator has no product to create a workspace in.
    #[error(
        "a workspace belongs to a product that people work with; open it with a key of that product"
    )]
    NeedsProduct,
    /// The member's role does not grant the permission.
    #[error(
        "this needs the permission to {0} in the workspace; ask an owner for a role that has it"
    )]
    RoleInsufficient(Permission),
    /// The workspace is archived.
    #[error("the workspace is archived and can no longer be changed")]
    Archived,
    /// A workspace always needs an owner.
    #[error("the last owner cannot leave or step down; make another member owner first")]
    LastOwner,
    /// The actor is not in the product: they never had a key.
    #[error("there is no such actor in this product; issue a key for them first")]
    ActorUnknown,
    /// Agents only read and propose, whatever their role, so they cannot own a workspace.
    #[error("an agent cannot own a workspace: it reads and proposes; make it an agent or a viewer")]
    AgentOwner,
    /// The actor to remove is not a member.
    #[error("this actor is not a member of the workspace")]
    MemberNotFound,
}

impl Rule for WorkspaceRule {
    type Of = Workspace;

    fn class(&self) -> Class<'_> {
        match self {
            Self::MemberNotFound => Class::Absent,
            Self::RoleInsufficient(..) => Class::Forbidden,
            Self::NeedsProduct
            | Self::Archived
            | Self::LastOwner
            | Self::ActorUnknown
            | Self::AgentOwner => Class::Rule,
        }
    }
}

/// Reasons to refuse a command.
pub type WorkspaceRefusal = Rejection<WorkspaceRule>;

#[derive(Debug, Clone, Default, PartialEq)]
pub enum Workspace {
    #[default]
    Absent,
    Active(Details),
    Archived(Details),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Details {
    pub name: String,
    pub members: BTreeMap<Uuid, Role>,
}

impl Workspace {
    #[must_use]
    pub const fn details(&self) -> Option<&Details> {
        match self {
            Self::Absent => None,
            Self::Active(details) | Self::Archived(details) => Some(details),
        }
    }

    fn change(self, change: impl FnOnce(&mut Details)) -> Self {
        match self {
            Self::Absent => Self::Absent,
            Self::Active(mut details) => {
                change(&mut details);
                Self::Active(details)
            }
            Self::Archived(mut details) => {
                change(&mut details);
                Self::Archived(details)
            }
        }
    }
}

impl Details {
    fn decide(&self, command: WorkspaceCommand) -> Result<Vec<WorkspaceEvent>, WorkspaceRefusal> {
        match command {
            WorkspaceCommand::Create { .. } => Err(WorkspaceRefusal::Exists),
            WorkspaceCommand::Rename { name } if name == self.name => Ok(vec![]),
            WorkspaceCommand::Rename { name } => Ok(vec![WorkspaceEvent::Renamed {
                name: valid_name(&name)?,
            }]),
            WorkspaceCommand::Archive => Ok(vec![WorkspaceEvent::Archived {}]),
            WorkspaceCommand::SetMember { actor_id, role }
                if self.members.get(&actor_id) == Some(&role) =>
            {
                Ok(vec![])
            }
            WorkspaceCommand::RemoveMember { actor_id }
                if !self.members.contains_key(&actor_id) =>
            {
                Err(WorkspaceRule::MemberNotFound.into())
            }
            WorkspaceCommand::SetMember { actor_id, .. }
            | WorkspaceCommand::RemoveMember { actor_id }
                if self.is_last_owner(actor_id) =>
            {
                Err(WorkspaceRule::LastOwner.into())
            }
            WorkspaceCommand::SetMember { actor_id, role } => {
                Ok(vec![WorkspaceEvent::MemberSet { actor_id, role }])
            }
            WorkspaceCommand::RemoveMember { actor_id } => {
                Ok(vec![WorkspaceEvent::MemberRemoved { actor_id }])
            }
        }
    }

    fn is_last_owner(&self, actor_id: Uuid) -> bool {
        let mut owners = self
            .members
            .iter()
            .filter(|(_, role)| **role == Role::Owner);
        owners.next().is_some_and(|(id, _)| *id == actor_id) && owners.next().is_none()
    }
}

impl Aggregate for Workspace {
    const CATEGORY: &'static str = "workspace";
    const SCOPE: &'static str = "workspaces";
    const AUDIENCE: Audience = Audience::Members;
    type Command = WorkspaceCommand;
    type Event = WorkspaceEvent;
    type Rule = WorkspaceRule;

    fn evolve(self, event: &WorkspaceEvent) -> Self {
        match event {
            WorkspaceEvent::Created { name, owner } => Self::Active(Details {
                name: name.clone(),
                members: BTreeMap::from([(*owner, Role::Owner)]),
            }),
            WorkspaceEvent::Renamed { name } => {
                self.change(|details| details.name.clone_from(name))
            }
            WorkspaceEvent::Archived {} => match self {
                Self::Active(details) | Self::Archived(details) => Self::Archived(details),
                Self::Absent => Self::Absent,
            },
            WorkspaceEvent::MemberSet { actor_id, role } => self.change(|details| {
                details.members.insert(*actor_id, *role);
            }),
            WorkspaceEvent::MemberRemoved { actor_id } => self.change(|details| {
                details.members.remove(actor_id);
            }),
        }
    }

    fn decide(
        &self,
        command: WorkspaceCommand,
        at: &DecisionContext,
    ) -> Result<Vec<WorkspaceEvent>, WorkspaceRefusal> {
        let details = match (self, &command) {
            (Self::Absent, WorkspaceCommand::Create { .. }) if at.is_operator => {
                return Err(WorkspaceRule::NeedsProduct.into());
            }
            (Self::Absent, WorkspaceCommand::Create { name }) => {
                return Ok(vec![WorkspaceEvent::Created {
                    name: valid_name(name)?,
                    owner: at.actor.id,
                }]);
            }
            (Self::Active(_) | Self::Archived(_), WorkspaceCommand::Create { .. }) => {
                return Err(WorkspaceRefusal::Exists);
            }
            (Self::Absent, _) => return Err(WorkspaceRefusal::NotFound),
            (Self::Archived(_), WorkspaceCommand::Archive) => return Ok(vec![]),
            (Self::Archived(_), _) => return Err(WorkspaceRule::Archived.into()),
            (Self::Active(details), _) => details,
        };
        details.decide(command)
    }

    fn workspace(&self, id: Uuid) -> Option<Uuid> {
        Some(id)
    }

    /// Owners manage the workspace; every member may leave it.
    fn required_permission(
        &self,
        id: Uuid,
        command: &WorkspaceCommand,
        at: &DecisionContext,
    ) -> RequiredPermission {
        let permission = match command {
            WorkspaceCommand::Create { .. } => return RequiredPermission::Product,
            WorkspaceCommand::RemoveMember { actor_id } if *actor_id == at.actor.id => {
                Permission::Read
            }
            WorkspaceCommand::Rename { .. }
            | WorkspaceCommand::Archive
            | WorkspaceCommand::SetMember { .. }
            | WorkspaceCommand::RemoveMember { .. } => Permission::Manage,
        };
        RequiredPermission::member_of::<Workspace>(id, permission)
    }
}

impl ResourceScope for Workspace {
    fn permit(&self, actor: &Actor, permission: Permission) -> Result<(), WorkspaceRefusal> {
        let role = self
            .details()
            .and_then(|details| details.members.get(&actor.id))
            .ok_or(WorkspaceRefusal::NotFound)?;
        if !role.grants(permission) {
            return Err(WorkspaceRule::RoleInsufficient(permission).into());
        }
        match (self, permission) {
            (Self::Archived(_), Permission::Propose | Permission::Write) => {
                Err(WorkspaceRule::Archived.into())
            }
            (Self::Archived(_), Permission::Read | Permission::Manage)
            | (Self::Absent | Self::Active(_), _) => Ok(()),
        }
    }
}

fn valid_name(name: &str) -> Result<String, Violations> {
    let mut violations = Violations::default();
    violations.require_line(name, 1, 200, "/name");
    violations.into_result()?;
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{AGENT, PERSON, given};

    fn created() -> WorkspaceEvent {
        WorkspaceEvent::Created {
            name: "Research".into(),
            owner: PERSON.id,
        }
    }

    fn member(role: Role) -> WorkspaceEvent {
        WorkspaceEvent::MemberSet {
            actor_id: AGENT.id,
            role,
        }
    }

    fn create(name: &str) -> WorkspaceCommand {
        WorkspaceCommand::Create { name: name.into() }
    }

    fn rename(name: &str) -> WorkspaceCommand {
        WorkspaceCommand::Rename { name: name.into() }
    }

    fn remove(actor: Actor) -> WorkspaceCommand {
        WorkspaceCommand::RemoveMember { actor_id: actor.id }
    }

    #[test]
    fn its_creator_is_its_first_owner() {
        given::<Workspace>([])
            .when(create("Research"))
            .then([created()]);
    }

    #[test]
    fn the_operator_has_no_product_to_create_one_in() {
        given::<Workspace>([])
            .when_operator(create("Research"))
            .then_refused(WorkspaceRule::NeedsProduct);
    }

    #[test]
    fn an_id_is_used_once() {
        given::<Workspace>([created()])
            .when(create("Again"))
            .then_refused(WorkspaceRefusal::Exists);
    }

    #[test]
    fn it_needs_a_name() {
        given::<Workspace>([])
            .when(create(""))
            .then_invalid(&["/name"]);
        given::<Workspace>([created()])
            .when(rename(&"x".repeat(201)))
            .then_invalid(&["/name"]);
    }

    #[test]
    fn it_can_be_renamed() {
        given::<Workspace>([created()])
            .when(rename("Lab"))
            .then([WorkspaceEvent::Renamed { name: "Lab".into() }]);
    }

    #[test]
    fn what_is_already_so_needs_no_event() {
        given::<Workspace>([created()])
            .when(rename("Research"))
            .then_nothing();
        given::<Workspace>([created(), WorkspaceEvent::Archived {}])
            .when(WorkspaceCommand::Archive)
            .then_nothing();
        given::<Workspace>([created(), member(Role::Agent)])
            .when(WorkspaceCommand::SetMember {
                actor_id: AGENT.id,
                role: Role::Agent,
            })
            .then_nothing();
    }

    #[test]
    fn an_archived_one_can_no_longer_be_changed() {
        given::<Workspace>([created(), WorkspaceEvent::Archived {}])
            .when(rename("Lab"))
            .then_refused(WorkspaceRule::Archived);
    }

    #[test]
    fn one_that_was_never_created_is_not_found() {
        given::<Workspace>([])
            .when(rename("Lab"))
            .then_refused(WorkspaceRefusal::NotFound);
    }

    #[test]
    fn the_last_owner_cannot_leave_or_step_down() {
        given::<Workspace>([created(), member(Role::Editor)])
            .when(remove(PERSON))
            .then_refused(WorkspaceRule::LastOwner);
        given::<Workspace>([created()])
            .when(WorkspaceCommand::SetMember {
                actor_id: PERSON.id,
                role: Role::Viewer,
            })
            .then_refused(WorkspaceRule::LastOwner);
    }

    #[test]
    fn one_of_two_owners_can_leave() {
        given::<Workspace>([created(), member(Role::Owner)])
            .when(remove(PERSON))
            .then([WorkspaceEvent::MemberRemoved {
                actor_id: PERSON.id,
            }]);
    }

    #[test]
    fn only_a_member_can_be_removed() {
        given::<Workspace>([created()])
            .when(remove(AGENT))
            .then_refused(WorkspaceRule::MemberNotFound);
    }

    #[test]
    fn roles_grant_what_their_names_say() {
        use Permission::{Manage, Propose, Read, Write};
        let granted =
            |role: Role| [Read, Propose, Write, Manage].map(|permission| role.grants(permission));
        assert_eq!(granted(Role::Owner), [true, true, true, true]);
        assert_eq!(granted(Role::Editor), [true, true, true, false]);
        assert_eq!(granted(Role::Agent), [true, true, false, false]);
        assert_eq!(granted(Role::Viewer), [true, false, false, false]);
    }

    #[test]
    fn strangers_learn_nothing_and_an_archived_one_is_only_read() {
        let open: Workspace = crate::fold([created()]);
        assert_eq!(
            open.permit(&AGENT, Permission::Read),
            Err(WorkspaceRefusal::NotFound)
        );
        let closed: Workspace = crate::fold([created(), WorkspaceEvent::Archived {}]);
        assert_eq!(closed.permit(&PERSON, Permission::Read), Ok(()));
        assert_eq!(
            closed.permit(&PERSON, Permission::Write),
            Err(WorkspaceRule::Archived.into())
        );
    }
}
