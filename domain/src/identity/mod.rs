//! Callers: products (tenants), their actors, and the actors' keys.

pub mod actor;
pub mod api_key;
pub mod avatar;
pub mod product;
pub mod scope;
