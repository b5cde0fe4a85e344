//! The registry of read models: one line each.

use std::sync::Arc;

use crate::{Consumer, Fold, agents, delivery, identity, knowledge, operations};

/// Every read model of this build.
#[must_use]
pub fn models() -> Vec<Arc<dyn Consumer>> {
    vec![
        Arc::new(Fold::<identity::product::Products>::default()),
        Arc::new(Fold::<identity::actor::Actors>::default()),
        Arc::new(Fold::<identity::api_key::ApiKeys>::default()),
        Arc::new(Fold::<identity::avatar::Avatars>::default()),
        Arc::new(Fold::<knowledge::workspace::Workspaces>::default()),
        Arc::new(Fold::<knowledge::note::Notes>::default()),
        Arc::new(knowledge::link::Links::default()),
        Arc::new(knowledge::search::Search::default()),
        Arc::new(Fold::<knowledge::task::Tasks>::default()),
        Arc::new(Fold::<knowledge::checklist::Checklists>::default()),
        Arc::new(Fold::<knowledge::calendar_feed::CalendarFeeds>::default()),
        Arc::new(Fold::<knowledge::artifact::Artifacts>::default()),
        Arc::new(Fold::<agents::agent::Agents>::default()),
        Arc::new(Fold::<agents::proposal::Proposals>::default()),
        Arc::new(Fold::<agents::tool_call::ToolCalls>::default()),
        Arc::new(Fold::<agents::policy::Policies>::default()),
        Arc::new(Fold::<delivery::webhook::Webhooks>::default()),
        Arc::new(Fold::<delivery::webhook_delivery::Deliveries>::default()),
        Arc::new(Fold::<operations::file::Files>::default()),
        Arc::new(Fold::<operations::storage::Storages>::default()),
    ]
}
