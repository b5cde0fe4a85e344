//! Delivery of events to other systems.

use crate::Contract;

pub mod webhook;
pub mod webhook_delivery;

/// The registry of this group's aggregates.
pub(crate) fn contracts() -> Vec<Contract> {
    vec![
        Contract::of::<webhook::Webhook>(),
        Contract::of::<webhook_delivery::Delivery>(),
    ]
}
