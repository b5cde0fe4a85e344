//! Jobs for files: expired uploads, renditions of pictures, unreferenced blobs.

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

/// The store of files, and the settings of its sweep.
#[derive(Clone)]
pub struct Settings {
    pub blobs: Blobs,
    /// Interval between two sweeps.
    pub sweep_interval: Duration,
    /// Minimum age of unreferenced objects that are removed.
    pub sweep_grace: Duration,
}
