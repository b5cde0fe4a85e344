//! Read models of products, actors, API keys and avatars.

pub mod actor;
pub mod api_key;
pub mod avatar;
pub mod product;
