//! Proposals reach into other streams: those of the things that they would change.

mod approve;
mod change_set;
mod preview;
mod revert;
mod submit;

pub use approve::Approve;
pub use preview::{Changed, Preview, preview};
pub use revert::Revert;
pub use submit::Submit;
