//! Files: those that never came, pictures in other sizes, bytes that nobody has any more.

mod drop;
mod picture;
mod sweep;
mod upload;

use std::time::Duration;

use blobs::Blobs;

pub use drop::{DropBlob, Releases};
pub use picture::{Pictures, Resize};
pub use sweep::{Fate, Sweep, SweepError};
pub use upload::Uploads;

pub(crate) use sweep::{Sweeping, seed};

/// Where the bytes of files are, and how they are looked after.
#[derive(Clone)]
pub struct Settings {
    pub blobs: Blobs,
    /// Between two sweeps.
    pub sweep_interval: Duration,
    /// How old what nothing refers to must be, to be swept away.
    pub sweep_grace: Duration,
}
