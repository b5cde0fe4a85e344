//! Read models of products, actors, API keys and avatars.

use std::sync::Arc;

use crate::Consumer;
use crate::models::model;

pub mod actor;
pub mod api_key;
pub mod avatar;
pub mod product;

/// The registry of this group's read models.
pub(crate) fn models() -> Vec<Arc<dyn Consumer>> {
    vec![
        model::<product::Products>(),
        model::<actor::Actors>(),
        model::<api_key::ApiKeys>(),
        model::<avatar::Avatars>(),
    ]
}
