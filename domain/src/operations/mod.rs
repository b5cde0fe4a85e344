//! Data that a product stores beside its log: files, their bytes, and the quotas.

use crate::Contract;

pub mod blob;
pub mod container;
pub mod file;
pub mod storage;

/// The registry of this group's aggregates.
pub(crate) fn contracts() -> Vec<Contract> {
    vec![
        Contract::of::<file::File>(),
        Contract::of::<blob::Blob>(),
        Contract::of::<storage::Storage>(),
    ]
}
