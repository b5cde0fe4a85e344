//! Commands on keys, which need secrets, and on avatars.

pub mod api_key;
pub mod avatar;
