//! Read models of files and their storage.

use std::sync::Arc;

use crate::Consumer;
use crate::models::model;

pub mod file;
pub mod storage;

/// The registry of this group's read models.
pub(crate) fn models() -> Vec<Arc<dyn Consumer>> {
    vec![model::<file::Files>(), model::<storage::Storages>()]
}
