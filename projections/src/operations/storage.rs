//! The read model of the storage that a product's files use.

use domain::Aggregate;
use domain::operations::storage::{Storage, StorageEvent};
use serde::{Deserialize, Serialize};
use store::Recorded;
use utoipa::ToSchema;

use crate::{ReadModel, visible};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StorageContent {
    pub bytes: u64,
    pub files: u64,
}

pub struct Storages;

impl ReadModel for Storages {
    const NAME: &'static str = Storage::CATEGORY;
    const SCOPE: &'static str = Storage::SCOPE;
    const TABLE: &'static str = "storages";
    const VERSION: u32 = 1;
    const DDL: &'static str = include_str!("../../../schema/read/storage.sql");
    const VISIBLE: &'static str = visible::IN_PRODUCT;
    type Event = StorageEvent;
    type Content = StorageContent;

    /// Uses the aggregate's own totals.
    fn apply(
        storage: Option<StorageContent>,
        event: StorageEvent,
        _: &Recorded,
    ) -> Option<StorageContent> {
        let StorageContent { bytes, files } = storage.unwrap_or_default();
        let Storage { bytes, files } = Storage { bytes, files }.evolve(&event);
        Some(StorageContent { bytes, files })
    }
}
