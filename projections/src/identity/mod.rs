//! Who may call.

pub mod actor;
pub mod api_key;
pub mod avatar;
pub mod product;
