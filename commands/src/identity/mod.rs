//! Decisions on keys, which need secrets.

pub mod api_key;
pub mod avatar;
