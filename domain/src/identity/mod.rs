//! Who may call: products (tenants), their actors, and the keys of these.

pub mod actor;
pub mod api_key;
pub mod avatar;
pub mod product;
pub mod scope;
