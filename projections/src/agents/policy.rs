//! The read model of the policies of workspaces.

use domain::Actor;
use domain::agents::policy::{Policy, PolicyEvent, Rules};
use serde::{Deserialize, Serialize};
use store::Recorded;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{ReadModel, visible};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Policy)]
pub struct PolicyContent {
    pub workspace_id: Uuid,
    #[serde(flatten)]
    pub rules: Rules,
    /// The actor who set the rules and answers for what they approve.
    pub set_by: Actor,
}

pub struct Policies;

impl ReadModel for Policies {
    const TABLE: &'static str = "policies";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/policy.sql");
    const VISIBLE: &'static str = visible::IN_WORKSPACE;
    type Of = Policy;
    type Content = PolicyContent;

    fn apply(
        _: Option<PolicyContent>,
        PolicyEvent::Set { rules, set_by }: PolicyEvent,
        envelope: &Recorded,
    ) -> Option<PolicyContent> {
        Some(PolicyContent {
            workspace_id: envelope.stream.id,
            rules,
            set_by,
        })
    }
}
