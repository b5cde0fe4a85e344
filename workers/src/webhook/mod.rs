//! Webhooks: they schedule deliveries for events, and send them.

mod address;
mod body;
mod deliver;
mod events;
mod fanout;
mod owner;
mod payload;
mod replay;
mod requests;
mod schedule;
mod sender;
mod signature;
mod streak;

pub use deliver::Deliver;
pub use fanout::Fanout;
pub use owner::{Disown, Revocations};
pub use replay::Replay;
pub use requests::Requests;
pub use schedule::{Schedule, ScheduleError};
pub use signature::sign;

use std::time::Duration;

use commands::Secrets;

/// Settings for sending webhooks.
#[derive(Clone)]
pub struct Settings {
    pub secrets: Secrets,
    pub schedule: Schedule,
    /// True if private and loopback addresses may be called.
    pub allow_private: bool,
    /// Timeout of a whole attempt; shorter than the lease of a job.
    pub timeout: Duration,
}
