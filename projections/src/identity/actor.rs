//! The read model of actors: their kinds and names.

use domain::ActorKind;
use domain::identity::actor::{ActorEvent, KnownActor};
use serde::{Deserialize, Serialize};
use store::Recorded;
use utoipa::ToSchema;

use crate::ReadModel;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = KnownActor)]
pub struct ActorContent {
    pub kind: ActorKind,
    /// Display name: given with the first key; for an agent, its name.
    pub name: String,
}

pub struct Actors;

impl ReadModel for Actors {
    /// Actors are readable by those who work with them; their events only by those who manage keys.
    const SCOPE: &'static str = "actors";
    const TABLE: &'static str = "actors";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/actor.sql");
    /// Visible to the actor, and to all who share a workspace with them.
    const VISIBLE: &'static str =
        "($2::uuid is null or t.product_id = $2 and (t.id::text = $3::text or (
        select true from workspaces w
        where w.product_id = t.product_id and w.members ?& array[$3::text, t.id::text] limit 1)))";
    type Of = KnownActor;
    type Content = ActorContent;

    fn apply(actor: Option<ActorContent>, event: ActorEvent, _: &Recorded) -> Option<ActorContent> {
        match (actor, event) {
            (_, ActorEvent::Registered { kind, name }) => Some(ActorContent { kind, name }),
            (actor, ActorEvent::Renamed { name }) => {
                actor.map(|actor| ActorContent { name, ..actor })
            }
        }
    }
}
