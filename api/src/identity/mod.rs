//! Who may call.

pub mod actor;
pub mod api_key;
pub mod avatar;
pub mod me;
pub mod product;

/// The scope of whoever issues keys to actors, and looks after them.
pub(crate) const MANAGES: &str = "api_keys:write";
/// The scope of whoever sees to whom keys were issued.
pub(crate) const OVERSEES: &str = "api_keys:read";
