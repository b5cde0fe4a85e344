//! Read models of webhook endpoints and deliveries.

use std::sync::Arc;

use crate::Consumer;
use crate::models::model;

pub mod webhook;
pub mod webhook_delivery;

/// The registry of this group's read models.
pub(crate) fn models() -> Vec<Arc<dyn Consumer>> {
    vec![
        model::<webhook::Webhooks>(),
        model::<webhook_delivery::Deliveries>(),
    ]
}
