//! The registry of read models, one line each.

use std::sync::Arc;

use crate::{Consumer, Projection, agents, delivery, identity, knowledge, operations};

/// Returns every read model of this build.
#[must_use]
pub fn models() -> Vec<Arc<dyn Consumer>> {
    vec![
        Arc::new(Projection::<identity::product::Products>::default()),
        Arc::new(Projection::<identity::actor::Actors>::default()),
        Arc::new(Projection::<identity::api_key::ApiKeys>::default()),
        Arc::new(Projection::<identity::avatar::Avatars>::default()),
        Arc::new(Projection::<knowledge::workspace::Workspaces>::default()),
        Arc::new(Projection::<knowledge::note::Notes>::default()),
        Arc::new(knowledge::link::Links::default()),
        Arc::new(knowledge::search::Search::default()),
        Arc::new(Projection::<knowledge::task::Tasks>::default()),
        Arc::new(Projection::<knowledge::checklist::Checklists>::default()),
        Arc::new(Projection::<knowledge::calendar_feed::CalendarFeeds>::default()),
        Arc::new(Projection::<knowledge::artifact::Artifacts>::default()),
        Arc::new(Projection::<agents::agent::Agents>::default()),
        Arc::new(Projection::<agents::proposal::Proposals>::default()),
        Arc::new(Projection::<agents::tool_call::ToolCalls>::default()),
        Arc::new(Projection::<agents::policy::Policies>::default()),
        Arc::new(Projection::<delivery::webhook::Webhooks>::default()),
        Arc::new(Projection::<delivery::webhook_delivery::Deliveries>::default()),
        Arc::new(Projection::<operations::file::Files>::default()),
        Arc::new(Projection::<operations::storage::Storages>::default()),
    ]
}
