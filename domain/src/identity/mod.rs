//! Who may call: products (tenants) and their keys.

pub mod api_key;
pub mod product;
pub mod scope;
