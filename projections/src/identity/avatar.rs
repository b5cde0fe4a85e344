//! The read model of avatars.

use domain::Aggregate;
use domain::identity::avatar::{Avatar, AvatarEvent};
use domain::operations::file::File;
use serde::{Deserialize, Serialize};
use store::Recorded;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{ReadModel, visible};

/// The avatar of an actor; its id is the actor's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Avatar)]
pub struct AvatarContent {
    pub file_id: Uuid,
}

pub struct Avatars;

impl ReadModel for Avatars {
    const TABLE: &'static str = "avatars";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/avatar.sql");
    const VISIBLE: &'static str = visible::IN_PRODUCT;
    /// The picture itself is part of the file's read model.
    const DEPENDS_ON: &'static [&'static str] = &[File::CATEGORY];
    type Of = Avatar;
    type Content = AvatarContent;

    fn apply(_: Option<AvatarContent>, event: AvatarEvent, _: &Recorded) -> Option<AvatarContent> {
        match event {
            AvatarEvent::Set { file_id } => Some(AvatarContent { file_id }),
            AvatarEvent::Cleared {} => None,
        }
    }
}
