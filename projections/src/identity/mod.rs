//! Who may call.

pub mod api_key;
pub mod avatar;
pub mod product;
