//! Commands of tests: on workspaces and notes, and two on several workspaces.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use domain::knowledge::note::{Note, NoteCommand};
use domain::knowledge::workspace::{Role, Workspace, WorkspaceCommand};
use domain::{Actor, Aggregate, StreamId};
use uuid::Uuid;

use crate::{CommandError, Handler, On, UnitOfWork};

pub fn stream(workspace: Uuid) -> StreamId {
    StreamId::of::<Workspace>(workspace)
}

const fn on(id: Uuid, command: WorkspaceCommand) -> On<Workspace> {
    On { id, command }
}

pub fn create(id: Uuid, name: &str) -> On<Workspace> {
    on(id, WorkspaceCommand::Create { name: name.into() })
}

pub fn rename(id: Uuid, name: &str) -> On<Workspace> {
    on(id, WorkspaceCommand::Rename { name: name.into() })
}

pub const fn archive(id: Uuid) -> On<Workspace> {
    on(id, WorkspaceCommand::Archive)
}

pub const fn set_member(id: Uuid, actor: Actor, role: Role) -> On<Workspace> {
    let actor_id = actor.id;
    on(id, WorkspaceCommand::SetMember { actor_id, role })
}

pub const fn remove_member(id: Uuid, actor: Actor) -> On<Workspace> {
    on(id, WorkspaceCommand::RemoveMember { actor_id: actor.id })
}

pub fn create_note(id: Uuid, workspace_id: Uuid) -> On<Note> {
    let command = NoteCommand::Create {
        workspace_id,
        title: "Tea".into(),
        body: String::new(),
        tags: BTreeSet::new(),
        aliases: BTreeSet::new(),
        file: None,
    };
    On { id, command }
}

/// Returns the name of a workspace; empty: it does not exist.
pub fn name(workspace: &Workspace) -> &str {
    workspace.details().map_or("", |details| &details.name)
}

/// Gives workspaces a name, all or none. Counts its runs.
pub struct RenameAll {
    pub ids: Vec<Uuid>,
    pub name: String,
    pub runs: AtomicUsize,
}

pub fn rename_all(ids: &[Uuid], name: &str) -> RenameAll {
    RenameAll {
        ids: ids.to_vec(),
        name: name.into(),
        runs: AtomicUsize::new(0),
    }
}

#[async_trait]
impl Handler for RenameAll {
    fn name(&self) -> String {
        "workspace.rename_all".into()
    }

    fn context(&self) -> &'static str {
        Workspace::SCOPE
    }

    fn stream(&self) -> StreamId {
        stream(self.ids[0])
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        for id in &self.ids {
            let command = rename(*id, &self.name).command;
            work.decide::<Workspace>(*id, command).await?;
        }
        Ok(())
    }
}

/// Gives a workspace the name of another one, which it only reads.
pub struct CopyName {
    pub from: Uuid,
    pub to: Uuid,
}

#[async_trait]
impl Handler for CopyName {
    fn name(&self) -> String {
        "workspace.copy_name".into()
    }

    fn context(&self) -> &'static str {
        Workspace::SCOPE
    }

    fn stream(&self) -> StreamId {
        stream(self.to)
    }

    async fn handle(&self, work: &mut UnitOfWork<'_>) -> Result<(), CommandError> {
        let copied = name(&work.load::<Workspace>(self.from).await?.state).to_owned();
        work.decide::<Workspace>(self.to, rename(self.to, &copied).command)
            .await?;
        Ok(())
    }
}
