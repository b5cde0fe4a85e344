//! Who may call.

pub mod api_key;
pub mod product;
