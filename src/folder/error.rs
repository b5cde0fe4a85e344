//! Errors that end an import or an export.

use std::io;
use std::path::PathBuf;

use super::find::LeftOut;
use crate::client::ClientError;

#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot read {}: {source}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    /// The file could not be read a second time.
    #[error("cannot read {path} again: {reason}")]
    File { path: String, reason: LeftOut },
    #[error(transparent)]
    Client(#[from] ClientError),
}
