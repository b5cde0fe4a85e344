//! Commands on proposals. They also affect other streams: the subjects of the actions, and the agent and policy that
//! govern the proposal.

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
