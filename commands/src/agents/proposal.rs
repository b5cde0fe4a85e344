//! Proposals reach into other streams: those of the things that they would change, and what is said of who may change them.

mod approve;
mod change_set;
mod governance;
mod preview;
mod rebase;
mod revert;
mod submit;

pub use approve::Approve;
pub use preview::{Changed, Preview, preview};
pub use rebase::Rebase;
pub use revert::{Contents, Revert};
pub use submit::Submit;
