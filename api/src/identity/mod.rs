//! Who may call.

pub mod api_key;
pub mod avatar;
pub mod product;

/// The scope of whoever issues keys to actors, and looks after them.
pub(crate) const MANAGES: &str = "api_keys:write";
