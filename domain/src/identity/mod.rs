//! Callers: products (tenants), their actors, and the actors' keys.

use crate::Contract;

pub mod actor;
pub mod api_key;
pub mod avatar;
pub mod product;
pub mod scope;

/// The registry of this group's aggregates.
pub(crate) fn contracts() -> Vec<Contract> {
    vec![
        Contract::of::<product::Product>(),
        Contract::of::<actor::KnownActor>(),
        Contract::of::<api_key::ApiKey>(),
        Contract::of::<avatar::Avatar>(),
    ]
}
