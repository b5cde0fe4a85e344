//! Actors as they are known: of which kind, and by which name.

use domain::identity::actor::{ActorEvent, KnownActor};
use domain::{ActorKind, Aggregate};
use serde::{Deserialize, Serialize};
use store::Recorded;
use utoipa::ToSchema;

use crate::ReadModel;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = KnownActor)]
pub struct ActorContent {
    pub kind: ActorKind,
    /// As people call them: given with their first key, of an agent its name.
    pub name: String,
}

pub struct Actors;

impl ReadModel for Actors {
    const NAME: &'static str = KnownActor::CATEGORY;
    /// Who is there is for those who work with them; their events are for those who look after keys.
    const SCOPE: &'static str = "actors";
    const TABLE: &'static str = "actors";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/actor.sql");
    /// The actor, and whoever shares a workspace with them.
    const VISIBLE: &'static str =
        "($2::uuid is null or t.product_id = $2 and (t.id::text = $3::text or (
        select true from workspaces w
        where w.product_id = t.product_id and w.members ?& array[$3::text, t.id::text] limit 1)))";
    type Event = ActorEvent;
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
